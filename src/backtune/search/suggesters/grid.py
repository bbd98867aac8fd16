"""Exhaustive search: every combination of the levels of every parameter, once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

from backtune.search.suggesters.suggest import Suggester, Told
from backtune.space import Choice, Float, Parameter, Params, Space, Value

CONTINUOUS_LEVELS = 10
_ROUNDS = 4


class GridSuggester(Suggester):
    """Visits the cartesian product of all levels in a seeded order, and is exhausted after ``size`` candidates.

    The order is a permutation computed index by index, so that a budget smaller than the grid still meets every
    region of it, and a product of any size takes no memory. A continuous Float is cut into ten levels, evenly
    spaced from ``low`` to ``high``, or evenly in the logarithm on a log scale; give it a ``step`` to choose others.
    What is enqueued comes first and is not met again; what is not accepted is passed over. Results told change
    nothing.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        batch_size: int,
        accepts: Callable[[Params], bool] = lambda _: True,
    ) -> None:
        self._space = space
        self._accepts = accepts
        self._counts = [n_levels(parameter) or CONTINUOUS_LEVELS for parameter in space.values()]
        self._key = seed.to_bytes(8, "little")
        self._batch_size = batch_size
        self._next = 0
        self._first: list[Params] = []
        self._enqueued: set[tuple[Value, ...]] = set()

    @property
    def size(self) -> int:
        """How many combinations there are; 1 for a space without parameters."""
        return math.prod(self._counts)

    @property
    def batch_size(self) -> int:
        return self._batch_size

    def ask(self, n: int) -> list[Params]:
        batch, self._first = self._first[:n], self._first[n:]
        while len(batch) < n and self._next < self.size:
            params = self._combination(_permuted(self._next, self.size, self._key))
            self._next += 1
            if tuple(params.values()) not in self._enqueued and self._accepts(params):
                batch.append(params)
        return batch

    def enqueue(self, candidates: Sequence[Params]) -> None:
        self._first += candidates
        self._enqueued |= {tuple(params[name] for name in self._space) for params in candidates}

    def tell(self, results: Sequence[Told]) -> None:
        del results

    def _combination(self, index: int) -> Params:
        params: Params = {}
        for (name, parameter), count in zip(self._space.items(), self._counts, strict=True):
            index, k = divmod(index, count)
            params[name] = level(parameter, k)
        return params


def n_levels(parameter: Parameter) -> int | None:
    """How many values a parameter can take; None where the range is continuous."""
    if isinstance(parameter, Choice):
        return len(parameter.choices)
    if parameter.low == parameter.high:
        return 1
    if parameter.step is None:
        return None
    # The tolerance is that of Float.grid: 0 to 0.3 in steps of 0.1 has four levels, rounding notwithstanding.
    return math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) + 1


def level(parameter: Parameter, k: int) -> Value:
    """The ``k``-th value of a parameter, counted from ``low``; of a continuous one, the ``k``-th of ten."""
    if isinstance(parameter, Choice):
        return parameter.choices[k]
    if not isinstance(parameter, Float):
        return parameter.low + k * parameter.step
    if k == 0 or parameter.step is not None:
        return float(parameter.at(k))
    fraction = k / (CONTINUOUS_LEVELS - 1)
    low, high = float(parameter.low), float(parameter.high)
    between = low * (high / low) ** fraction if parameter.log else low + (high - low) * fraction
    return min(between, high) if fraction < 1 else high


def _permuted(index: int, size: int, key: bytes) -> int:
    """Where ``index`` lands in the permutation of ``range(size)`` that ``key`` names.

    A Feistel network permutes the next larger power of four; an image beyond ``size`` is sent through again, which
    leaves a permutation of the smaller range (Black and Rogaway 2002, "cycle walking").
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    while True:
        left, right = index >> half, index & ((1 << half) - 1)
        for round_number in range(_ROUNDS):
            left, right = right, left ^ _scrambled(right, round_number, half, key)
        index = left << half | right
        if index < size:
            return index


def _scrambled(number: int, round_number: int, bits: int, key: bytes) -> int:
    n_bytes = (bits + 7) // 8
    text = number.to_bytes(n_bytes, "little") + bytes([round_number])
    digest = hashlib.blake2b(text, digest_size=min(n_bytes, 64), key=key).digest()
    return int.from_bytes(digest, "little") & ((1 << bits) - 1)
