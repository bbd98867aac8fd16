"""The batched form of :class:`~backtune.strategy.bollinger_bands.BollingerBandsStrategy`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba import njit

from backtune.simulation.accelerated.batches import decide_one_by_one
from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.simulation.accelerated.simd import N_LANES, lanes, load, unpack_lanes
from backtune.strategy.indicators import EQUAL, PrefixSums

# Blocks whose running sums are taken side by side.
_N_PARALLEL = 4
# Bars that the passes over a few blocks should have at least.
_PASS_BARS = 1024

_EVERY_BYTE, _BITS = np.uint64(0x0101010101010101), np.uint64(0x0303030303030303)
# Beside a signed number, a word would become a float.
_ONE, _TWO, _BYTE, _TWO_BYTES = np.uint64(1), np.uint64(2), np.uint64(8), np.uint64(16)
_FOUR_BYTES, _SIX_BYTES, _SEVEN_BYTES = np.uint64(32), np.uint64(48), np.uint64(56)


def decide_bollinger_bands(candidates: Sequence[Any], columns: SharedColumns) -> Iterator[np.ndarray]:
    """Yield the (n_bars,) int8 sides of each candidate."""
    close, sums = columns.bars.close, columns.close_sums

    def decide(candidate: Any, out: np.ndarray) -> None:
        _encode_bars(close, sums, int(candidate.period), float(candidate.num_std), out)
        _hold_sides(out)

    return decide_one_by_one(candidates, columns, decide)


@njit(cache=True)
def _encode_bars(close: np.ndarray, sums: PrefixSums, period: int, num_std: float, out: np.ndarray) -> None:
    """Fill ``out`` with the code of every bar that :func:`_hold_sides` reads.

    The sum of squares runs from bar to bar through a block of ``period`` bars and begins afresh in the next one, as in
    :func:`~backtune.strategy.indicators.rolling_squares`.
    """
    if period > len(close):
        out[:] = 0
        return
    out[: period - 1] = 0
    share = num_std * num_std / period
    # Blocks that are gone through together, in passes which the vector units can take.
    n_blocks = _N_PARALLEL * max(1, _PASS_BARS // (_N_PARALLEL * period))
    means, squares = np.zeros(n_blocks * period), np.zeros(n_blocks * period)
    for first in range(period - 1, len(close), n_blocks * period):
        prices = close[first : first + n_blocks * period]
        n = len(prices)
        _fill_means(sums.high[first + 1 - period :], sums.low[first + 1 - period :], period, means[:n])
        _fill_changes(close[first + 1 - period :], prices, means, squares)
        for start in range(0, n, period):
            window = close[first + start + 1 - period : first + start + 1]
            squares[start] = _sum_of_squares(window, means[start])
        for block in range(0, n_blocks, _N_PARALLEL):
            _accumulate(squares[block * period : (block + _N_PARALLEL) * period], period)
        _fill_codes(prices, means, squares, share, out[first : first + n])


@njit(cache=True)
def _fill_means(high: np.ndarray, low: np.ndarray, period: int, out: np.ndarray) -> None:
    """Fill ``out`` with means of ``period`` values each, from their prefix sums."""
    # Slices, because an index that might be negative keeps the loop from the vector units.
    now, now_low = high[period:], low[period:]
    for i in range(len(out)):
        out[i] = ((now[i] - high[i]) + (now_low[i] - low[i])) / period


@njit(cache=True)
def _fill_changes(before: np.ndarray, prices: np.ndarray, means: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out`` with the changes of the sum of squares from bar to bar; ``before`` begins a window ahead of ``prices``."""
    last, next_means, changes = prices[1:], means[1:], out[1:]
    for i in range(len(last)):
        new, old = last[i], before[i]
        changes[i] = (new - old) * ((new - next_means[i]) + (old - means[i]))


@njit(cache=True)
def _accumulate(changes: np.ndarray, period: int) -> None:
    """Turn the changes of four blocks of ``period`` bars into running sums: side by side, so that none waits for another."""
    first, second = changes[:period], changes[period : 2 * period]
    third, fourth = changes[2 * period : 3 * period], changes[3 * period :]
    a = b = c = d = 0.0
    for i in range(period):
        a += first[i]
        b += second[i]
        c += third[i]
        d += fourth[i]
        first[i], second[i], third[i], fourth[i] = a, b, c, d


@njit(cache=True)
def _fill_codes(
    prices: np.ndarray, means: np.ndarray, squares: np.ndarray, share: float, out: np.ndarray
) -> None:
    """Fill ``out`` with a code for every bar: the side that fades it, 1 for long and 2 for short, times 5 outside of the
    bands, times 4 inside, where a position on that side is kept and none begins.
    """
    for i in range(len(prices)):
        distance, tie = prices[i] - means[i], EQUAL * prices[i]
        outside = distance * distance > share * max(squares[i], 0.0) + tie * tie
        side = (1.0 if distance < -tie else 0.0) + (2.0 if distance > tie else 0.0)
        out[i] = np.int8(side * (5.0 if outside else 4.0))


@njit(cache=True)
def _hold_sides(codes: np.ndarray) -> None:
    """Turn the codes of bars into sides, in place; (n,) int8 that begin at a word.

    A bar's side is what it begins or what it keeps of the bar before, one bit for long and one for short. Eight bars
    are decided in a word, in three steps over one, two and four bars.
    """
    words = codes[: len(codes) - len(codes) % 8].view(np.uint64)
    held = np.uint64(0)
    for word in range(len(words)):
        begins, keeps = words[word] & _BITS, words[word] >> _TWO & _BITS
        begins |= keeps & begins << _BYTE
        keeps &= keeps << _BYTE | _BITS >> _SEVEN_BYTES
        begins |= keeps & begins << _TWO_BYTES
        keeps &= keeps << _TWO_BYTES | _BITS >> _SIX_BYTES
        begins |= keeps & begins << _FOUR_BYTES
        keeps &= keeps << _FOUR_BYTES | _BITS >> _FOUR_BYTES
        now = begins | keeps & held * _EVERY_BYTE
        # Not from ``now``, which would let the next word wait for all of this one.
        held = begins >> _SEVEN_BYTES | keeps >> _SEVEN_BYTES & held
        short = now >> _ONE & _EVERY_BYTE
        # -1 is a byte of ones.
        words[word] = now & _EVERY_BYTE | (short << _BYTE) - short
    last = np.int64(held)
    for i in range(len(codes) - len(codes) % 8, len(codes)):
        last = codes[i] & 3 | codes[i] >> 2 & last
        codes[i] = (last & 1) - (last >> 1)


@njit(cache=True)
def _sum_of_squares(values: np.ndarray, center: float) -> float:
    """Return the sum of squared distances from ``center``: four sums at a time, so that none waits for the addition before it."""
    sums, middle = lanes(0.0), lanes(center)
    whole = len(values) - len(values) % N_LANES
    for i in range(0, whole, N_LANES):
        distance = load(values, i) - middle
        sums = sums + distance * distance
    a, b, c, d = unpack_lanes(sums)
    for i in range(whole, len(values)):
        a += (values[i] - center) ** 2
    total: float = (a + b) + (c + d)
    return total
