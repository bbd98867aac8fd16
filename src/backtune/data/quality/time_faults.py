"""Times and stretches that may be wrong: bars off the grid, long gaps, stretches pasted twice.

``off-grid``
    ``likely`` where fewer than one bar in 100 opens at another part of the timeframe than all others; not of bars of
    more than a week.
``long-gap``
    A time without bars of more than 20 bars and a day (five days where no bar opens on a Saturday, ten where bars are
    daily or longer), and of four times the fifth-longest. ``likely`` from 30 days and ten times on, else ``possible``.
``repeated-stretch``
    Ten or more bars that move have the prices of earlier ones in the same order. ``certain`` where the volumes are the
    same too, else ``likely``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from backtune.data.quality.finding import DAY, Confidence, Finding, JudgedBars

_WINDOW: Final = 10  # bars that have to be the same
_DIFFERENT: Final = 6  # of them that have to differ from the bar before
# Odd, so that powers have an inverse in arithmetic modulo 2**64.
_BASE: Final = 0x9E3779B97F4A7C15
_MIXERS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)


def find_time_faults(columns: JudgedBars) -> list[Finding]:
    """Bars off the grid, long gaps and repeated stretches of sorted bars."""
    return _find_off_grid(columns) + _find_long_gaps(columns) + _find_repeated(columns)


def _find_off_grid(columns: JudgedBars) -> list[Finding]:
    if columns.step > 7 * DAY or len(columns) < 10:
        return []
    # Days and longer bars follow a local clock: with summer time their opens have two usual parts.
    parts, inverse, counts = np.unique(columns.time % columns.step, return_inverse=True, return_counts=True)
    unusual = counts[inverse] < 0.01 * len(columns)
    if len(parts) == 1 or not 0 < unusual.sum() <= 0.01 * len(columns):
        return []
    row, count = int(unusual.argmax()), int(unusual.sum())
    usual = timedelta(microseconds=int(parts[counts.argmax()]))
    sentence = (
        f"{count:,} {'bar opens' if count == 1 else 'bars open'} off the grid of the others, the first at "
        f"{columns.moment(row):%Y-%m-%d %H:%M:%S} (the others {usual} after a multiple of the timeframe)"
    )
    return [Finding("off-grid", "likely", columns.moment(row), count, count / len(columns), sentence)]


def _find_long_gaps(columns: JudgedBars) -> list[Finding]:
    absent = np.diff(columns.time) - columns.step
    if not len(absent):
        return []
    gaps = np.sort(absent[absent > 0])[::-1]
    usual = int(gaps[4]) if len(gaps) >= 5 else 0
    weekdays = (columns.time // DAY + 3) % 7  # the epoch is a Thursday; Monday is 0
    closed = 10 if columns.bars_per_day <= 1 else 1 if (weekdays == 5).any() else 5
    threshold = max(4 * usual, 20 * columns.step, closed * DAY)
    long = np.flatnonzero(absent > threshold)
    if not len(long):
        return []
    row = long[absent[long].argmax()]
    longest = int(absent[row])
    confidence: Confidence = "likely" if longest >= max(10 * usual, 30 * DAY) else "possible"
    what = "1 gap is" if len(long) == 1 else f"{len(long)} gaps are"
    sentence = (
        f"{what} longer than usual, the longest of {timedelta(microseconds=longest)} after the bar of "
        f"{columns.at(row)}" + (f" (the fifth-longest: {timedelta(microseconds=usual)})" if usual else "")
    )
    return [Finding("long-gap", confidence, columns.moment(long[0]), len(long), longest / 1e6, sentence)]


def _find_repeated(columns: JudgedBars) -> list[Finding]:
    """Stretches whose prices have been there before, by the hashes of all windows of ten bars."""
    n = len(columns) - _WINDOW + 1
    if n < _WINDOW:
        return []
    prices = np.stack([columns.open, columns.high, columns.low, columns.close])
    differs = (np.diff(prices, axis=1, prepend=prices[:, :1] + 1) != 0).any(axis=0)
    n_different = np.convolve(differs, np.ones(_WINDOW, dtype=np.int64), "valid")
    windows = np.flatnonzero(n_different >= _DIFFERENT)
    hashes = _window_hashes(prices)[windows]
    twice = pl.Series(hashes).is_duplicated().to_numpy()  # hardly any are, and sorting them all takes long
    windows, hashes = windows[twice], hashes[twice]
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(np.diff(hashes[order]) == 0)
    earlier, later = windows[order[same]], windows[order[same + 1]]
    equal = (prices[:, earlier] == prices[:, later]).all(axis=0)
    earlier, later = (
        earlier[equal & (later - earlier >= _WINDOW)],
        later[equal & (later - earlier >= _WINDOW)],
    )
    if not len(later):
        return []
    by_place = np.argsort(later, kind="stable")
    earlier, later = earlier[by_place], later[by_place]
    starts = np.flatnonzero((np.diff(later, prepend=-2) != 1) | (np.diff(later - earlier, prepend=0) != 0))
    lengths = np.diff(starts, append=len(later)) + _WINDOW - 1
    longest = int(lengths.argmax())
    source, copy, length = int(earlier[starts[longest]]), int(later[starts[longest]]), int(lengths[longest])
    volumes = columns.volume[source : source + length], columns.volume[copy : copy + length]
    is_same_volume = np.array_equal(*volumes) and len(np.unique(volumes[0])) > length / 2
    what = "1 stretch has" if len(starts) == 1 else f"{len(starts):,} stretches have"
    sentence = (
        f"{what} the prices of earlier bars over again, the longest for {length:,} bars from {columns.at(copy)} on: "
        f"they are those from {columns.at(source)} on{', with their volumes' if is_same_volume else ''}"
    )
    confidence: Confidence = "certain" if is_same_volume else "likely"
    first = columns.moment(later[0])
    return [Finding("repeated-stretch", confidence, first, len(starts), float(length), sentence)]


def _window_hashes(prices: np.ndarray) -> np.ndarray:
    """Return a hash of each window of bars: sums of the bars' hashes times powers, modulo 2**64.

    Args:
        prices: (4, n_bars).
    """
    bits = np.ascontiguousarray(prices).view(np.uint64)
    bars = np.zeros(bits.shape[1], dtype=np.uint64)
    for column, mixer in zip(bits, _MIXERS, strict=True):
        bars = (bars ^ column) * np.uint64(mixer)
        bars ^= bars >> np.uint64(29)
    powers = np.cumprod(np.full(len(bars), _BASE, dtype=np.uint64))
    inverses = np.cumprod(np.full(len(bars), pow(_BASE, -1, 2**64), dtype=np.uint64))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(bars * powers)])
    return np.asarray((sums[_WINDOW:] - sums[:-_WINDOW]) * inverses[: len(bars) - _WINDOW + 1])
