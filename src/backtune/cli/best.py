"""The command ``backtune best``."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from backtune.cli.options import RunPath, print_json


def best(
    run: RunPath,
    study: Annotated[
        str | None, typer.Option(help="The study (default: the first row of the leaderboard).")
    ] = None,
    centre: Annotated[
        bool,
        typer.Option(
            "--centre",
            help="Print the parameters at the centre of the plateau instead, with their metrics in sample.",
        ),
    ] = False,
    output_format: Annotated[Literal["yaml", "json"], typer.Option("--format", help="The format.")] = "yaml",
) -> None:
    """Print the best parameters of a sweep. `backtune backtest SPEC --params FILE` reads them."""
    from backtune.report.export.parameters import CellParameters
    from backtune.report.row_selection import select_row
    from backtune.results.stored_sweep import StoredSweep
    from backtune.spec.documents import to_yaml

    opened = StoredSweep.open(run)
    row = select_row(opened, study)
    content = (CellParameters.of_centre if centre else CellParameters.of)(opened, row).to_json()
    if output_format == "json":
        print_json(content)
    else:
        sys.stdout.write(to_yaml(content))
