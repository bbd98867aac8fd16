"""A suggester over a user's space, on top of a backend that searches its axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from backtune.errors import SearchError
from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.space_encoding import SpaceEncoding
from backtune.search.suggesters.suggester import Suggester
from backtune.space import Params


class SpaceSuggester(Suggester):
    """A suggester that hands out the user's values while its backend sees codes.

    Feedback is checked as a whole before any of it reaches the backend.

    Args:
        encoding: The encoding of the user's space.
        backend: The suggester of codes.
        n_objectives: The number of values that feedback has.
        translate_feedback: A function that returns a batch of feedback as the backend can take it.
    """

    def __init__(
        self,
        encoding: SpaceEncoding,
        backend: Suggester,
        *,
        n_objectives: int,
        translate_feedback: Callable[[Sequence[Feedback]], Sequence[Feedback]],
    ) -> None:
        self._encoding = encoding
        self._backend = backend
        self._n_objectives = n_objectives
        self._translate_feedback = translate_feedback
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
        return [self._encoding.decode(code) for code in codes]

    def enqueue(self, candidates: Sequence[Params]) -> None:
        self._backend.enqueue([self._encoding.encode(params) for params in candidates])

    def tell(self, batch: Sequence[Feedback]) -> None:
        if len(batch) != self._n_pending:
            raise SearchError(f"{len(batch)} results for {self._n_pending} candidates")
        for i, feedback in enumerate(batch):
            self._check_numbers(i, feedback)
        if batch:
            self._backend.tell(self._translate_feedback(batch))
        self._n_pending = 0

    def _check_numbers(self, i: int, feedback: Feedback) -> None:
        values = feedback.values or ()
        if feedback.values is not None and len(values) != self._n_objectives:
            raise SearchError(
                f"result {i} has {len(values)} values for {self._n_objectives} objectives: {feedback}"
            )
        if not all(map(math.isfinite, (*values, *feedback.violations))):
            raise SearchError(f"result {i} is not finite: {feedback}; tell a failed candidate as values=None")
