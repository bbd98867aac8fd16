"""The results that a sampler learns from, and their translations for samplers that cannot take them as they are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple


class Feedback(NamedTuple):
    """The result of one candidate, as far as a sampler learns from it.

    Attributes:
        values: One finite number for each objective, or None where the evaluation failed.
        violations: One number for each constraint, in a fixed order; a constraint holds where its number is at most 0.
    """

    values: tuple[float, ...] | None
    violations: tuple[float, ...] = ()

    @property
    def is_feasible(self) -> bool:
        return self.values is not None and all(violation <= 0 for violation in self.violations)

    @property
    def total_violation(self) -> float:
        """The sum of the positive violations, by which backends compare candidates that are not feasible."""
        return float(sum(violation for violation in self.violations if violation > 0))


FAILED = Feedback(None)


def rule_violation(n_objectives: int) -> Feedback:
    """Return the feedback on a proposal that breaks a rule of the space, for samplers that learn from it."""
    return Feedback((0.0,) * n_objectives, (1.0,))


def replace_failures(batch: Sequence[Feedback]) -> Sequence[Feedback]:
    """Return a batch with its failed candidates as the most infeasible ones, which keeps a generation whole.

    A sampler passes over failed candidates, so that a generation with a single failure would be asked for once more.
    Where nothing succeeded there is no parent to breed from, and the sampler had better start afresh: all stay failed.
    """
    n_objectives = next((len(feedback.values) for feedback in batch if feedback.values is not None), None)
    if n_objectives is None:
        return batch
    worst = Feedback(values=(0.0,) * n_objectives, violations=(sys.float_info.max,))
    return [worst if feedback.values is None else feedback for feedback in batch]


def rank_batch(batch: Sequence[Feedback], *, minimize: bool) -> Sequence[Feedback]:
    """Return a batch of one objective for a sampler that knows neither constraints nor failures, but only compares.

    A batch of feasible candidates keeps its values. In any other each candidate has its rank in place of its value:
    the feasible ones by value, then the infeasible ones by total violation, then the failed ones. A sampler that uses
    only the order within a generation, as CMA-ES does, loses nothing by it, and there is no penalty weight to choose.
    """
    if all(feedback.is_feasible for feedback in batch):
        return [Feedback(feedback.values) for feedback in batch]
    sign = 1.0 if minimize else -1.0

    def badness(i: int) -> tuple[int, float]:
        feedback = batch[i]
        if feedback.values is None:
            return 2, 0.0
        if feedback.is_feasible:
            return 0, sign * feedback.values[0]
        return 1, feedback.total_violation

    ranks = {i: rank for rank, i in enumerate(sorted(range(len(batch)), key=badness))}
    return [Feedback((sign * ranks[i],)) for i in range(len(batch))]


def cap_values(batch: Sequence[Feedback], *, limit: float) -> Sequence[Feedback]:
    """Return a batch with its objective values within plus and minus ``limit``."""
    return [
        feedback
        if feedback.values is None
        else Feedback(tuple(min(max(value, -limit), limit) for value in feedback.values), feedback.violations)
        for feedback in batch
    ]
