"""Suggesters of Optuna. The only module that imports it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from backtune.search.suggest import Suggester, Told
from backtune.space import Choice, Float, Parameter, Params, Space
from backtune.spec import Goal

# Seed and batch size to sampler. A generation is a batch: Optuna discards results beyond the population.
SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    # Without `multivariate`, several objectives would cost one fit per parameter.
    "tpe": lambda seed, _: TPESampler(seed=seed, multivariate=True, constant_liar=True),
    "cma-es": lambda seed, n: CmaEsSampler(seed=seed, popsize=n, warn_independent_sampling=False),
    "nsga2": lambda seed, n: NSGAIISampler(seed=seed, population_size=n),
    "random": lambda seed, _: RandomSampler(seed=seed),
}


class OptunaSuggester(Suggester):
    """A study in memory with a sampler of its own, driven by ask and tell.

    Expects parameters without a step other than 1, each with more than one value; ``make_suggester`` sees to both.
    A failed candidate is told as failed, which Optuna's samplers pass over.
    """

    def __init__(
        self, sampler: str, space: Space, goals: Sequence[Goal], *, seed: int, batch_size: int
    ) -> None:
        self._distributions = {name: _distribution(parameter) for name, parameter in space.items()}
        self._batch_size = batch_size
        self._pending: list[optuna.Trial] = []
        directions = [StudyDirection.MINIMIZE if goal.minimize else StudyDirection.MAXIMIZE for goal in goals]
        self._study = _create_quietly(SAMPLERS[sampler](seed, batch_size), directions)

    @property
    def batch_size(self) -> int:
        return self._batch_size

    def ask(self, n: int) -> list[Params]:
        self._pending = [self._study.ask(self._distributions) for _ in range(n)]
        return [{name: trial.params[name] for name in self._distributions} for trial in self._pending]

    def tell(self, results: Sequence[Told]) -> None:
        for trial, result in zip(self._pending, results, strict=True):
            # Samplers only compare sums of violations; one number costs them less than several.
            if result.violations:
                trial.set_constraint("violation", result.total_violation)
            if result.values is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, result.values)


_verbosity_lock = threading.Lock()


def _create_quietly(sampler: BaseSampler, directions: Sequence[StudyDirection]) -> optuna.Study:
    """A study in memory, without the line that Optuna logs for each, and with its verbosity as it was."""
    with _verbosity_lock:
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
        try:
            return optuna.create_study(sampler=sampler, directions=directions)
        finally:
            optuna.logging.set_verbosity(verbosity)


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    return IntDistribution(parameter.low, parameter.high, log=parameter.log)
