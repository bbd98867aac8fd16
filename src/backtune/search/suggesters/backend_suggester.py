"""The suggester that drives a study of an outside library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from backtune.search.suggesters.feedback import FAILED, Feedback, rule_violation
from backtune.search.suggesters.suggester import Suggester, SuggesterSetup
from backtune.space import Parameter, Params, Value


class BackendTrial(Protocol):
    """A trial that is open in the library; Optuna and rustuna name its methods alike."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...

    def set_constraint(self, key: str, value: float) -> None: ...


T = TypeVar("T", bound=BackendTrial)


class BackendStudy(ABC, Generic[T]):
    """A study in the memory of the library, with a sampler of its own."""

    @abstractmethod
    def ask(self) -> T:
        """Open the next trial."""

    @abstractmethod
    def enqueue(self, params: Params) -> None:
        """Let the next trial that has no enqueued parameters yet have these."""

    @abstractmethod
    def tell(self, trial: T, values: tuple[float, ...] | None) -> None:
        """Close a trial with its objective values, or as failed, which the samplers pass over."""


class BackendSuggester(Suggester, Generic[T]):
    """A study of the library, driven by ask and tell."""

    def __init__(self, setup: SuggesterSetup, study: BackendStudy[T]) -> None:
        self._setup = setup
        self._study = study
        self._pending: list[T] = []
        if setup.sampler == "cma-es":
            # CMA-ES learns the axes from finished trials alone: without this one, which is of no generation, its whole
            # first batch would be random, and candidates enqueued there would be lost.
            trial, _ = self._propose()
            study.tell(trial, (0.0,))

    @property
    def batch_size(self) -> int:
        return self._setup.batch_size

    def ask(self, n: int) -> list[Params]:
        proposals = [self._propose_valid() for _ in range(n)]
        self._pending = [trial for trial, _ in proposals]
        return [params for _, params in proposals]

    def enqueue(self, candidates: Sequence[Params]) -> None:
        for params in candidates:
            self._study.enqueue(params)

    def tell(self, batch: Sequence[Feedback]) -> None:
        for trial, feedback in zip(self._pending, batch, strict=True):
            self._tell(trial, feedback)

    def _propose_valid(self) -> tuple[T, Params]:
        """Return the next proposal that keeps the rules or, after many that do not, a random candidate."""
        setup = self._setup
        for i in range(setup.max_rejections):
            trial, params = self._propose()
            if setup.keeps_rules(params):
                return trial, params
            is_told = i < setup.n_rejections_told
            self._tell(trial, rule_violation(len(setup.objectives)) if is_told else FAILED)
        self._study.enqueue(setup.draw_valid())
        return self._propose()

    def _propose(self) -> tuple[T, Params]:
        trial = self._study.ask()
        return trial, {name: _suggest_value(trial, name, axis) for name, axis in self._setup.axes.items()}

    def _tell(self, trial: T, feedback: Feedback) -> None:
        # One number: samplers only compare sums of violations, and rustuna adds several up in the order of a hash map,
        # so that the last bit could differ.
        if feedback.violations or self._setup.n_rejections_told:
            trial.set_constraint("violation", feedback.total_violation)
        self._study.tell(trial, feedback.values)


def _suggest_value(trial: BackendTrial, name: str, axis: Parameter) -> Value:
    scale = axis.scale
    if scale is None:
        choice: Value = trial.suggest_categorical(name, list(axis.ends()))
        return choice
    if scale.is_whole:
        return trial.suggest_int(name, int(scale.low), int(scale.high), log=scale.is_log)
    return trial.suggest_float(name, scale.low, scale.high, log=scale.is_log)
