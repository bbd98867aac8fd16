"""The files that a tracker keeps of a sweep and of a study."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from backtune.errors import ReportError, StrategyError
from backtune.report.content import ReportContent
from backtune.report.export.parameters import CellParameters
from backtune.report.export.pine import render_pine_script
from backtune.report.export.pine_source import build_pine_source
from backtune.report.writer import write_report
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredSweep
from backtune.spec.documents import to_yaml


def write_spec(run: StoredSweep, folder: Path) -> None:
    """Write ``spec.yaml`` without the tracking section, whose address may hold a password."""
    (folder / "spec.yaml").write_text(to_yaml(run.spec.to_json(exclude=("tracking",))), encoding="utf-8")


def write_sweep_report(run: StoredSweep, folder: Path) -> None:
    """Write ``report.html`` without the stress tests of the winners, which would delay the end of the sweep.

    Raises:
        ResultsError: A log cannot be read.
    """
    write_report(ReportContent(run, most_stressed=0), "html", folder / "report.html")


def write_study_files(run: StoredSweep, row: Row | None, trials: pl.DataFrame | None, folder: Path) -> None:
    """Write ``trials.parquet``, and for a winner ``best.yaml`` and, if there is a template, ``strategy.pine``.

    There is no row without a winner, or where another island has the best.
    """
    if trials is not None:
        trials.write_parquet(folder / "trials.parquet", compression="zstd")
    if row is None or row.values is None:
        return
    parameters = CellParameters.of(run, row).to_json()
    (folder / "best.yaml").write_text(to_yaml(parameters), encoding="utf-8")
    try:
        script = render_pine_script(build_pine_source(run, row))
    except (ReportError, StrategyError):
        return
    (folder / "strategy.pine").write_text(script, encoding="utf-8")
