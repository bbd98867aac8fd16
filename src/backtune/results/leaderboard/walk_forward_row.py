"""The folds of a walk-forward as one row of the leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from backtune.errors import ResultsError
from backtune.results.evidence.evidence import Evidence
from backtune.results.evidence.family import FamilyResult
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.walk_forward_oos import WalkForwardScore, load_walk_forward_score
from backtune.results.stored_sweep import StoredSweep
from backtune.results.study_context import StudyContextLoader
from backtune.results.trial import Metrics
from backtune.simulation.metrics import METRICS
from backtune.validation.deflated_sharpe import TrialCount, compute_deflated_sharpe
from backtune.validation.folds import TimeWindow
from backtune.validation.timing import combine_p_values
from backtune.validation.track_record import TrackRecord


def combine_folds(
    run: StoredSweep, folds: Sequence[Row], unfinished: Sequence[str], contexts: StudyContextLoader
) -> tuple[Row, WalkForwardScore | None]:
    """Return the row of a cell, and its tests as one backtest; None where they cannot be had, with the reason as a warning.

    Args:
        run: The sweep.
        folds: The best row of each fold, in order of time, with warnings about the state of its study alone.
        unfinished: The names of the folds without a result yet.
        contexts: The loader of the sweep's contexts.
    """
    won = [fold for fold in folds if fold.values is not None]
    score, problem = None, ""
    if unfinished:
        problem = f"{', '.join(unfinished)} not finished"
    elif won:
        try:
            score = load_walk_forward_score(run, folds, contexts)
        except ResultsError as error:
            problem = str(error)
    row = _build_row(folds, won)
    if score is not None:
        row = replace(row, oos_metrics=score.metrics)
    warnings = [*_merge_warnings(folds)]
    if score is not None:
        missing = [fold.fold for fold in folds if fold.values is None]
        if missing:
            warnings.append(f"nothing traded in {', '.join(missing)}")
    elif won:
        warnings.append(f"out of sample the mean over folds, not one backtest: {problem}")
    if won and row.fold != folds[-1].fold:
        warnings.append(f"the parameters are of {row.fold}")
    return replace(row, warnings=tuple(warnings)), score


def combine_fold_evidence(
    folds: Sequence[Evidence],
    score: WalkForwardScore | None,
    cells: TrialCount | None,
    family: FamilyResult | None,
) -> Evidence:
    """Return the evidence of a walk-forward.

    The searches saw nothing of the tests, so no number of trials deflates what was made there. What a reader picks by the
    tests is a cell: the deflated Sharpe ratio is that of the tests, as of one among so many independent cells; for a
    single cell it is the probability that the true ratio is above 0. The probability of overfitting is the folds' mean, the
    plateau that of the last fold, whose parameters are the row's; the tests of timing are taken together.

    Args:
        folds: The evidence of the folds with a winner, in order of time; one at least.
        score: The tests as one backtest; None where it cannot be had.
        cells: The cells to pick from, see :func:`count_compared_cells`.
        family: The tests among those of all cells.
    """
    dsr = None
    if score is not None and score.shape is not None and cells is not None:
        dsr = compute_deflated_sharpe(score.shape, cells.n_independent).probability
    return replace(
        folds[-1],
        dsr=dsr,
        n_independent=cells.n_independent if dsr is not None and cells is not None else None,
        trials=None,
        n_cells=cells.n_trials if dsr is not None and cells is not None else None,
        pbo=_average(fold.pbo for fold in folds),
        pbo_loss=_average(fold.pbo_loss for fold in folds),
        family=family,
        timing_p=combine_p_values([fold.timing_p for fold in folds if fold.timing_p is not None]),
        oos_interval=score.interval if score is not None else None,
        hold_metrics=score.hold_metrics if score is not None else None,
        record=TrackRecord.of(score.shape, score.bars_per_year) if score is not None else None,
    )


def count_compared_cells(scores: Sequence[WalkForwardScore]) -> TrialCount | None:
    """Return the cells that a reader picks from by their tests, as far as luck is concerned; None where none traded."""
    return TrialCount.of(np.stack([score.blocks for score in scores])) if scores else None


def _build_row(folds: Sequence[Row], won: Sequence[Row]) -> Row:
    last = (won or folds)[-1]
    tests = [fold.test for fold in folds if fold.test is not None]
    values = [fold.values for fold in won if fold.values is not None]
    return replace(
        last,
        n_trials=sum(fold.n_trials for fold in folds),
        values=tuple(sum(own) / len(own) for own in zip(*values, strict=True)) if values else None,
        is_metrics=_average_metrics([fold.is_metrics for fold in won]),
        oos_metrics=_average_metrics([fold.oos_metrics for fold in won]),
        test=TimeWindow(tests[0].start, tests[-1].end) if tests else None,
        folds=tuple(folds),
    )


def _merge_warnings(folds: Sequence[Row]) -> Iterator[str]:
    """Yield the warnings of the folds, those that several have once."""
    names: dict[str, list[str]] = {}
    for fold in folds:
        for warning in fold.warnings:
            names.setdefault(warning, []).append(fold.fold)
    for warning, own in names.items():
        yield warning if len(own) == len(folds) else f"{', '.join(own)}: {warning}"


def _average_metrics(metrics: Sequence[Metrics]) -> Metrics:
    """Return the mean of each metric over the folds where it is defined."""
    return {name: _average(own[name] for own in metrics) for name in METRICS}


def _average(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
