"""The batched form of :class:`~backtune.strategy.rsi.RSIStrategy`: four candidates wait together for their recursions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba import njit

from backtune.simulation.accelerated.batches import decide_in_lanes
from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.simulation.accelerated.simd import N_LANES, lanes, load, magnitude, select, store_sides


def decide_rsi(candidates: Sequence[Any], columns: SharedColumns) -> Iterator[np.ndarray]:
    """Yield the (n_bars,) int8 sides of each candidate."""
    close = columns.bars.close

    def decide(group: Sequence[Any], sides: np.ndarray) -> None:
        periods = np.array([int(one.period) for one in group])
        levels = np.array([(float(one.oversold), float(one.overbought)) for one in group]).T.copy()
        _decide_lanes(close, periods, levels, sides)

    return decide_in_lanes(candidates, columns, decide)


@njit(cache=True)
def _decide_lanes(close: np.ndarray, periods: np.ndarray, levels: np.ndarray, sides: np.ndarray) -> None:
    """Fill the sides of ``N_LANES`` candidates. The index, 100 gain / (gain + loss), is compared undivided.

    Args:
        periods: (N_LANES,) periods of Wilder's averages.
        levels: (2, N_LANES) levels of oversold and overbought.
        sides: (n_bars * N_LANES,) int8 to be filled, bar by bar.
    """
    # Lanes begin at different bars: until all have, they go one after the other.
    begin = min(periods.max() + 1, len(close))
    # Average gain and loss, and the side held.
    state = np.zeros((3, N_LANES))
    for lane in range(N_LANES):
        _decide_first_bars(close[:begin], periods[lane], levels[:, lane], state[:, lane], sides[lane:])
    _decide_other_bars(close, begin, 1.0 / periods, levels, state, sides)


@njit(cache=True)
def _decide_first_bars(
    close: np.ndarray, period: int, levels: np.ndarray, state: np.ndarray, sides: np.ndarray
) -> None:
    """Fill the sides of the first bars of one lane, and its state after them."""
    for i in range(min(period, len(close))):
        sides[i * N_LANES] = 0
    if period >= len(close):
        return
    gain = loss = held = 0.0
    for i in range(1, period + 1):
        change = close[i] - close[i - 1]
        gain += max(change, 0.0) / period
        loss += max(-change, 0.0) / period
    weight = 1.0 / period
    for i in range(period, len(close)):
        if i > period:
            half = 0.5 * weight * (close[i] - close[i - 1])
            size = abs(half)
            gain = gain * (1.0 - weight) + (size + half)
            loss = loss * (1.0 - weight) + (size - half)
        total = gain + loss
        # Without any change at all the index counts as 50.
        index, whole = (100.0 * gain, total) if total != 0.0 else (50.0, 1.0)
        held = 1.0 if index < levels[0] * whole else (-1.0 if index > levels[1] * whole else held)
        sides[i * N_LANES] = np.int8(held)
    state[0], state[1], state[2] = gain, loss, held


@njit(cache=True)
def _decide_other_bars(
    close: np.ndarray,
    begin: int,
    weights: np.ndarray,
    levels: np.ndarray,
    state: np.ndarray,
    sides: np.ndarray,
) -> None:
    """Fill the sides of the bars from ``begin`` on, for all lanes at once."""
    half_weight, kept = load(0.5 * weights, 0), load(1.0 - weights, 0)
    oversold, overbought = load(levels[0], 0), load(levels[1], 0)
    gain, loss, held = load(state[0], 0), load(state[1], 0), load(state[2], 0)
    nothing, one, fifty, hundred = lanes(0.0), lanes(1.0), lanes(50.0), lanes(100.0)
    short = lanes(-1.0)
    for i in range(begin, len(close)):
        # The sign is taken without a branch: half of size and change, half of size less change.
        half = half_weight * lanes(close[i] - close[i - 1])
        size = magnitude(half)
        gain = gain * kept + (size + half)
        loss = loss * kept + (size - half)
        total = gain + loss
        at_rest = total == nothing
        index, whole = select(at_rest, fifty, hundred * gain), select(at_rest, one, total)
        held = select(index > overbought * whole, short, held)
        held = select(index < oversold * whole, one, held)
        store_sides(sides, i * N_LANES, held)
