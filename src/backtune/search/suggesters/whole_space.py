"""A suggester over a user's space, on top of a backend that searches its free parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from backtune.errors import SearchError
from backtune.search.suggesters.coding import Coding
from backtune.search.suggesters.suggest import Suggester, Told
from backtune.space import Params


class WholeSpace(Suggester):
    """Speaks the user's values, and lets its backend speak codes.

    What is told is checked whole before any of it reaches the backend.

    Args:
        digest: what the backend is told of a batch.
    """

    def __init__(
        self,
        coding: Coding,
        backend: Suggester,
        *,
        n_objectives: int,
        digest: Callable[[Sequence[Told]], Sequence[Told]],
    ) -> None:
        self._coding = coding
        self._backend = backend
        self._n_objectives = n_objectives
        self._digest = digest
        self._n_pending = 0

    @property
    def batch_size(self) -> int:
        return self._backend.batch_size

    def ask(self, n: int) -> list[Params]:
        if self._n_pending:
            raise SearchError(
                f"{self._n_pending} candidates were asked and not told; tell their results first"
            )
        codes = self._backend.ask(n)
        self._n_pending = len(codes)
        return [self._coding.decoded(code) for code in codes]

    def enqueue(self, candidates: Sequence[Params]) -> None:
        self._backend.enqueue([self._coding.encoded(params) for params in candidates])

    def tell(self, results: Sequence[Told]) -> None:
        if len(results) != self._n_pending:
            raise SearchError(f"{len(results)} results for {self._n_pending} candidates")
        for i, result in enumerate(results):
            self._check_numbers(i, result)
        if results:
            self._backend.tell(self._digest(results))
        self._n_pending = 0

    def _check_numbers(self, i: int, result: Told) -> None:
        if result.values is not None and len(result.values) != self._n_objectives:
            raise SearchError(
                f"result {i} has {len(result.values)} values for {self._n_objectives} objectives: {result}"
            )
        if not all(map(math.isfinite, (*(result.values or ()), *result.violations))):
            raise SearchError(f"result {i} is not finite: {result}; tell a failed candidate as values=None")
