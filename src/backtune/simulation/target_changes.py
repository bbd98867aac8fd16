"""Compiled search for the bars at which the target changes: only there is something to order."""

from __future__ import annotations

import numpy as np
from numba import njit

from backtune.simulation.types import TargetChanges

_EVERY_BYTE = np.uint64(0x0101010101010101)
# Beside a signed number, a word would become a float.
_ONE, _BYTE, _SEVEN_BYTES = np.uint64(1), np.uint64(8), np.uint64(56)


@njit(cache=True, error_model="numpy")
def find_target_changes(targets: np.ndarray, first_target: float, lowest: float) -> TargetChanges:
    """Find the changes of targets.

    Args:
        targets: (n,) targets; that of bar i is filled at the open of bar i + 1.
        first_target: Target that is filled at the open of bar 0.
        lowest: Least target that counts; those below it count as 0.
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
    return TargetChanges(bars[:count].copy(), values[:count].copy())


@njit(cache=True)
def find_side_changes(sides: np.ndarray, first_side: int, lowest: int) -> TargetChanges:
    """Find the changes of targets of -1, 0 and 1, (n,) int8 from an even address on; see :func:`find_target_changes`.

    Eight bars are compared in one word: most bars keep the target of the bar before.
    """
    n = max(len(sides) - 1, 0)
    words = sides[: n - n % 8].view(np.uint64)
    before = _EVERY_BYTE * np.uint64(np.uint8(first_side))
    changing = _find_changing_words(words, before)
    room = 9 + 8 * len(changing)
    bars = np.empty(room, np.int64)
    targets = np.empty(room, np.int8)
    bars[0], targets[0] = 0, first_side
    count = 1 if first_side != 0 else 0
    for word in changing:
        changed = _mark_changed_bytes(words[word], words[word - 1] if word > 0 else before)
        while changed != 0:
            i = word * 8 + _find_first_byte(changed)
            bars[count], targets[count] = i + 1, sides[i]
            count += 1
            changed &= changed - _ONE
    for i in range(n - n % 8, n):
        if sides[i] != (sides[i - 1] if i > 0 else first_side):
            bars[count], targets[count] = i + 1, sides[i]
            count += 1
    if lowest > -1:
        count = _remove_shorts(bars, targets, count)
    return TargetChanges(bars[:count], targets[:count].astype(np.float64))


@njit(cache=True)
def _find_changing_words(words: np.ndarray, before: np.uint64) -> np.ndarray:
    """Return the indices of words with a byte that differs from the one before it.

    There is no branch, because the processor would guess it wrong.
    """
    found = np.empty(len(words) + 1, np.int32)
    count = 0
    for i in range(len(words)):
        found[count] = i
        count += words[i] != (words[i] << _BYTE | before >> _SEVEN_BYTES)
        before = words[i]
    return found[:count]


@njit(cache=True)
def _mark_changed_bytes(word: np.uint64, before: np.uint64) -> np.uint64:
    """Return a word with the lowest bit of every byte that differs from the byte before, which is the next lower one."""
    differing = word ^ (word << _BYTE | before >> _SEVEN_BYTES)
    # Of -1, 0 and 1, two that differ do so in one of the two lowest bits.
    return (differing | differing >> _ONE) & _EVERY_BYTE


@njit(cache=True)
def _find_first_byte(bits: np.uint64) -> np.int64:
    """Return the index of the byte with the lowest bit, by a sum over the bytes below it.

    Args:
        bits: Bits of ``_EVERY_BYTE``, one or more.
    """
    below = ((bits & (~bits + _ONE)) - _ONE) & _EVERY_BYTE
    return np.int64(below * _EVERY_BYTE >> _SEVEN_BYTES)


@njit(cache=True)
def _remove_shorts(bars: np.ndarray, targets: np.ndarray, count: int) -> int:
    """Turn shorts to flat, in place; return the number of changes that are left."""
    left = 0
    held = 0
    for i in range(count):
        target = max(targets[i], 0)
        if target != held:
            bars[left], targets[left] = bars[i], target
            left += 1
            held = target
    return left
