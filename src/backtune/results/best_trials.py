"""The best trials of a study: one, or a Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backtune.results.trial import Trial
from backtune.spec import Objective


def select_best_trials(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Return the complete trial with the best value, or for several objectives the Pareto front, best in the first one first.

    Equal values keep the lower number. Empty where no trial is complete.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.values is not None]
    complete.sort(key=lambda trial: trial.number)
    return [complete[k] for k in find_pareto_front([trial.values or () for trial in complete], objectives)]


def find_pareto_front(values: Sequence[Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """Return the indices of the best value or of the Pareto front, best in the first objective first; the first of equal ones."""
    signs = np.array([-1.0 if objective.minimize else 1.0 for objective in objectives])
    gains = signs * np.array(values, dtype=float).reshape(-1, len(objectives))
    if len(objectives) == 1:
        return [int(np.argmax(gains))] if len(gains) else []
    ranked = sorted(range(len(gains)), key=lambda k: (*(-gains[k]).tolist(), k))
    found: list[int] = []
    for k in ranked:
        # Sorted by the first objective: a later one can be dominated by an earlier one, never dominate it.
        if not (gains[found] >= gains[k]).all(axis=1).any():
            found.append(k)
    return found
