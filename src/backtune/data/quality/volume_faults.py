"""Volumes that may be wrong: absent ones, and changes of their unit.

``no-volume``
    ``certain`` where no bar has any; ``likely`` where half of the bars that move have none, or where bars that move
    have none for longer than five times what chance makes; ``possible`` where any bar moves without.
``volume-unit-change``
    The median of two days (or of 100 bars) rises or falls by a factor of 8, from one bar to the next and by eight times
    what it usually does. ``likely`` from a factor of 30 on, ``possible`` below.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from backtune.data.quality.finding import Confidence, Finding, JudgedBars, factor_of, longest_by_chance, runs

_SHORT: Final = 15  # bars on each side that show whether a change is sudden


def find_volume_faults(columns: JudgedBars) -> list[Finding]:
    """Absent volumes and changes of unit of sorted bars."""
    if not columns.volume.any():
        n = len(columns)
        sentence = f"no bar of {n:,} has a volume" if n > 1 else "the only bar has no volume"
        return [Finding("no-volume", "certain", columns.moment(0), n, 1.0, sentence)]
    return _find_absent_volume(columns) + _find_unit_change(columns)


def _find_absent_volume(columns: JudgedBars) -> list[Finding]:
    moves = (columns.high > columns.low) | (columns.returns != 0)
    absent = moves & (columns.volume == 0)
    if not absent.any():
        return []
    starts, lengths = runs(absent)
    longest, count, share = int(lengths.max()), int(absent.sum()), float(absent.sum() / moves.sum())
    lasting = 5 if columns.bars_per_day <= 1 else 20
    is_long = longest >= max(lasting, 5 * longest_by_chance(lengths, len(columns)))
    confidence: Confidence = "likely" if share >= 0.5 or is_long else "possible"
    sentence = (
        f"{count:,} of {int(moves.sum()):,} bars that move ({share:.1%}) have no volume, {longest:,} in a row from "
        f"{columns.at(starts[lengths.argmax()])} on"
    )
    return [Finding("no-volume", confidence, columns.moment(starts[0]), count, share, sentence)]


def _find_unit_change(columns: JudgedBars) -> list[Finding]:
    rows = np.flatnonzero(columns.volume)
    size = np.log(columns.volume[rows])
    window = int(max(100, 2 * columns.bars_per_day)) if columns.bars_per_day > 1 else 40
    block = window // 5
    n_blocks = len(size) // block
    if n_blocks < 4:
        return []
    medians = np.median(size[: n_blocks * block].reshape(n_blocks, block), axis=1)
    # The block between the two that are compared may hold the change.
    changes = medians[2:] - medians[:-2]
    usual = float(np.median(np.abs(changes)))
    for middle in np.argsort(-np.abs(changes))[:3] + 1:
        if abs(changes[middle - 1]) < max(np.log(8), 8 * usual):
            break
        row = _locate(size, int(middle) * block, (int(middle) + 1) * block, block)
        before, after = size[max(0, row - window) : row], size[row : row + window]
        change = float(np.median(after) - np.median(before))
        sudden = float(np.median(after[:_SHORT]) - np.median(before[-_SHORT:]))
        lasts = min(abs(change), sudden * np.sign(change)) >= np.log(8)
        apart = abs(change) >= 3 * max(_spread(before), _spread(after))
        if lasts and apart and min(len(before), len(after)) >= 2 * block:
            return [_describe(columns, rows[row], change)]
    return []


def _describe(columns: JudgedBars, row: int, change: float) -> Finding:
    factor = factor_of(abs(change))
    confidence: Confidence = "likely" if factor >= 30 else "possible"
    sentence = (
        f"volumes are about {factor:,.0f} times {'larger' if change > 0 else 'smaller'} from {columns.at(row)} on: "
        "it looks like a change of unit"
    )
    return Finding("volume-unit-change", confidence, columns.moment(row), 1, factor_of(change), sentence)


def _locate(size: np.ndarray, start: int, end: int, margin: int) -> int:
    """Return the row that parts a stretch best into a low and a high half."""
    low, high = max(1, start - margin // 2), min(len(size) - 1, end + margin // 2)
    sums = np.cumsum(size[low - 1 : high + 1])
    n = np.arange(1, len(sums))
    difference = np.abs(sums[:-1] / n - (sums[-1] - sums[:-1]) / (len(sums) - n))
    # A mean of few rows varies: weigh by how many there are on both sides.
    return low - 1 + int(n[(difference * np.sqrt(n * (len(sums) - n))).argmax()])


def _spread(size: np.ndarray) -> float:
    """Return the median distance from the median."""
    return float(np.median(np.abs(size - np.median(size))))
