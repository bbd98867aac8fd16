"""Winners of a study on the bars of the search once more, and on those that only they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.log.summary import Winner
from backtune.results.trial import Trial
from backtune.simulation.simulation import Score
from backtune.simulation.window import BarWindow
from backtune.space import Params
from backtune.validation.bootstrap import bootstrap_sharpe_interval
from backtune.validation.deflated_sharpe import ReturnShape
from backtune.validation.return_moments import compute_bar_returns
from backtune.validation.timing import TimingTest, measure_timing, shift_targets


class Windows(NamedTuple):
    """The window of the search, and that of its winners' test; no test without validation."""

    search: BarWindow
    test: BarWindow | None


def evaluate_winners(
    best: Sequence[Trial], scorer: CandidateScorer, windows: Windows, seed: int
) -> list[Winner]:
    """Return the winners among a study's trials, with what is kept of their bar returns.

    Args:
        best: The best trial, or the Pareto front, best in the first objective first; of a front the first alone is tested
            for timing, which costs as much as some two hundred candidates.
        seed: The seed of the bootstrap and of the test of timing.

    Raises:
        Exception: Whatever a strategy raises on these windows.
    """
    test = windows.test
    held = scorer.score_holding(test).metrics if test is not None and best else None
    winners = []
    for place, trial in enumerate(best):
        winner = Winner(
            number=trial.number,
            params=trial.params,
            values=trial.values or (),
            is_metrics=trial.metrics,
            oos_metrics=None,
            is_shape=ReturnShape.of(_returns(scorer, trial.params, windows.search)),
        )
        if test is not None:
            returns = _returns(scorer, trial.params, test)
            score = scorer.score(trial.params, test)
            winner = replace(
                winner,
                oos_metrics=score.metrics,
                oos_shape=ReturnShape.of(returns),
                oos_interval=bootstrap_sharpe_interval(returns, test.bars.bars_per_year, seed=seed),
                timing=_timing(scorer, trial.params, test, score, seed) if place == 0 else None,
                hold_metrics=held,
            )
        winners.append(winner)
    return winners


def _timing(
    scorer: CandidateScorer, params: Params, test: BarWindow, score: Score, seed: int
) -> TimingTest | None:
    """Return the test of timing by Sharpe ratio; None where the positions do not vary."""
    sharpe = score.metrics["sharpe_ratio"]
    targets = scorer.targets(params, test)
    if sharpe is None:
        return None

    def value_of_shift(shift: int) -> float:
        moved = shift_targets(targets, test.start, shift)
        return scorer.score_targets(params, moved, test).metrics["sharpe_ratio"] or 0.0

    return measure_timing(sharpe, len(test.bars) - test.start, value_of_shift, seed=seed)


def _returns(scorer: CandidateScorer, params: Params, window: BarWindow) -> np.ndarray:
    equity = scorer.equity(params, window)
    return compute_bar_returns(equity, scorer.execution.initial_cash)
