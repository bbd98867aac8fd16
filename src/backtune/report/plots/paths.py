"""Many points as one SVG path."""

from __future__ import annotations

import numpy as np

from backtune.report.markup import format_coordinate


def draw_line(x: np.ndarray, y: np.ndarray) -> str:
    """Return a path through all points in order, in tenths; relative steps keep it short."""
    if not len(x):
        return ""
    places = np.rint(np.stack([x, y], axis=-1) * 10).astype(np.int64)
    steps = "".join(_tenths(step) for step in np.diff(places, axis=0).ravel().tolist())
    start = "M" + "".join(_tenths(place) for place in places[0].tolist()).strip()
    return f"{start}l{steps.strip()}" if steps else start


def _tenths(n: int) -> str:
    """Format a number of tenths, with a minus sign or a space before it."""
    whole, rest = divmod(abs(n), 10)
    text = f"{whole or '' if rest else whole}{f'.{rest}' if rest else ''}"
    return f"-{text}" if n < 0 else f" {text}"


def draw_steps(x: np.ndarray, y: np.ndarray, end: float) -> str:
    """Return a step path, level from each point to the x of the next one, and from the last to ``end``."""
    if not len(x):
        return ""
    moves = "".join(
        f"H{format_coordinate(a)}V{format_coordinate(b)}" for a, b in zip(x[1:], y[1:], strict=True)
    )
    return f"M{format_coordinate(x[0])} {format_coordinate(y[0])}{moves}H{format_coordinate(end)}"


def draw_dots(x: np.ndarray, y: np.ndarray) -> str:
    """Return a path with a dot at each point, for a stroke with round ends; equal dots are drawn once."""
    spots = dict.fromkeys(
        f"M{a} {b}h0" for a, b in zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True)
    )
    return "".join(spots)


def select_extremes(x: np.ndarray, y: np.ndarray, n_columns: int) -> np.ndarray:
    """Return the rows of the lowest and the highest value in each of ``n_columns`` equal columns, and the first and last row.

    A drawing of these rows looks like one of all rows.

    Args:
        x: (n,) ascending positions.
        y: (n,) finite values.
        n_columns: The number of columns.
    """
    n = len(x)
    if n <= 2 * n_columns:
        return np.arange(n)
    columns = np.minimum(((x - x[0]) / (x[-1] - x[0]) * n_columns).astype(np.int64), n_columns - 1)
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    ends = np.append(starts[1:], n)
    kept = [0, n - 1]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        kept += [start + int(y[start:end].argmin()), start + int(y[start:end].argmax())]
    return np.unique(kept)
