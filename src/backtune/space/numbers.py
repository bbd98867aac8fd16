"""Numbers that arrive as text: ``1e-3`` is text to most readers of YAML."""

from __future__ import annotations

import math
from typing import Any, Final

# Without a sign, as Python reads it too: 30, .5, 1e-3, 1_000.
NUMBER: Final = r"(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][-+]?\d+)?"


def parse_number(value: Any) -> Any:
    """Return the number that a text stands for; anything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def is_number(value: object) -> bool:
    """Return whether a value is a number of Python's own; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: int | float) -> bool:
    """Return whether a number is finite, and within the range of a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
