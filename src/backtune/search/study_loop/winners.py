"""The evaluation of a study's winners: on the bars of the search again, and on the test bars, which no other candidate meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.log.summary import Winner
from backtune.results.trial import Trial
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.simulate import Score
from backtune.space import Params
from backtune.validation.bootstrap import bootstrap_sharpe_interval
from backtune.validation.deflated_sharpe import ReturnShape
from backtune.validation.return_moments import compute_bar_returns
from backtune.validation.timing import TimingTest, measure_timing, shift_targets


def evaluate_winners(
    best: Sequence[Trial],
    scorer: CandidateScorer,
    searched: BarWindow,
    test: BarWindow | None,
    seed: int,
) -> list[Winner]:
    """Return the winners of a study, with the statistics of their bar returns in and out of sample.

    Args:
        best: The best trial, or the Pareto front, sorted by the first objective, best first. Only the first trial is tested
            for timing, which costs as much as some two hundred candidates.
        scorer: The scorer of the study's candidates.
        searched: The window of the search.
        test: The test window, which no other candidate meets; None without validation.
        seed: The seed of the bootstrap and of the test of timing.

    Raises:
        Exception: Any error of a strategy on these windows.
    """
    held = scorer.score_holding(test).metrics if test is not None and best else None
    winners = []
    for place, trial in enumerate(best):
        winner = Winner(
            number=trial.number,
            params=trial.params,
            values=trial.values or (),
            is_metrics=trial.metrics,
            oos_metrics=None,
            is_shape=ReturnShape.of(_simulate_returns(scorer, trial.params, searched)),
        )
        if test is not None:
            returns = _simulate_returns(scorer, trial.params, test)
            score = scorer.score(trial.params, test)
            winner = replace(
                winner,
                oos_metrics=score.metrics,
                oos_shape=ReturnShape.of(returns),
                oos_interval=bootstrap_sharpe_interval(returns, test.bars.bars_per_year, seed=seed),
                timing=_test_timing(scorer, trial.params, test, score, seed) if place == 0 else None,
                hold_metrics=held,
            )
        winners.append(winner)
    return winners


def _test_timing(
    scorer: CandidateScorer, params: Params, test: BarWindow, score: Score, seed: int
) -> TimingTest | None:
    """Return the test of timing by Sharpe ratio; None where the positions do not vary."""
    sharpe = score.metrics["sharpe_ratio"]
    targets = scorer.decide_targets(params, test)
    if sharpe is None:
        return None

    def value_of_shift(shift: int) -> float:
        moved = shift_targets(targets, test.start, shift)
        return scorer.score_targets(params, moved, test).metrics["sharpe_ratio"] or 0.0

    return measure_timing(sharpe, len(test.bars) - test.start, value_of_shift, seed=seed)


def _simulate_returns(scorer: CandidateScorer, params: Params, window: BarWindow) -> np.ndarray:
    equity = scorer.simulate_equity(params, window)
    return compute_bar_returns(equity, scorer.execution.initial_cash)
