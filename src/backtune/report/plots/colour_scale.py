"""How good a value is among others, for a colour."""

from __future__ import annotations

from collections.abc import Sequence

# Metrics whose sign says whether money was made.
SIGNED_METRICS = frozenset(
    {"total_return", "annual_return", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "burke_ratio"}
)


def compute_colour(value: float, known: Sequence[float], *, is_signed: bool, minimize: bool = False) -> float:
    """Where a value lies between the worst, -1, and the best, 1.

    Args:
        known: all values that are told apart, this one among them.
        is_signed: whether zero is the middle, wherever the values are; else the middle of their range is.
    """
    low, high = min(known), max(known)
    if is_signed:
        size = max(-low, high)
        share = value / size if size > 0 else 0.0
    else:
        share = 2 * (value - low) / (high - low) - 1 if high > low else 0.0
    return -share if minimize else share
