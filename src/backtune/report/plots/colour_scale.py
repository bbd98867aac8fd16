"""The position of a value among others on the colour scale from worst to best."""

from __future__ import annotations

from collections.abc import Sequence

# Metrics whose sign tells a gain from a loss.
SIGNED_METRICS = frozenset(
    {"total_return", "annual_return", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "burke_ratio"}
)


def compute_colour(value: float, known: Sequence[float], *, is_signed: bool, minimize: bool = False) -> float:
    """Compute the position of a value between the worst, -1, and the best, 1.

    Args:
        value: The value.
        known: All values on the scale, this one among them.
        is_signed: True if zero is the middle of the scale; otherwise the middle of the range of values is.
        minimize: True if low values are good.
    """
    low, high = min(known), max(known)
    if is_signed:
        size = max(-low, high)
        share = value / size if size > 0 else 0.0
    else:
        share = 2 * (value - low) / (high - low) - 1 if high > low else 0.0
    return -share if minimize else share
