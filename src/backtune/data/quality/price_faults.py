"""Prices that may be wrong: spikes, steps of a split or of a unit, very wide bars, frozen prices.

Kinds and rules, in units of the usual move around a bar (``scale`` of :class:`~backtune.data.quality.finding.JudgedBars`); the
numbers are calibrated on two years of one-minute bars of three crypto assets, on hourly and daily bars of currencies
and shares with their flash crashes, and on simulated markets with Student's t of 3 degrees of freedom and GARCH:

``spike``
    A bar that reaches far beyond both of its neighbours: ``likely`` from 8 % and 100 usual moves on, ``possible`` from
    3 % and 30 on. Closes that go far out and come back within ten bars: ``likely`` from 5 % and 40 on, ``possible``
    from 5 % and 15 on. ``certain`` where these go as far as a factor of 10; ``possible`` at most, below a factor of 3,
    where more than five times the usual volume says that it was traded.
``unit-change``, ``split``
    The open is a round multiple of the close before, and prices stay there. ``certain`` for 100, 1,000 and so on;
    ``likely`` for the ratios of splits from 2 on; ``possible`` for 3 for 2, and where the volume jumped with it.
``large-step``, ``large-range``
    A close at most two thirds or at least four thirds of the one before, or 5 % and 60 usual moves away; a bar of 5 %
    and 100 usual moves. ``possible``; ``likely`` is a step by a factor of 10, and where one of 20 closes is as far away.
``frozen``
    Bars that repeat the price before without any movement, for longer than five times what chance makes of the series'
    usual short runs. ``certain`` where no bar of the series moves.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from backtune.data.quality.finding import Confidence, Finding, JudgedBars, factor_of, longest_by_chance, runs

_LONGEST_SPIKE: Final = 10  # bars
_SPLITS: Final = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50)
_UNITS: Final = (1e2, 1e3, 1e4, 1e5, 1e6, 1e8)
_A_THIRD_DOWN, _A_THIRD_UP = -np.log(1.5), np.log(4 / 3)
_AROUND: Final = 20  # bars on each side that show a level


class _Step(NamedTuple):
    """A lasting change of level by a round ratio above 1, up or down."""

    row: int
    ratio: float
    is_rise: bool
    confidence: Confidence


def find_price_faults(columns: JudgedBars) -> list[Finding]:
    """Spikes, steps and wide bars of sorted bars, in this order."""
    if len(columns) < 3:
        return []
    spiked, findings = _find_spikes(columns)
    steps = _find_steps(columns, spiked)
    findings += _describe_steps(columns, steps)
    known = spiked.copy()
    known[[step.row for step in steps]] = True
    return findings + _find_large_steps(columns, known) + _find_large_ranges(columns, known)


def find_frozen_prices(columns: JudgedBars) -> list[Finding]:
    """Long runs of bars that repeat the price before, or the whole bar before."""
    n = len(columns)
    flat = (columns.high == columns.low) & (columns.returns == 0)
    repeated = np.ones(n, dtype=bool)
    for prices in (columns.open, columns.high, columns.low, columns.close):
        repeated &= np.diff(prices, prepend=prices[0]) == 0
    still = flat | repeated
    still[0] = False
    share = float(still.mean())
    if n >= 10 and still.sum() >= 0.95 * (n - 1):
        sentence = f"{int(still.sum()) + 1:,} of {n:,} bars repeat one price and never move"
        return [Finding("frozen", "certain", columns.moment(0), int(still.sum()) + 1, share, sentence)]
    starts, lengths = runs(still)
    if not len(lengths):
        return []
    by_chance = 5 * longest_by_chance(lengths, n)
    long = lengths >= max(6, by_chance)
    findings = []
    if long.any():
        lasting = 5 if columns.bars_per_day <= 1 else min(20, columns.bars_per_day)
        longest = int(lengths.max())
        row = starts[lengths.argmax()]
        without_volume = not columns.volume[row : row + longest].any()
        sentence = (
            f"{long.sum():,} {'stretch repeats' if long.sum() == 1 else 'stretches repeat'} one price without any "
            f"movement{' and volume' if without_volume else ''}, the longest for {longest:,} bars from "
            f"{columns.at(row)}: it looks carried on over an outage or closed hours"
        )
        confidence: Confidence = "likely" if longest >= max(by_chance, lasting) else "possible"
        first = columns.moment(starts[long][0])
        findings.append(Finding("frozen", confidence, first, int(long.sum()), float(longest), sentence))
    elif share >= 0.2 and n >= 10:
        sentence = f"{share:.0%} of the bars repeat the price or the whole bar before"
        findings.append(
            Finding("frozen", "possible", columns.moment(starts[0]), int(still.sum()), share, sentence)
        )
    return findings


def _find_spikes(columns: JudgedBars) -> tuple[np.ndarray, list[Finding]]:
    """The bars of spikes, and the steps into and out of them, as a mask; and what is said of them."""
    wick_rows, wick_sizes = _find_wicks(columns)
    close_rows, close_sizes, back_rows = _find_excursions(columns)
    mask = np.zeros(len(columns), dtype=bool)
    mask[wick_rows] = True
    for start, back in zip(close_rows, back_rows, strict=True):
        mask[start : back + 1] = True
    # A bar that is out as a whole is found both ways; its closes tell more.
    alone = ~np.isin(wick_rows, close_rows)
    rows = np.concatenate([close_rows, wick_rows[alone]])
    sizes = np.concatenate([close_sizes, wick_sizes[alone]])
    came_back = np.arange(len(rows)) < len(close_rows)
    moves = np.abs(sizes) / columns.scale[rows]
    # Spikes on more than five times the volume of the bars around them were traded.
    around = [columns.volume[max(0, row - _AROUND) : row + _AROUND + 1] for row in rows]
    usual = np.array([np.median(volumes) for volumes in around])
    traded = (usual > 0) & (columns.volume[rows] > 5 * usual)
    far = np.where(
        came_back, (np.abs(sizes) >= 0.05) & (moves >= 40), (np.abs(sizes) >= 0.08) & (moves >= 100)
    )
    certain = far & (np.abs(sizes) >= np.log(9.99))
    likely = far & ~certain & ~(traded & (np.abs(sizes) < np.log(3)))
    findings = []
    grades: tuple[tuple[Confidence, np.ndarray], ...] = (
        ("certain", certain),
        ("likely", likely),
        ("possible", ~certain & ~likely),
    )
    for confidence, chosen in grades:
        if chosen.any():
            findings.append(_describe_spikes(columns, rows[chosen], sizes[chosen], confidence))
    return mask, findings


def _describe_spikes(
    columns: JudgedBars, rows: np.ndarray, sizes: np.ndarray, confidence: Confidence
) -> Finding:
    largest = int(np.abs(sizes).argmax())
    count, row, factor = len(rows), rows[largest], factor_of(sizes[largest])
    what = "1 price is" if count == 1 else f"{count:,} prices are"
    sentence = (
        f"{what} far out and {'comes' if count == 1 else 'come'} back, the largest by {_change(factor)} at "
        f"{columns.at(row)}, {abs(sizes[largest]) / columns.scale[row]:,.0f} times a usual move"
    )
    return Finding("spike", confidence, columns.moment(rows.min()), count, factor - 1, sentence)


def _find_wicks(columns: JudgedBars) -> tuple[np.ndarray, np.ndarray]:
    """Rows of bars that reach far beyond both of their neighbours, and how far in log terms."""
    high, low = np.log(columns.high), np.log(columns.low)
    up = high[1:-1] - np.maximum(high[:-2], high[2:])
    down = low[1:-1] - np.minimum(low[:-2], low[2:])
    size = np.where(up > -down, up, down)
    reach = np.abs(size) * ((up > 0) | (down < 0))
    rows = np.flatnonzero((reach >= 0.03) & (reach >= 30 * columns.scale[1:-1])) + 1
    rows = rows[~columns.is_coarse(rows, size[rows - 1])]
    return rows, size[rows - 1]


def _find_excursions(columns: JudgedBars) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Closes that go far out and come back within ten bars: first row out, size in log terms, first row back."""
    sizes = np.abs(columns.returns)
    jumps = np.flatnonzero((sizes >= 0.05) & (sizes >= 15 * columns.scale))
    found: list[tuple[int, float, int]] = []
    end = 0
    for i, row in enumerate(jumps):
        if row < end:
            continue
        for back in jumps[i + 1 : i + 1 + _LONGEST_SPIKE]:
            out, home = columns.returns[row], columns.returns[back]
            if back - row > _LONGEST_SPIKE:
                break
            level_is_kept = abs(np.log(columns.close[back] / columns.close[row - 1])) <= 0.3 * abs(out)
            if out * home < 0 and level_is_kept:
                found.append((int(row), float(out), int(back)))
                end = int(back) + 1
                break
    rows = np.array([row for row, _, _ in found], dtype=np.int64)
    return rows, np.array([size for _, size, _ in found]), np.array([b for _, _, b in found], dtype=np.int64)


def _find_steps(columns: JudgedBars, spiked: np.ndarray) -> list[_Step]:
    """Opens at a round multiple of the close before, where the level stays."""
    gap = np.log(columns.open[1:]) - np.log(columns.close[:-1])
    usual = columns.scale[1:] * np.sqrt(columns.elapsed[1:])
    rows = np.flatnonzero((np.abs(gap) >= np.log(1.45)) & (np.abs(gap) >= 20 * usual) & ~spiked[1:]) + 1
    rows = rows[~columns.is_coarse(rows, gap[rows - 1])]
    steps = []
    for row in rows:
        size, tolerance = gap[row - 1], float(np.clip(4.4 * usual[row - 1], 0.01, 0.08))
        ratio = _round_ratio(abs(size), tolerance)
        if ratio is None or not _stays(columns, int(row), size):
            continue
        confidence: Confidence = "certain" if ratio >= 100 else "possible" if ratio < 2 else "likely"
        # Volume that rises far more than a split makes it rise was traded.
        volume_before = float(np.median(columns.volume[max(0, row - _AROUND) : row]))
        if confidence == "likely" and 0 < 4 * ratio * volume_before < float(columns.volume[row]):
            confidence = "possible"
        steps.append(_Step(int(row), ratio, size > 0, confidence))
    return steps


def _round_ratio(size: float, tolerance: float) -> float | None:
    ratio = min((*_SPLITS, *_UNITS), key=lambda candidate: abs(np.log(candidate) - size))
    return ratio if abs(np.log(ratio) - size) <= tolerance else None


def _stays(columns: JudgedBars, row: int, size: float) -> bool:
    """Tell whether three bars or more of both sides lie where the step leads from and to."""
    before = np.log(columns.close[max(0, row - _AROUND) : row])
    after = np.log(columns.close[row : row + _AROUND])
    enough = min(len(before), len(after)) >= 3
    return enough and abs(float(np.median(after) - np.median(before)) - size) <= 0.25 * abs(size)


def _describe_steps(columns: JudgedBars, steps: list[_Step]) -> list[Finding]:
    findings = []
    for ratio, is_rise, confidence in dict.fromkeys(step[1:] for step in steps):
        rows = [step.row for step in steps if step[1:] == (ratio, is_rise, confidence)]
        is_unit = ratio in _UNITS
        kind = "unit-change" if is_unit else "split"
        new, old = ("3", "2") if ratio == 1.5 else (f"{ratio:g}", "1")
        shares = f"{old} for {new}" if is_rise else f"{new} for {old}"
        looks = "a change of unit" if is_unit else f"an unadjusted split of {shares}"
        if ratio == 10:
            looks += ", or a change of unit"
        sentence = (
            f"prices are {'multiplied' if is_rise else 'divided'} by {ratio:,g} at {columns.at(rows[0])} and stay there"
            f"{f' ({len(rows)} such steps)' if len(rows) > 1 else ''}: it looks like {looks}"
        )
        factor = ratio if is_rise else 1 / ratio
        findings.append(Finding(kind, confidence, columns.moment(rows[0]), len(rows), factor, sentence))
    return findings


def _find_large_steps(columns: JudgedBars, known: np.ndarray) -> list[Finding]:
    size = columns.returns
    usual = columns.scale * np.sqrt(columns.elapsed)
    a_third = ((size <= _A_THIRD_DOWN) | (size >= _A_THIRD_UP)) & (
        (np.abs(size) >= 10 * usual) | (columns.bars_per_day >= 1)
    )
    rows = np.flatnonzero((a_third | ((np.abs(size) >= 0.05) & (np.abs(size) >= 60 * usual))) & ~known)
    rows = rows[~columns.is_coarse(rows, size[rows])]
    if not len(rows):
        return []
    row = rows[np.abs(size[rows]).argmax()]
    factor = factor_of(size[row])
    what = "1 close is" if len(rows) == 1 else f"{len(rows):,} closes are"
    sentence = f"{what} far from the close before, the largest by {_change(factor)} at {columns.at(row)}"
    are_many = len(rows) >= max(20, 0.05 * len(columns))
    if are_many:
        sentence += ": the rows of two series may be mixed"
    confidence: Confidence = "likely" if are_many or abs(size[row]) >= np.log(9.99) else "possible"
    return [Finding("large-step", confidence, columns.moment(rows[0]), len(rows), factor - 1, sentence)]


def _find_large_ranges(columns: JudgedBars, known: np.ndarray) -> list[Finding]:
    wide = np.log(columns.high) - np.log(columns.low)
    rows = np.flatnonzero((wide >= 0.05) & (wide >= 100 * columns.scale) & ~known)
    rows = rows[~columns.is_coarse(rows, wide[rows])]
    if not len(rows):
        return []
    row = rows[wide[rows].argmax()]
    factor = factor_of(wide[row])
    what = "1 bar is" if len(rows) == 1 else f"{len(rows):,} bars are"
    sentence = (
        f"{what} very wide, the widest at {columns.at(row)} with a high {_change(factor)[1:]} above its low, "
        f"{wide[row] / columns.scale[row]:,.0f} times a usual move"
    )
    return [Finding("large-range", "possible", columns.moment(rows[0]), len(rows), factor - 1, sentence)]


def _change(factor: float) -> str:
    return f"{factor - 1:+,.1%}"
