"""The tests of a walk-forward as one backtest: each fold's winner traded in its own test window, one after the other.

Where a fold has no winner, nothing is traded in its window. A position that is open at the end of a window is handed over as
:func:`~backtune.simulation.simulate.simulate_in_sequence` says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from backtune.errors import BacktuneError, ResultsError
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredSweep
from backtune.results.study_context import StudyContext, StudyContextLoader, check_same_metrics
from backtune.results.trial import Metrics
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.simulate import Result
from backtune.space import Params
from backtune.storage.files import read_json, write_json
from backtune.storage.location import Location
from backtune.validation.bootstrap import SharpeInterval, bootstrap_sharpe_interval
from backtune.validation.deflated_sharpe import ReturnShape
from backtune.validation.return_moments import compute_bar_returns, compute_block_moments
from backtune.validation.windows import validation_window

_FILE = "walk_forward.json"
# To be raised with any change of what is computed: what was kept before is computed again.
_VERSION = 2


@dataclass(frozen=True, eq=False)
class WalkForwardScore:
    """The result of the tests as one backtest, as it is stored.

    Attributes:
        metrics: The metrics from the first bar of the first test to the last bar of the last.
        shape: The shape of the bar returns; None where they do not vary.
        interval: The interval of the Sharpe ratio; None as ``shape``.
        blocks: (16, 3) moments of the bar returns in equal blocks of time.
        bars_per_year: The number of bars a year, which annualises.
        hold_metrics: The metrics of holding the asset from the first bar to the last.
    """

    metrics: Metrics
    shape: ReturnShape | None
    interval: SharpeInterval | None
    blocks: np.ndarray
    bars_per_year: float
    hold_metrics: Metrics


@dataclass(frozen=True)
class FoldTest:
    """The winner in the test window of one fold.

    Attributes:
        fold: The name of the fold.
        study: The id of the fold's study.
        params: The parameters of the winner; None where nothing was traded.
        first: The index of the window's first bar in the arrays of :class:`WalkForwardBacktest`.
    """

    fold: str
    study: str
    params: Params | None
    first: int


@dataclass(frozen=True, eq=False)
class WalkForwardBacktest:
    """The tests as one backtest, in full.

    Attributes:
        initial_cash: The equity before the first bar.
        opens: (n,) open times of the bars, in microseconds since the epoch, UTC.
        close: (n,) prices at the closes.
        equity: (n,) equity at the closes.
        trades: The closed trades, see :class:`~backtune.simulation.simulate.Result`.
        pieces: The folds in order; windows without a bar are left out.
        score: The metrics and the evidence of the whole.
    """

    initial_cash: float
    opens: np.ndarray
    close: np.ndarray
    equity: np.ndarray
    trades: pl.DataFrame
    pieces: tuple[FoldTest, ...]
    score: WalkForwardScore

    @property
    def metrics(self) -> Metrics:
        return self.score.metrics


def backtest_walk_forward(
    run: StoredSweep, folds: Sequence[Row], contexts: StudyContextLoader | None = None
) -> WalkForwardBacktest:
    """Backtest the folds of one cell again, as one.

    Args:
        run: The sweep.
        folds: All folds of the cell, in order of time, as in a row of the leaderboard.
        contexts: The loader of the sweep's contexts; None for a new one.

    Raises:
        ResultsError: The bars or the strategy are not there, or give other numbers than the sweep has.
    """
    contexts = contexts or StudyContextLoader(run)
    studies = {study.id: study for study in run.studies}
    try:
        return _backtest([(fold, contexts.load(studies[fold.study])) for fold in folds], run.spec.search.seed)
    except ResultsError:
        raise
    except (BacktuneError, OSError) as error:
        raise ResultsError(str(error)) from error


def load_walk_forward_score(
    run: StoredSweep, folds: Sequence[Row], contexts: StudyContextLoader
) -> WalkForwardScore:
    """Return the result of the tests of one cell as one backtest.

    It is stored in the folder of the last fold's study until a fold has another winner.

    Args:
        run: The sweep.
        folds: All folds of the cell, in order of time.
        contexts: The loader of the sweep's contexts.

    Raises:
        ResultsError: Nothing is stored, and the folds cannot be backtested again.
    """
    folder = run.study_folder(folds[-1].study)
    winners = [[fold.study, fold.trial] for fold in folds]
    stored = _read_stored(folder, winners)
    if stored is not None:
        return stored
    found = backtest_walk_forward(run, folds, contexts).score
    # Whoever may read the results need not be allowed to write beside them.
    with contextlib.suppress(ResultsError):
        content = {**asdict(found), "blocks": found.blocks.tolist()}
        write_json(folder / _FILE, {"version": _VERSION, "winners": winners, **content})
    return found


def find_test_windows(
    folds: Sequence[tuple[Row, StudyContext]],
) -> Iterator[tuple[Row, CandidateScorer, BarWindow]]:
    """Yield the folds whose test windows have bars, with their windows."""
    for fold, context in folds:
        test, timestamp = context.fold.test, context.bars.timestamp
        if test is not None and np.diff(np.searchsorted(timestamp, [test.start, test.end])).any():
            yield fold, context.scorer, validation_window(context.bars, test)


def _read_stored(folder: Location, winners: list[list[Any]]) -> WalkForwardScore | None:
    """Return the stored result of these winners; None where there is none, or none that can be read."""
    try:
        content = read_json(folder / _FILE)
    except ResultsError:
        return None
    if not isinstance(content, dict) or (content.get("version"), content.get("winners")) != (
        _VERSION,
        winners,
    ):
        return None
    shape, interval = content["shape"], content["interval"]
    return WalkForwardScore(
        metrics=content["metrics"],
        shape=ReturnShape(**shape) if shape else None,
        interval=SharpeInterval(**interval) if interval else None,
        blocks=np.array(content["blocks"]),
        bars_per_year=content["bars_per_year"],
        hold_metrics=content["hold_metrics"],
    )


def _backtest(folds: Sequence[tuple[Row, StudyContext]], seed: int) -> WalkForwardBacktest:
    tests = list(find_test_windows(folds))
    if not tests:
        raise ResultsError("there is no bar in any test window")
    for fold, scorer, window in tests:
        if fold.values is not None:
            check_same_metrics(scorer.score(fold.params, window).metrics, fold.oos_metrics, fold.fold)
    pieces = [(fold.params if fold.values is not None else None, window) for fold, _, window in tests]
    scorer, first = folds[-1][1].scorer, pieces[0][1].start
    result = scorer.backtest_chain(pieces)
    whole = BarWindow.of(pieces[-1][1].bars, first)
    cash = scorer.execution.initial_cash
    return WalkForwardBacktest(
        initial_cash=cash,
        opens=whole.prices.timestamp,
        close=whole.prices.close,
        equity=result.equity,
        trades=result.trades,
        pieces=tuple(
            FoldTest(fold.fold, fold.study, params, window.start - first)
            for (fold, *_), (params, window) in zip(tests, pieces, strict=True)
        ),
        score=_summarize(result, whole, scorer, seed),
    )


def _summarize(result: Result, whole: BarWindow, scorer: CandidateScorer, seed: int) -> WalkForwardScore:
    returns = compute_bar_returns(result.equity, scorer.execution.initial_cash)
    return WalkForwardScore(
        metrics=result.metrics,
        shape=ReturnShape.of(returns),
        interval=bootstrap_sharpe_interval(returns, whole.bars.bars_per_year, seed=seed),
        blocks=compute_block_moments(returns, whole.block_edges),
        bars_per_year=whole.bars.bars_per_year,
        hold_metrics=scorer.score_holding(whole).metrics,
    )
