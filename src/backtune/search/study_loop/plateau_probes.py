"""Probes of the plateau: candidates near the best ones, evaluated after the search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backtune.results.log.probes import Probe
from backtune.results.trial import Trial
from backtune.search.study_loop.evaluator import Evaluator
from backtune.space import Space
from backtune.spec import Objective
from backtune.validation.plateau import propose_probes

# The number of probes of a short search, and their share of the trials of a long one. They find nothing better.
_FEWEST = 16
_SHARE = 0.1


def sample_neighbours(
    trials: Sequence[Trial],
    space: Space,
    objective: Objective,
    evaluator: Evaluator,
    stop: Callable[[], bool],
) -> list[Probe] | None:
    """Evaluate the neighbours that :func:`~backtune.validation.plateau.propose_probes` selects, a function of the trials alone.

    Args:
        trials: All trials of the study.
        space: The space of the study.
        objective: The first objective.
        evaluator: The evaluator of the neighbours, whose numbers follow those of the trials.
        stop: A function that tells whether to stop.

    Returns:
        The evaluated neighbours; None where the function was stopped before the last one.
    """
    sign = -1.0 if objective.minimize else 1.0
    gains = [sign * t.values[0] if t.state == "complete" and t.values else np.nan for t in trials]
    columns = {name: [trial.params.get(name) for trial in trials] for name in space}
    most = max(_FEWEST, int(_SHARE * len(trials)))
    neighbours = propose_probes(space, columns, np.array(gains, dtype=np.float64), most=most)
    evaluated = evaluator.evaluate(list(enumerate(neighbours, start=len(trials))))
    found = []
    for _ in neighbours:
        if stop():
            return None
        found.append(Probe.of(next(evaluated)))
    return found
