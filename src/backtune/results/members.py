"""Winners of a sweep at common times: what each made where it was searched, and in its test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtune.errors import ResultsError
from backtune.results.common_times import Curve, common_returns, step_of
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredSweep
from backtune.results.study_context import StudyContext, StudyContextLoader, check_same_metrics
from backtune.results.trial import Metrics
from backtune.simulation.bar_window import BarWindow
from backtune.spec.timeframe import Timeframe

# Of fewer returns, deviations and correlations are noise.
LEAST_RETURNS = 20


@dataclass(frozen=True, eq=False)
class Part:
    """One fold of all members at common times.

    Attributes:
        name: The name of the fold.
        moments, oos_moments: (n,) ends of the steps, in-sample and out-of-sample, microseconds since the epoch.
        returns, oos_returns: (n, n_members); a member without a winner in this fold does not move.
    """

    name: str
    moments: np.ndarray
    returns: np.ndarray
    oos_moments: np.ndarray
    oos_returns: np.ndarray


def members_of(run: StoredSweep, top: int | None) -> tuple[Row, ...]:
    """Return the winners of a sweep in the order of the leaderboard, one a study, and of a walk-forward one a cell.

    Args:
        top: The number of winners at most; None for all.
    """
    first: dict[str, Row] = {}
    for row in build_leaderboard(run, top=0):
        if row.values is not None:
            first.setdefault(row.study, row)
    return tuple(first.values())[:top]


def parts_of(run: StoredSweep, members: Sequence[Row]) -> tuple[tuple[Part, ...], Timeframe]:
    """The folds of all members at common times, and the step between these.

    Raises:
        ResultsError: there is too little time in common; the folder does not say which windows a study had; or the bars
            or the strategy give other numbers than the sweep has.
        DataError, SpecError, StrategyError: they are not there.
    """
    contexts, studies = StudyContextLoader(run), {study.id: study for study in run.studies}
    step = step_of([Timeframe.parse(row.timeframe) for row in members])
    found = []
    for folds in zip(*(row.folds or (row,) for row in members), strict=True):
        curves = [_curves(fold, contexts.load(studies[fold.study])) for fold in folds]
        inside, outside = (common_returns(side, step) for side in zip(*curves, strict=True))
        name = folds[0].fold
        for what, (moments, _) in (("in sample", inside), ("out of sample", outside)):
            if len(moments) < LEAST_RETURNS:
                raise ResultsError(
                    f"{name}: the winners have {len(moments)} steps of {step} in common {what}, "
                    f"and a portfolio needs {LEAST_RETURNS}; choose fewer winners, or give the sweep more time"
                )
        found.append(Part(name, *inside, *outside))
    return tuple(found), step


def _curves(fold: Row, context: StudyContext) -> tuple[Curve, Curve]:
    """Return the equity curves of a winner in sample and in its test."""
    test = context.test_window
    assert test is not None  # noqa: S101
    return _curve(fold, context, context.train_window, fold.is_metrics), _curve(
        fold, context, test, fold.oos_metrics
    )


def _curve(fold: Row, context: StudyContext, window: BarWindow, metrics: Metrics) -> Curve:
    params = fold.params if fold.values is not None else None
    result = context.scorer.backtest_chain([(params, window)])
    if params is not None:
        check_same_metrics(result.metrics, metrics, fold.study)
    closes = window.bars.timeframe.ends(window.prices.timestamp)
    return Curve(closes, result.equity, context.scorer.execution.initial_cash)
