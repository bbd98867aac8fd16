"""P-values as text."""

from __future__ import annotations


def format_p_value(p: float) -> str:
    """Return a p-value with two digits, and with three where two would not tell on which side of 0.05 it lies."""
    if p < 0.01:
        return "<0.01"
    return f"{p:.3f}" if abs(p - 0.05) < 0.005 else f"{p:.2f}"
