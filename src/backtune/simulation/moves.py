"""Where targets change: what there is to fill. Compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from backtune.simulation.types import Moves

_EVERY_BYTE = np.uint64(0x0101010101010101)
# Beside a signed number, a word would become a float.
_ONE, _BYTE, _SEVEN_BYTES = np.uint64(1), np.uint64(8), np.uint64(56)


@njit(cache=True, error_model="numpy")
def moves_of(targets: np.ndarray, first_target: float, lowest: float) -> Moves:
    """Where targets change; ``targets[i]`` is filled at the open of bar i + 1, ``first_target`` at that of bar 0.

    Targets below ``lowest`` count as 0.
    """
    n = len(targets)
    bars = np.empty(n, np.int64)
    values = np.empty(n)
    count = 0
    held = 0.0
    pending = first_target
    for i in range(n):
        target = pending if pending >= lowest else 0.0
        pending = targets[i]
        if target != held:
            held = target
            bars[count] = i
            values[count] = target
            count += 1
    return Moves(bars[:count].copy(), values[:count].copy())


@njit(cache=True)
def moves_of_sides(sides: np.ndarray, first_side: int, lowest: int) -> Moves:
    """:func:`moves_of` for targets of -1, 0 and 1, (n,) int8 from an even address on.

    Eight bars are compared in one word: most bars keep the target of the bar before.
    """
    n = max(len(sides) - 1, 0)
    words = sides[: n - n % 8].view(np.uint64)
    before = _EVERY_BYTE * np.uint64(np.uint8(first_side))
    changing = _changing_words(words, before)
    room = 9 + 8 * len(changing)
    bars = np.empty(room, np.int64)
    targets = np.empty(room, np.int8)
    bars[0], targets[0] = 0, first_side
    count = 1 if first_side != 0 else 0
    for word in changing:
        changes = _changes(words[word], words[word - 1] if word > 0 else before)
        while changes != 0:
            i = word * 8 + _first_byte(changes)
            bars[count], targets[count] = i + 1, sides[i]
            count += 1
            changes &= changes - _ONE
    for i in range(n - n % 8, n):
        if sides[i] != (sides[i - 1] if i > 0 else first_side):
            bars[count], targets[count] = i + 1, sides[i]
            count += 1
    if lowest > -1:
        count = _without_shorts(bars, targets, count)
    return Moves(bars[:count], targets[:count].astype(np.float64))


@njit(cache=True)
def _changing_words(words: np.ndarray, before: np.uint64) -> np.ndarray:
    """Which words hold a byte that differs from the one before it; without a branch, for it would be guessed wrong."""
    found = np.empty(len(words) + 1, np.int32)
    count = 0
    for i in range(len(words)):
        found[count] = i
        count += words[i] != (words[i] << _BYTE | before >> _SEVEN_BYTES)
        before = words[i]
    return found[:count]


@njit(cache=True)
def _changes(word: np.uint64, before: np.uint64) -> np.uint64:
    """The lowest bit of every byte that differs from the byte before, which is the next lower one."""
    differing = word ^ (word << _BYTE | before >> _SEVEN_BYTES)
    # Of -1, 0 and 1, two that differ do so in one of the two lowest bits.
    return (differing | differing >> _ONE) & _EVERY_BYTE


@njit(cache=True)
def _first_byte(bits: np.uint64) -> np.int64:
    """Which byte holds the lowest bit, one of ``_EVERY_BYTE``: counts the bytes below it, by a sum over all bytes."""
    below = ((bits & (~bits + _ONE)) - _ONE) & _EVERY_BYTE
    return np.int64(below * _EVERY_BYTE >> _SEVEN_BYTES)


@njit(cache=True)
def _without_shorts(bars: np.ndarray, targets: np.ndarray, count: int) -> int:
    """Shorts become flat, in place; returns how many moves are left."""
    left = 0
    held = 0
    for i in range(count):
        target = max(targets[i], 0)
        if target != held:
            bars[left], targets[left] = bars[i], target
            left += 1
            held = target
    return left
