"""One search on simulated bars, in memory: no folder, no summary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtune.data.bars import Bars
from backtune.results.best_trials import select_best_trials
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.evidence.evidence import Evidence, WinnerSetting
from backtune.results.evidence.search_evidence import SearchEvidence
from backtune.results.evidence.trial_count import SearchTrialCount
from backtune.results.log.summary import Winner
from backtune.results.trial import Trial
from backtune.search.study_loop.trial_feedback import make_feedback
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.search.suggesters.samplers import make_suggester
from backtune.simulation.bar_window import BarWindow
from backtune.spec import Execution, Search
from backtune.strategy.registry import resolve_strategy
from backtune.validation.deflated_sharpe import ReturnShape, TrialCount
from backtune.validation.return_moments import compute_bar_returns

FREE = Execution(fee_bps=0.0, slippage_bps=0.0)


@dataclass(frozen=True)
class SearchOutcome:
    """The winner of a search and what was tried for it.

    Attributes:
        shape: The moments of the winner's bar returns.
        tried: The trials of the search.
        n_trades: The number of the winner's closed trades.
        dsr: The deflated Sharpe ratio, as a leaderboard shows it.
        dsr_level: The deflated Sharpe ratio below which a leaderboard warns.
        n_independent: The number of independent trials that both take.
    """

    shape: ReturnShape
    tried: TrialCount
    n_trades: int
    dsr: float
    dsr_level: float
    n_independent: float

    @property
    def z(self) -> float:
        """The winner's Sharpe ratio in errors of a ratio of 0: SR sqrt(n - 1)."""
        return float(self.shape.sharpe * np.sqrt(self.shape.n_returns - 1))


def search_bars(
    strategy: str,
    sampler: str,
    bars: Bars,
    *,
    execution: Execution = FREE,
    n_trials: int = 200,
    seed: int = 0,
) -> SearchOutcome | None:
    """Search the Sharpe ratio of a built-in strategy on all bars; None where no candidate is complete."""
    setting = Search.model_validate({"sampler": sampler, "trials": n_trials})
    ref = resolve_strategy(strategy)
    scorer = CandidateScorer(ref, execution)
    window = BarWindow.of(bars)
    evaluator = WindowEvaluator(scorer, window, setting.objectives, setting.constraints)
    suggester = make_suggester(setting, ref.load().space(), seed)
    trials: list[Trial] = []
    while len(trials) < n_trials:
        candidates = suggester.ask(suggester.batch_size)
        if not candidates:
            break
        numbered = list(enumerate(candidates, start=len(trials)))
        batch = list(evaluator.evaluate(numbered))
        suggester.tell([make_feedback(trial, setting.objectives, setting.constraints) for trial in batch])
        trials += batch
    trials = trials[:n_trials]
    best = select_best_trials(trials, setting.objectives)
    tried = TrialCount.of(np.array([trial.blocks for trial in trials]))
    if not best or tried is None:
        return None
    return _outcome(best[0], scorer, window, WinnerSetting(sampler, bars.bars_per_year, None), tried)


def _outcome(
    best: Trial, scorer: CandidateScorer, window: BarWindow, setting: WinnerSetting, tried: TrialCount
) -> SearchOutcome | None:
    equity = scorer.simulate_equity(best.params, window)
    shape = ReturnShape.of(compute_bar_returns(equity, scorer.execution.initial_cash))
    winner = Winner(
        best.number, best.params, best.values or (), best.metrics, oos_metrics=None, is_shape=shape
    )
    evidence = Evidence.of(winner, SearchEvidence(tried.n_trials, SearchTrialCount(tried)), setting)
    if shape is None or evidence.dsr is None or evidence.dsr_level is None or evidence.n_independent is None:
        return None
    return SearchOutcome(
        shape,
        tried,
        n_trades=int(best.metrics["total_trades"] or 0),
        dsr=evidence.dsr,
        dsr_level=evidence.dsr_level,
        n_independent=evidence.n_independent,
    )
