"""Exhaustive search: every combination of the levels of every parameter, once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.suggester import Suggester
from backtune.space import Params, Space, Value

_ROUNDS = 4


class GridSuggester(Suggester):
    """A suggester that visits the cartesian product of all levels in a seeded order, and ends after ``size`` candidates.

    The order is a permutation computed index by index, so that a budget smaller than the grid still visits every
    region of it, and a product of any size takes no memory. A continuous Float is cut into ten levels, evenly
    spaced from ``low`` to ``high``, or evenly in the logarithm on a log scale; give it a ``step`` to choose others.
    Enqueued candidates come first and are not visited again; candidates that break a rule are left out. Feedback
    changes nothing.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        batch_size: int,
        keeps_rules: Callable[[Params], bool] = lambda _: True,
    ) -> None:
        self._space = space
        self._keeps_rules = keeps_rules
        self._counts = [parameter.n_levels for parameter in space.values()]
        self._key = seed.to_bytes(8, "little")
        self._batch_size = batch_size
        self._next = 0
        self._first: list[Params] = []
        self._enqueued: set[tuple[Value, ...]] = set()

    @property
    def size(self) -> int:
        """The number of combinations; 1 for a space without parameters."""
        return math.prod(self._counts)

    @property
    def batch_size(self) -> int:
        return self._batch_size

    def ask(self, n: int) -> list[Params]:
        batch, self._first = self._first[:n], self._first[n:]
        while len(batch) < n and self._next < self.size:
            params = self._combination(_permute_index(self._next, self.size, self._key))
            self._next += 1
            if tuple(params.values()) not in self._enqueued and self._keeps_rules(params):
                batch.append(params)
        return batch

    def enqueue(self, candidates: Sequence[Params]) -> None:
        self._first += candidates
        self._enqueued |= {tuple(params[name] for name in self._space) for params in candidates}

    def tell(self, batch: Sequence[Feedback]) -> None:
        del batch

    def _combination(self, index: int) -> Params:
        params: Params = {}
        for (name, parameter), count in zip(self._space.items(), self._counts, strict=True):
            index, k = divmod(index, count)
            params[name] = parameter.level(k)
        return params


def _permute_index(index: int, size: int, key: bytes) -> int:
    """Return the image of ``index`` under the permutation of ``range(size)`` that ``key`` names.

    A Feistel network permutes the next larger power of four; an image beyond ``size`` is sent through again, which
    leaves a permutation of the smaller range (Black and Rogaway 2002, "cycle walking").
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    while True:
        left, right = index >> half, index & ((1 << half) - 1)
        for round_number in range(_ROUNDS):
            left, right = right, left ^ _scramble(right, round_number, half, key)
        index = left << half | right
        if index < size:
            return index


def _scramble(number: int, round_number: int, bits: int, key: bytes) -> int:
    n_bytes = (bits + 7) // 8
    text = number.to_bytes(n_bytes, "little") + bytes([round_number])
    digest = hashlib.blake2b(text, digest_size=min(n_bytes, 64), key=key).digest()
    return int.from_bytes(digest, "little") & ((1 << bits) - 1)
