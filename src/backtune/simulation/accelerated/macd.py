"""The batched form of :class:`~backtune.strategy.macd.MACDStrategy`: four candidates wait together for their recursions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba import njit

from backtune.simulation.accelerated.batches import decide_in_lanes
from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.simulation.accelerated.simd import N_LANES, lanes, load, select, store_sides
from backtune.strategy.indicators import EQUAL


def decide_macd(candidates: Sequence[Any], columns: SharedColumns) -> Iterator[np.ndarray]:
    """Yield the (n_bars,) int8 sides of each candidate."""
    close = columns.bars.close

    def decide(group: Sequence[Any], sides: np.ndarray) -> None:
        periods = [(int(one.fast_period), int(one.slow_period), int(one.signal_period)) for one in group]
        _decide_lanes(close, np.array(periods).T.copy(), sides)

    return decide_in_lanes(candidates, columns, decide)


@njit(cache=True)
def _decide_lanes(close: np.ndarray, periods: np.ndarray, sides: np.ndarray) -> None:
    """Fill the sides of ``N_LANES`` candidates, with the fast and the slow average and the signal in one pass.

    Args:
        periods: (3, N_LANES) periods of the fast average, the slow average and the signal.
        sides: (n_bars * N_LANES,) int8 to be filled, bar by bar.
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
        _decide_first_bars(close[:begin], periods[:, lane], weights[:, lane], state[:, lane], sides[lane:])
    _decide_other_bars(close[begin:], weights, state, sides[begin * N_LANES :])


@njit(cache=True)
def _decide_first_bars(
    close: np.ndarray, periods: np.ndarray, weights: np.ndarray, state: np.ndarray, sides: np.ndarray
) -> None:
    """Fill the sides of the first bars of one lane, and its state after them."""
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
def _decide_other_bars(close: np.ndarray, weights: np.ndarray, state: np.ndarray, sides: np.ndarray) -> None:
    """Fill the sides of the bars that follow, for all lanes at once."""
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
        held = select(lead < lanes(-EQUAL * close[i]), short, held)
        held = select(lead > lanes(EQUAL * close[i]), long, held)
        store_sides(sides, i * N_LANES, held)
