"""Sides of a batch of candidates: one at a time over shared columns, or four at a time in one vector register.

A side is a target that is long, short or flat: 1, -1 or 0, in one byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.simulation.accelerated.simd import N_LANES, split_lanes

# Bytes of the memory's lines: the sides of every candidate begin at one.
_LINE = 64

# For each candidate in order, (n_bars,) int8 sides; the array may be written again for the next candidate.
BatchedForm = Callable[[Sequence[Any], SharedColumns], Iterator[np.ndarray]]


def decide_one_by_one(
    candidates: Sequence[Any], columns: SharedColumns, decide: Callable[[Any, np.ndarray], object]
) -> Iterator[np.ndarray]:
    """Yield the sides of candidates that share columns and nothing else.

    Args:
        decide: Function that fills the (n_bars,) int8 sides of one candidate.
    """
    out = np.empty(len(columns.bars), np.int8)
    for candidate in candidates:
        decide(candidate, out)
        yield out


def decide_in_lanes(
    candidates: Sequence[Any], columns: SharedColumns, decide: Callable[[Sequence[Any], np.ndarray], object]
) -> Iterator[np.ndarray]:
    """Yield the sides of candidates that are decided ``N_LANES`` at a time.

    Args:
        decide: Function that fills the (n_bars * N_LANES,) int8 sides of ``N_LANES`` candidates, bar by bar.
    """
    n = len(columns.bars)
    together = np.empty(n * N_LANES, np.int8)
    out = np.empty((N_LANES, n + -n % _LINE), np.int8)[:, :n]
    for first in range(0, len(candidates), N_LANES):
        group = candidates[first : first + N_LANES]
        decide([*group, *[group[-1]] * (N_LANES - len(group))], together)
        split_lanes(together, out)
        yield from out[: len(group)]
