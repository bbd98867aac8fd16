"""The content of the Pine script for a row of the leaderboard."""

from __future__ import annotations

from collections.abc import Iterator

from backtune.report.export.pine import PineSource
from backtune.report.export.pine_signal import read_signal
from backtune.report.row_selection import find_study
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredSweep
from backtune.results.trial import Metrics
from backtune.spec import SweepSpec

_SHOWN = ("total_return", "max_drawdown", "total_trades")


def build_pine_source(run: StoredSweep, row: Row) -> PineSource:
    """Build the content of the script for a row.

    Raises:
        ReportError: The strategy has no Pine template.
        SpecError: A parameter is not of its type.
    """
    spec = run.spec
    entry = next(entry for entry in spec.grid.strategies if str(entry) == row.strategy)
    space = find_study(run, row).parse_space()
    params = {
        name: space[name].read(value, key=f"params.{name}") if name in space else value
        for name, value in row.params.items()
    }
    return PineSource(
        strategy=row.strategy,
        title=f"{row.strategy} {row.asset} {row.timeframe}",
        signal=read_signal(entry),
        params=params,
        space=space,
        execution=spec.execution,
        about=tuple(_about(run, row, spec)),
        has_funding=spec.data.funding,
    )


def _about(run: StoredSweep, row: Row, spec: SweepSpec) -> Iterator[str]:
    objectives = [objective.metric for objective in spec.search.objectives]
    shown = list(dict.fromkeys([*objectives, *_SHOWN]))
    yield f"{row.strategy} on {row.asset} {row.timeframe}, tuned by backtune {run.version}."
    # Of a walk-forward the parameters are those of one fold; the row is of all of them.
    own = next((fold for fold in row.folds if fold.study == row.study), row)
    fold = f", fold {row.fold} of {len(row.folds)}" if row.folds else ""
    yield f"Study {row.study}{fold}: the best of {own.n_trials:,} trials by {', '.join(map(str, spec.search.objectives))}."
    yield f"In sample: {_numbers(own.is_metrics, shown)}."
    if any(value is not None for value in own.oos_metrics.values()):
        yield f"Out of sample: {_numbers(own.oos_metrics, shown)}."
    if row.folds:
        yield f"Out of sample, all folds one after the other: {_numbers(row.oos_metrics, shown)}."
    for warning in row.warnings:
        yield f"Warning: {warning}."


def _numbers(metrics: Metrics, names: list[str]) -> str:
    return ", ".join(
        f"{name} {'undefined' if metrics[name] is None else format(metrics[name], '.4g')}" for name in names
    )
