"""A look around what a search found, with candidates that it left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from backtune.results.log.probes import Probe
from backtune.results.trial import Trial
from backtune.space import Params, Space
from backtune.spec import Objective
from backtune.validation.plateau import propose_probes

# Of a short search, and the share of a long one: an evaluation here is one that finds nothing better.
_FEW = 16
_SHARE = 0.1

Evaluate = Callable[[Sequence[tuple[int, Params]]], Iterator[Trial]]


def around(
    trials: Sequence[Trial], space: Space, objective: Objective, evaluate: Evaluate, stop: Callable[[], bool]
) -> list[Probe] | None:
    """Evaluate what :func:`~backtune.validation.plateau.propose_probes` asks for, a function of the trials alone.

    Args:
        trials: all of the study's.
        objective: the first objective.
        evaluate: numbered candidates, each when it is asked for; the numbers follow those of the trials.
        stop: whether to give up.

    Returns:
        None where it was stopped.
    """
    sign = -1.0 if objective.minimize else 1.0
    gains = [sign * t.values[0] if t.state == "complete" and t.values else np.nan for t in trials]
    columns = {name: [trial.params.get(name) for trial in trials] for name in space}
    most = max(_FEW, int(_SHARE * len(trials)))
    wanted = propose_probes(space, columns, np.array(gains, dtype=np.float64), most=most)
    evaluated = evaluate(list(enumerate(wanted, start=len(trials))))
    found = []
    for _ in wanted:
        if stop():
            return None
        found.append(Probe.of(next(evaluated)))
    return found
