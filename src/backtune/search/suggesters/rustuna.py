"""Studies of rustuna, the Rust port of Optuna. The only module that imports it."""

from __future__ import annotations

from collections.abc import Callable

import rustuna
from rustuna.samplers import CmaEsSampler, NSGAIISampler, RandomSampler, SamplerProtocol, TPESampler
from rustuna.trial import TrialState

from backtune.search.suggesters.backend_suggester import BackendStudy
from backtune.search.suggesters.suggester import SuggesterSetup
from backtune.space import Params

# The samplers by name, each built from a seed and a batch size; a generation is a batch.
SAMPLERS: dict[str, Callable[[int, int], SamplerProtocol]] = {
    "tpe": lambda seed, _: TPESampler(seed=seed, multivariate=True),
    "cma-es": lambda seed, n: CmaEsSampler(seed=seed, popsize=n),
    "nsga2": lambda seed, n: NSGAIISampler(seed=seed, population_size=n),
    "random": lambda seed, _: RandomSampler(seed=seed),
}


class RustunaStudy(BackendStudy[rustuna.Trial]):
    """A study of rustuna."""

    def __init__(self, setup: SuggesterSetup) -> None:
        self._study = rustuna.create_study(
            sampler=SAMPLERS[setup.sampler](setup.seed, setup.batch_size),
            directions=["minimize" if objective.minimize else "maximize" for objective in setup.objectives],
        )

    def ask(self) -> rustuna.Trial:
        return self._study.ask()

    def enqueue(self, params: Params) -> None:
        self._study.enqueue_trial(params)

    def tell(self, trial: rustuna.Trial, values: tuple[float, ...] | None) -> None:
        if values is None:
            self._study.tell(trial.number, state=TrialState.FAIL)
        else:
            self._study.tell(trial.number, [float(value) for value in values])
