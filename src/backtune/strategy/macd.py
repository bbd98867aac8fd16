"""Follow momentum: long while the MACD line is above its signal line, short while it is below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Int, Space
from backtune.strategy.base import BatchedStrategy, check_periods, positions_from_sides, side_by_side
from backtune.strategy.columns import Columns
from backtune.strategy.indicators import EQUAL
from backtune.strategy.lanes import N_LANES, lanes, load, store_sides, where


@dataclass(frozen=True)
class MACDStrategy(BatchedStrategy):
    """Long while MACD(fast_period, slow_period) is above its EMA(signal_period), short while below."""

    name: ClassVar[str] = "MACDStrategy"
    fast_period: int = 12
    slow_period: int = 26
    signal_period: int = 9

    def __post_init__(self) -> None:
        check_periods(self.fast_period, self.slow_period, self.signal_period)

    @classmethod
    def space(cls) -> Space:
        return Space(
            fast_period=Int(5, 25, default=12),
            slow_period=Int(26, 100, default=26),
            signal_period=Int(3, 30, default=9),
            rules=["fast_period < slow_period"],
        )

    @classmethod
    def lookback(cls, space: Space) -> int:
        # The signal is an average of the line, which is one of the close.
        fast, slow, signal = (
            max(int(end) for end in space[name].ends())
            for name in ("fast_period", "slow_period", "signal_period")
        )
        return max(fast, slow) + signal

    def positions(self, bars: Bars) -> np.ndarray:
        return positions_from_sides(self, bars)

    @staticmethod
    def sides(candidates: Sequence[Any], columns: Columns) -> Iterator[np.ndarray]:
        close = columns.bars.close

        def decide(group: Sequence[MACDStrategy], sides: np.ndarray) -> None:
            periods = [(int(one.fast_period), int(one.slow_period), int(one.signal_period)) for one in group]
            _follow(close, np.array(periods).T.copy(), sides)

        return side_by_side(candidates, columns, decide)


@njit(cache=True)
def _follow(close: np.ndarray, periods: np.ndarray, sides: np.ndarray) -> None:
    """The side of line - signal, from the first signal on; the three averages of :func:`macd` in one pass.

    Args:
        periods: (3, N_LANES) of the fast and the slow average and the signal.
    """
    # Lanes begin at different bars: until all have, they go one after the other.
    begin = 0
    for lane in range(N_LANES):
        begin = max(begin, max(periods[0, lane], periods[1, lane]) + periods[2, lane] - 1)
    begin = min(begin, len(close))
    weights = 2.0 / (periods + 1.0)
    # Fast and slow average, signal, and the side held.
    state = np.zeros((4, N_LANES))
    for lane in range(N_LANES):
        _begin(close[:begin], periods[:, lane], weights[:, lane], state[:, lane], sides[lane:])
    _go_on(close[begin:], weights, state, sides[begin * N_LANES :])


@njit(cache=True)
def _begin(
    close: np.ndarray, periods: np.ndarray, weights: np.ndarray, state: np.ndarray, sides: np.ndarray
) -> None:
    """The first bars of one lane, and its state after them."""
    fast_weight, slow_weight, weight = weights[0], weights[1], weights[2]
    first_line = max(periods[0], periods[1]) - 1
    first = first_line + periods[2] - 1
    for i in range(min(first, len(close))):
        sides[i * N_LANES] = 0
    if first >= len(close):
        return
    fast, slow = close[: periods[0]].mean(), close[: periods[1]].mean()
    for i in range(periods[0], first_line + 1):
        fast = fast * (1.0 - fast_weight) + close[i] * fast_weight
    for i in range(periods[1], first_line + 1):
        slow = slow * (1.0 - slow_weight) + close[i] * slow_weight
    signal = (fast - slow) / periods[2]
    for i in range(first_line + 1, first + 1):
        fast = fast * (1.0 - fast_weight) + close[i] * fast_weight
        slow = slow * (1.0 - slow_weight) + close[i] * slow_weight
        signal += (fast - slow) / periods[2]
    held = 0.0
    for i in range(first, len(close)):
        price = close[i]
        if i > first:
            fast = fast * (1.0 - fast_weight) + price * fast_weight
            slow = slow * (1.0 - slow_weight) + price * slow_weight
            signal = signal * (1.0 - weight) + (fast - slow) * weight
        lead = (fast - slow) - signal
        held = 1.0 if lead > EQUAL * price else (-1.0 if lead < -EQUAL * price else held)
        sides[i * N_LANES] = np.int8(held)
    state[0], state[1], state[2], state[3] = fast, slow, signal, held


@njit(cache=True)
def _go_on(close: np.ndarray, weights: np.ndarray, state: np.ndarray, sides: np.ndarray) -> None:
    """The bars that follow, all lanes at once."""
    kept = 1.0 - weights
    fast_weight, slow_weight, weight = load(weights[0], 0), load(weights[1], 0), load(weights[2], 0)
    fast_kept, slow_kept, signal_kept = load(kept[0], 0), load(kept[1], 0), load(kept[2], 0)
    fast, slow, signal, held = load(state[0], 0), load(state[1], 0), load(state[2], 0), load(state[3], 0)
    long, short = lanes(1.0), lanes(-1.0)
    for i in range(len(close)):
        price = lanes(close[i])
        fast = fast * fast_kept + price * fast_weight
        slow = slow * slow_kept + price * slow_weight
        line = fast - slow
        signal = signal * signal_kept + line * weight
        lead = line - signal
        held = where(lead < lanes(-EQUAL * close[i]), short, held)
        held = where(lead > lanes(EQUAL * close[i]), long, held)
        store_sides(sides, i * N_LANES, held)
