"""Suggesters of rustuna, the Rust port of Optuna. The only module that imports it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import rustuna
from rustuna.samplers import CmaEsSampler, NSGAIISampler, RandomSampler, SamplerProtocol, TPESampler
from rustuna.trial import TrialState

from backtune.search.suggesters.suggest import FAILED, Setup, Suggester, Told, broken_rule
from backtune.space import Choice, Float, Parameter, Params, Value

# Seed and batch size to sampler; a generation is a batch.
SAMPLERS: dict[str, Callable[[int, int], SamplerProtocol]] = {
    "tpe": lambda seed, _: TPESampler(seed=seed, multivariate=True),
    "cma-es": lambda seed, n: CmaEsSampler(seed=seed, popsize=n),
    "nsga2": lambda seed, n: NSGAIISampler(seed=seed, population_size=n),
    "random": lambda seed, _: RandomSampler(seed=seed),
}


class RustunaSuggester(Suggester):
    """A study in memory with a sampler of its own, driven by ask and tell.

    A failed candidate is told as failed, which rustuna's samplers pass over.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._pending: list[rustuna.Trial] = []
        self._study = rustuna.create_study(
            sampler=SAMPLERS[setup.sampler](setup.seed, setup.batch_size),
            directions=["minimize" if objective.minimize else "maximize" for objective in setup.objectives],
        )
        if setup.sampler == "cma-es":
            self._name_axes()

    @property
    def batch_size(self) -> int:
        return self._setup.batch_size

    def _name_axes(self) -> None:
        """CMA-ES knows the axes from finished trials alone: without this one, which is of no generation, its whole
        first batch would be random, and what is enqueued there lost."""
        trial = self._study.ask()
        for name, axis in self._setup.axes.items():
            _suggested(trial, name, axis)
        self._study.tell(trial.number, [0.0])

    def ask(self, n: int) -> list[Params]:
        asked = [self._accepted() for _ in range(n)]
        self._pending = [trial for trial, _ in asked]
        return [params for _, params in asked]

    def _accepted(self) -> tuple[rustuna.Trial, Params]:
        """The next proposal that keeps the rules; after many that do not, a random candidate."""
        for i in range(self._setup.n_tries):
            trial, params = self._proposed()
            if self._setup.accepts(params):
                return trial, params
            self._tell(
                trial, broken_rule(len(self._setup.objectives)) if i < self._setup.n_taught else FAILED
            )
        self.enqueue([self._setup.draw()])
        return self._proposed()

    def _proposed(self) -> tuple[rustuna.Trial, Params]:
        trial = self._study.ask()
        return trial, {name: _suggested(trial, name, axis) for name, axis in self._setup.axes.items()}

    def enqueue(self, candidates: Sequence[Params]) -> None:
        for params in candidates:
            self._study.enqueue_trial(params)

    def tell(self, results: Sequence[Told]) -> None:
        for trial, result in zip(self._pending, results, strict=True):
            self._tell(trial, result)

    def _tell(self, trial: rustuna.Trial, result: Told) -> None:
        # One number: rustuna adds several up in the order of a hash map, and the last bit could differ.
        if result.violations or self._setup.n_taught:
            trial.set_constraint("violation", result.total_violation)
        if result.values is None:
            self._study.tell(trial.number, state=TrialState.FAIL)
        else:
            self._study.tell(trial.number, [float(value) for value in result.values])


def _suggested(trial: rustuna.Trial, name: str, parameter: Parameter) -> Value:
    if isinstance(parameter, Choice):
        choice = trial.suggest_categorical(name, list(parameter.choices))
        assert choice is not None  # noqa: S101 - the space holds no None
        return choice
    if isinstance(parameter, Float):
        return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
