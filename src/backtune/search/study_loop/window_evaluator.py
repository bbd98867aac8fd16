"""The evaluator that runs candidates on a window of bars."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backtune.results.candidate_scorer import CandidateScorer, WindowScores
from backtune.results.trial import Trial
from backtune.search.study_loop.evaluator import Evaluator, NumberedCandidate
from backtune.search.study_loop.feasibility import describe_infeasibility
from backtune.simulation.bar_window import BarWindow
from backtune.space import Params
from backtune.spec import Constraint, Objective
from backtune.validation.kfold_objective import combine_part_values


@dataclass(frozen=True)
class WindowEvaluator(Evaluator):
    """Runs candidates of one strategy on one window.

    Where the window has parts, each of which starts flat, an objective is the mean of its metric over the parts, worsened by
    ``deviation`` times their standard deviation; see :mod:`backtune.validation.kfold_objective`, also for a metric that is undefined
    in one part. The objective is undefined where the metric is undefined on the whole window. Everything else in a trial is
    measured on the whole window.

    Attributes:
        scorer: The strategy and the execution rules.
        window: The bars that candidates run on.
        objectives: The objectives of the search.
        constraints: The constraints of the search.
        deviation: The weight of the standard deviation over the parts of the window.
    """

    scorer: CandidateScorer
    window: BarWindow
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    deviation: float = 0.0

    def evaluate(self, candidates: Sequence[NumberedCandidate]) -> Iterator[Trial]:
        """Yield the trials of the candidates. A strategy that raises an error gives a failed trial."""
        started = time.perf_counter()
        all_scores = self.scorer.score_batch([params for _, params in candidates], self.window)
        for (number, params), scores in zip(candidates, all_scores, strict=True):
            seconds = time.perf_counter() - started
            if isinstance(scores, WindowScores):
                yield self._make_trial(number, params, scores, seconds)
            else:
                yield Trial.without_result(number, params, "failed", scores, seconds)
            started = time.perf_counter()

    def measure_objectives(self, params: Params) -> tuple[float, ...] | None:
        """Return the objectives of a candidate; None where the strategy fails or an objective is undefined."""
        (scores,) = self.scorer.score_batch([params], self.window)
        if not isinstance(scores, WindowScores):
            return None
        values = [self._value(objective, scores) for objective in self.objectives]
        defined = tuple(value for value in values if value is not None)
        return defined if len(defined) == len(values) else None

    def _make_trial(self, number: int, params: Params, scores: WindowScores, seconds: float) -> Trial:
        whole = scores.whole
        values = [self._value(objective, scores) for objective in self.objectives]
        reason = describe_infeasibility(whole.metrics, self.constraints)
        if not reason and None in values:
            undefined = self.objectives[values.index(None)].metric
            return Trial.without_result(
                number, params, "failed", f"objective {undefined} is undefined", seconds
            )
        return Trial(
            number=number,
            params=params,
            state="infeasible" if reason else "complete",
            reason=reason,
            values=tuple(value if value is not None else 0.0 for value in values),
            metrics=whole.metrics,
            blocks=whole.blocks,
            duration_seconds=seconds,
        )

    def _value(self, objective: Objective, scores: WindowScores) -> float | None:
        whole = scores.whole.metrics[objective.metric]
        if not scores.parts or whole is None:
            return whole
        return combine_part_values(objective, whole, [part.metrics for part in scores.parts], self.deviation)
