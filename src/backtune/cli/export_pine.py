"""The command ``backtune export-pine``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from backtune.cli.options import Json, RunPath, print_json
from backtune.errors import ReportError


def export_pine(
    run: RunPath,
    study: Annotated[
        str | None, typer.Option(help="The study (default: the first row of the leaderboard).")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The file for the script (default: standard output).", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Write a Pine v6 strategy with the best parameters of a study, for TradingView."""
    from backtune.report.export.pine import render_pine_script
    from backtune.report.export.pine_source import build_pine_source
    from backtune.report.row_selection import select_row
    from backtune.results.stored_sweep import StoredSweep

    opened = StoredSweep.open(run)
    row = select_row(opened, study)
    script = render_pine_script(build_pine_source(opened, row))
    if output is not None:
        _write_script(output, script)
    if json:
        print_json(
            {
                "study": row.study,
                "strategy": row.strategy,
                "asset": row.asset,
                "timeframe": row.timeframe,
                "params": row.params,
                "file": None if output is None else str(output),
                "script": script,
            }
        )
    else:
        sys.stdout.write(script if output is None else f"{output}\n")


def _write_script(path: Path, script: str) -> None:
    try:
        path.write_text(script, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror or error}") from None
