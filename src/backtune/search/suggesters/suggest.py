"""What a search backend must be able to do: ask for candidates, be told their results."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backtune.space import Params, Space
from backtune.spec import Objective


class Told(NamedTuple):
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

    @property
    def total_violation(self) -> float:
        """The sum of the positive violations: how backends compare candidates that are not feasible."""
        return float(sum(violation for violation in self.violations if violation > 0))


@dataclass(frozen=True)
class Setup:
    """What a backend is built for.

    Attributes:
        sampler: its name in the spec.
        axes: parameters without a step other than 1, each with more than one value.
        objectives: one per objective.
        accepts: whether a candidate on the axes keeps the rules of the space.
        draw: a random candidate that does.
        n_tries: how many proposals in a row may break a rule before a random candidate takes their place.
        n_taught: how many of these the sampler is told as infeasible; 0 where there are no rules.
    """

    sampler: str
    axes: Space
    objectives: tuple[Objective, ...]
    seed: int
    batch_size: int
    accepts: Callable[[Params], bool]
    draw: Callable[[], Params]
    n_tries: int
    n_taught: int


class Suggester(ABC):
    """One search of one study. Deterministic: equal seeds and equal results told give equal candidates.

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
        """How many candidates to ask for at a time; does not depend on the budget."""

    @abstractmethod
    def ask(self, n: int) -> list[Params]:
        """Up to ``n`` candidates inside the space; fewer, or none, only when a finite space is exhausted."""

    @abstractmethod
    def enqueue(self, candidates: Sequence[Params]) -> None:
        """Let the next asks begin with these candidates, in this order; they are told like any other.

        Raises:
            SearchError: a candidate is outside of the space; none of them is taken.
        """

    @abstractmethod
    def tell(self, results: Sequence[Told]) -> None:
        """Take the results of the last batch, in the order in which it was asked.

        Raises:
            SearchError: there are not as many results as candidates asked, or a number is not finite.
        """


FAILED = Told(None)


def broken_rule(n_objectives: int) -> Told:
    """What a sampler is told of a proposal that breaks a rule, where it can learn from that."""
    return Told((0.0,) * n_objectives, (1.0,))


def failed_as_worst(results: Sequence[Told]) -> Sequence[Told]:
    """A batch with its failed candidates as the most infeasible ones, which keeps a generation whole.

    Told as failed they would not count, and a generation with a single failure would be asked for once more. Where
    nothing succeeded there is no one to breed from, and the backend had better start afresh: they stay failed.
    """
    n_objectives = next((len(result.values) for result in results if result.values is not None), None)
    if n_objectives is None:
        return results
    worst = Told(values=(0.0,) * n_objectives, violations=(sys.float_info.max,))
    return [worst if result.values is None else result for result in results]


def ranked(results: Sequence[Told], *, minimize: bool) -> Sequence[Told]:
    """A batch of one objective for a sampler that knows neither constraints nor failures, but only compares.

    A batch in which every candidate is feasible is told as it is. Otherwise each candidate is told its place in the
    batch instead of its value: the feasible ones by value, then the infeasible ones by total violation, then the
    failed ones. A sampler that uses only the order within a generation, as CMA-ES does, loses nothing by it, and
    there is no penalty weight to choose.
    """
    if all(result.feasible for result in results):
        return [Told(result.values) for result in results]
    sign = 1.0 if minimize else -1.0

    def badness(i: int) -> tuple[int, float]:
        result = results[i]
        if result.values is None:
            return 2, 0.0
        return (0, sign * result.values[0]) if result.feasible else (1, result.total_violation)

    places = {i: place for place, i in enumerate(sorted(range(len(results)), key=badness))}
    return [Told((sign * places[i],)) for i in range(len(results))]
