"""Buy weakness, sell strength, by the relative strength index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Float, Int, Space
from backtune.strategy.base import BatchedStrategy, check_periods, positions_from_sides, side_by_side
from backtune.strategy.columns import Columns
from backtune.strategy.lanes import N_LANES, lanes, load, magnitude, store_sides, where


@dataclass(frozen=True)
class RSIStrategy(BatchedStrategy):
    """Long from an RSI below ``oversold`` until it is above ``overbought``, then short until the reverse."""

    name: ClassVar[str] = "RSIStrategy"
    period: int = 14
    oversold: float = 30.0
    overbought: float = 70.0

    def __post_init__(self) -> None:
        check_periods(self.period)

    @classmethod
    def space(cls) -> Space:
        return Space(
            period=Int(5, 50, default=14),
            oversold=Float(10.0, 45.0, default=30.0),
            overbought=Float(55.0, 90.0, default=70.0),
        )

    def positions(self, bars: Bars) -> np.ndarray:
        return positions_from_sides(self, bars)

    @staticmethod
    def sides(candidates: Sequence[Any], columns: Columns) -> Iterator[np.ndarray]:
        close = columns.bars.close

        def decide(group: Sequence[RSIStrategy], sides: np.ndarray) -> None:
            periods = np.array([int(one.period) for one in group])
            levels = np.array([(float(one.oversold), float(one.overbought)) for one in group]).T.copy()
            _hold_between(close, periods, levels, sides)

        return side_by_side(candidates, columns, decide)


@njit(cache=True)
def _hold_between(close: np.ndarray, periods: np.ndarray, levels: np.ndarray, sides: np.ndarray) -> None:
    """Wilder's averages as in :func:`rsi`; the index itself, 100 gain / (gain + loss), is compared undivided.

    Args:
        periods: (N_LANES,).
        levels: (2, N_LANES) oversold and overbought.
    """
    # Lanes begin at different bars: until all have, they go one after the other.
    begin = min(periods.max() + 1, len(close))
    # Average gain and loss, and the side held.
    state = np.zeros((3, N_LANES))
    for lane in range(N_LANES):
        _begin(close[:begin], periods[lane], levels[:, lane], state[:, lane], sides[lane:])
    _go_on(close, begin, 1.0 / periods, levels, state, sides)


@njit(cache=True)
def _begin(close: np.ndarray, period: int, levels: np.ndarray, state: np.ndarray, sides: np.ndarray) -> None:
    """The first bars of one lane, and its state after them."""
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
def _go_on(
    close: np.ndarray,
    begin: int,
    weights: np.ndarray,
    levels: np.ndarray,
    state: np.ndarray,
    sides: np.ndarray,
) -> None:
    """The bars from ``begin`` on, all lanes at once."""
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
        index, whole = where(at_rest, fifty, hundred * gain), where(at_rest, one, total)
        held = where(index > overbought * whole, short, held)
        held = where(index < oversold * whole, one, held)
        store_sides(sides, i * N_LANES, held)
