"""The backtest behind the numbers of a row, to be run again with something changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from backtune.data.bars import Bars
from backtune.errors import ResultsError
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.walk_forward_oos import find_test_windows
from backtune.results.study_context import StudyContext, check_same_metrics
from backtune.results.trial import Metrics
from backtune.simulation.bar_window import BarWindow
from backtune.space import Params
from backtune.spec import Execution


@dataclass(frozen=True, eq=False)
class WinnerBacktest:
    """Candidates on windows side by side, as one backtest.

    Attributes:
        scorer: The strategy under the rules of the spec.
        pieces: The candidate of each window, None where nothing is traded, and the window; in order of time.
    """

    scorer: CandidateScorer
    pieces: tuple[tuple[Params | None, BarWindow], ...]

    @property
    def start(self) -> int:
        """The open of the first bar that is traded, in microseconds since the epoch, UTC."""
        return int(self.pieces[0][1].prices.timestamp[0])

    def score(self) -> Metrics:
        """Return the metrics as they are, with nothing changed."""
        return self.score_targets(lambda targets: targets)

    def score_targets(self, change: Callable[[np.ndarray], np.ndarray]) -> Metrics:
        """Return the metrics where the (n_bars,) targets of every window are changed."""
        return self._scored(self.scorer, [change(targets) for targets in self._targets])

    def score_execution(self, execution: Execution) -> Metrics:
        """Return the metrics of the same targets under other execution rules."""
        return self._scored(replace(self.scorer, execution=execution), self._targets)

    def score_bars(self, change: Callable[[Bars], Bars]) -> Metrics:
        """Return the metrics where the bars are changed, and the targets decided on them anew.

        Args:
            change: Returns as many bars, with the same times.
        """
        # The bars of an earlier window are the first ones of the last.
        bars = change(self.pieces[-1][1].bars)
        pieces = [
            (params, BarWindow.of(bars[: len(window.bars)], window.start)) for params, window in self.pieces
        ]
        return self.scorer.backtest_chain(pieces).metrics

    @cached_property
    def _targets(self) -> list[np.ndarray]:
        return [self.scorer.decide_targets(params, window) for params, window in self.pieces]

    def _scored(self, scorer: CandidateScorer, targets: list[np.ndarray]) -> Metrics:
        pieces = [(params, own, window) for (params, window), own in zip(self.pieces, targets, strict=True)]
        return scorer.backtest_target_chain(pieces).metrics


def build_winner_backtest(folds: Sequence[tuple[Row, StudyContext]]) -> WinnerBacktest:
    """Return the winners of rows on the windows that they are judged by: their tests, without validation their searches.

    Args:
        folds: Those of a walk-forward in order of time, else the only row, each with the context that its winner is on: its own,
            or that of another cell.

    Raises:
        ResultsError: There is no bar in any test window.
        CatalogError: There is no bar in the window of the search.
    """
    first = folds[0][1]
    windows = (
        [(folds[0][0], first.train_window)]
        if first.fold.test is None
        else [(fold, window) for fold, _, window in find_test_windows(folds)]
    )
    if not windows:
        raise ResultsError("there is no bar in any test window")
    pieces = tuple((fold.params if fold.values is not None else None, window) for fold, window in windows)
    return WinnerBacktest(first.scorer, pieces)


def check_winner_metrics(folds: Sequence[tuple[Row, StudyContext]]) -> None:
    """Compare what the winners of rows do now with what the sweep has.

    Args:
        folds: The folds as :func:`build_winner_backtest` takes them, each with its own context.

    Raises:
        ResultsError: The bars or the code give other numbers.
        CatalogError: There is no bar in the window of the search.
    """
    for fold in folds:
        row, context = fold
        if row.values is not None:
            before = row.is_metrics if context.fold.test is None else row.oos_metrics
            check_same_metrics(build_winner_backtest([fold]).score(), before, row.fold or row.study)
