"""The interface of a suggester, and what a suggester of a backend is built from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backtune.search.suggesters.feedback import Feedback
from backtune.space import Params, Space
from backtune.spec import Objective


@dataclass(frozen=True)
class SuggesterSetup:
    """The search that the suggester of a backend is built for.

    Attributes:
        sampler: The name of the sampler in the spec.
        axes: The parameters to search: each has more than one value, and no step other than 1.
        objectives: The metrics to maximize or to minimize.
        seed: The seed of all random numbers.
        batch_size: The number of candidates that are asked for at a time.
        keeps_rules: A function that returns whether a candidate on the axes keeps the rules of the space.
        draw_valid: A function that returns a random candidate on the axes that keeps the rules.
        max_rejections: The number of proposals in a row that may break a rule before a random candidate takes their place.
        n_rejections_told: The number of these that the sampler is told as infeasible; 0 where there are no rules.
    """

    sampler: str
    axes: Space
    objectives: tuple[Objective, ...]
    seed: int
    batch_size: int
    keeps_rules: Callable[[Params], bool]
    draw_valid: Callable[[], Params]
    max_rejections: int
    n_rejections_told: int


class Suggester(ABC):
    """The search of one study. Deterministic: equal seeds and equal feedback give equal candidates.

    ``ask`` and ``tell`` alternate; each ``tell`` answers the whole batch of the ``ask`` before it, in order. An
    instance belongs to one study and one thread. There is no state to save: the same calls on a new instance
    rebuild it.

    Ask for ``batch_size`` candidates every time, also at the end of a budget, where the ones beyond it are left
    unevaluated and the batch untold. A study that is extended later then goes on exactly as one that had the
    larger budget from the start, and backends that work in generations get whole ones.

    Candidates of one's own go in by ``enqueue``. They take places of the next batches, so that the number of
    candidates asked for stays what it is; a backend that works in generations counts them as members.
    """

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """The number of candidates to ask for at a time; it does not depend on the budget."""

    @abstractmethod
    def ask(self, n: int) -> list[Params]:
        """Return up to ``n`` candidates inside the space; fewer, or none, only when a finite space is exhausted."""

    @abstractmethod
    def enqueue(self, candidates: Sequence[Params]) -> None:
        """Let the next asks begin with these candidates, in this order; they are told like any other.

        Raises:
            SearchError: A candidate is outside of the space; none of them is taken.
        """

    @abstractmethod
    def tell(self, batch: Sequence[Feedback]) -> None:
        """Take the feedback on the last batch, in the order in which it was asked.

        Raises:
            SearchError: The number of results is not that of the candidates asked, or a number is not finite.
        """
