"""The feedback that a sampler learns from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from backtune.results.trial import Trial
from backtune.search.study_loop.feasibility import measure_violations
from backtune.search.suggesters.feedback import Feedback
from backtune.spec import Constraint, Objective
from backtune.validation.kfold_objective import LOSS_METRICS


def make_feedback(
    trial: Trial, objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> Feedback:
    """Return the values and constraint violations of a trial that the sampler learns from.

    A candidate that never trades has the value 0, and that is mostly all that the sampler learns. Good candidates often trade
    rarely and are found beside candidates that never trade. If all of the latter counted as infeasible, TPE would keep away
    from both. They count as infeasible only where 0 is the best possible value, and where the spec has constraints, which a
    candidate that never trades would keep.
    """
    if trial.is_stopped:
        return _stopped_feedback(trial, objectives)
    zero_is_best = any(objective.minimize or objective.metric in LOSS_METRICS for objective in objectives)
    reports_no_trade = zero_is_best or bool(constraints)
    if trial.state == "complete":
        return Feedback(trial.values, (0.0,) * (1 + reports_no_trade + len(constraints)))
    ruin, no_trade, *others = measure_violations(trial.metrics, constraints)
    return Feedback(trial.values, (ruin, no_trade, *others) if reports_no_trade else (ruin, *others))


def _stopped_feedback(trial: Trial, objectives: Sequence[Objective]) -> Feedback:
    """Return an infeasible result whose violation is smaller the further the trial came and the better it did there.

    The violation depends on the row alone and lies between 0 and 1.
    """
    rung, values = next(
        (k, values) for k, values in reversed([*enumerate(trial.rungs)]) if values is not None
    )
    signs = [-1.0 if objective.minimize else 1.0 for objective in objectives]
    badness = np.mean(
        [0.5 - math.atan(sign * value) / math.pi for sign, value in zip(signs, values, strict=True)]
    )
    n_rungs = len(trial.rungs)
    return Feedback((0.0,) * len(objectives), ((n_rungs - 1 - rung + float(badness)) / n_rungs,))
