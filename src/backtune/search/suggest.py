"""What a search engine must be able to do: ask for candidates, be told their results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from backtune.space import Params


@dataclass(frozen=True)
class Told:
    """What a suggester learns of one candidate.

    Attributes:
        values: one finite number per objective, or None where the evaluation failed.
        violations: one number per constraint, in a fixed order; the candidate is feasible when all are <= 0.
    """

    values: tuple[float, ...] | None
    violations: tuple[float, ...] = ()

    @property
    def feasible(self) -> bool:
        return self.values is not None and all(violation <= 0 for violation in self.violations)


class Suggester(ABC):
    """One search of one study. Deterministic: equal seeds and equal results told give equal candidates.

    ``ask`` and ``tell`` alternate; each ``tell`` answers the whole batch of the ``ask`` before it, in order. An
    instance belongs to one study and one thread.
    """

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """How many candidates to ask for at a time; does not depend on the budget."""

    @abstractmethod
    def ask(self, n: int) -> list[Params]:
        """Up to ``n`` candidates inside the space; fewer, or none, only when a finite space is exhausted."""

    @abstractmethod
    def tell(self, results: Sequence[Told]) -> None:
        """Take the results of the last batch, in the order in which it was asked.

        Raises:
            SearchError: there are not as many results as candidates asked.
        """
