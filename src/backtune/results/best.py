"""Which trials won."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backtune.objective import Trial
from backtune.spec import Goal


def best_of(trials: Sequence[Trial], goals: Sequence[Goal]) -> list[Trial]:
    """The complete trial with the best value, or for several objectives the Pareto front, best in the first objective first.

    Equal values keep the lower number. Empty where no trial is complete.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.values is not None]
    signs = np.array([-1.0 if goal.minimize else 1.0 for goal in goals])
    ranked = sorted(complete, key=lambda t: (*(-signs * np.array(t.values)).tolist(), t.number))
    if len(goals) == 1:
        return ranked[:1]
    front: list[Trial] = []
    gains = np.empty((0, len(goals)))
    for trial in ranked:
        # Sorted by the first objective: a later trial can be dominated by an earlier one, never dominate it.
        gain = signs * np.array(trial.values)
        if not (gains >= gain).all(axis=1).any():
            front.append(trial)
            gains = np.vstack([gains, gain])
    return front
