"""A trial: a candidate with its result."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from backtune.simulation.metrics import METRICS
from backtune.simulation.types import N_BLOCKS
from backtune.space import Params

State = Literal["complete", "infeasible", "failed"]
Metrics = dict[str, float | None]


class Trial(NamedTuple):
    """A candidate with its result.

    Attributes:
        number: The place of the candidate in the study, from 0.
        params: The values of its parameters, by name.
        state: ``complete``; ``infeasible`` where a constraint is violated, no trade is closed, equity reaches zero or the
            trial was stopped early; ``failed`` where the strategy raises an error or an objective is undefined.
        reason: The reason why the trial is not complete; empty where it is.
        values: One value per objective: the metric, or its summary over the parts of the window; None where the trial failed
            or was stopped early; 0 in place of an undefined objective of an infeasible trial.
        metrics: All metrics on the train window; None where undefined, and all None where the trial failed or was stopped.
        blocks: (16, 3) count, sum and sum of squares of the bar returns in equal blocks of time; zeros where the trial failed
            or was stopped.
        duration_seconds: The time of the evaluation; 0 where an earlier trial of the same candidate was repeated.
        rungs: The objectives on each rung of early stopping; None for a rung that was not run or has an undefined objective.
    """

    number: int
    params: Params
    state: State
    reason: str
    values: tuple[float, ...] | None
    metrics: Metrics
    blocks: np.ndarray
    duration_seconds: float
    rungs: tuple[tuple[float, ...] | None, ...] = ()

    @classmethod
    def without_result(
        cls,
        number: int,
        params: Params,
        state: State,
        reason: str,
        duration_seconds: float = 0.0,
        rungs: tuple[tuple[float, ...] | None, ...] = (),
    ) -> Trial:
        """Return the trial of a candidate that failed or was stopped early."""
        blocks = np.zeros((N_BLOCKS, 3))
        return cls(
            number, params, state, reason, None, dict.fromkeys(METRICS), blocks, duration_seconds, rungs
        )

    @property
    def is_stopped(self) -> bool:
        """Return whether the trial was stopped early, so that nothing is known of it on the whole window."""
        return self.state == "infeasible" and self.values is None
