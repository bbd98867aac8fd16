"""How good a value is among others, for a colour."""

from __future__ import annotations

from collections.abc import Sequence


def tone(value: float, known: Sequence[float], *, minimize: bool = False) -> float:
    """Where a value lies between the worst, -1, and the best, 1: about zero where both signs occur, else in the range.

    Args:
        known: all values that are told apart, this one among them.
    """
    low, high = min(known), max(known)
    if low < 0 < high:
        share = value / max(-low, high)
    else:
        share = 2 * (value - low) / (high - low) - 1 if high > low else 0.0
    return -share if minimize else share
