"""Indicators in compiled code, on which the built-in strategies and those of users are written.

All take (n,) float64 series without NaN and return (n,) float64 with NaN until enough values are there. A value
at i uses values up to i.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# Two prices closer than this, relative to the price, are equal: far above the rounding of the running sums
# below (about 1e-14), far below any tick. Without it, rounding would trade on a constant price.
EQUAL = 1e-12
_BAD_PERIOD = "a period must be 1 or more"


class PrefixSums(NamedTuple):
    """The sums of the first i values of a series, as ``high + low``: twice the digits of a float64.

    The difference of two of them is the sum of a window to the last digit, however long the series: a plain running
    sum would carry the rounding of all bars before, and with it trade on a constant price.

    Attributes:
        high: (n + 1,) sums, rounded.
        low: (n + 1,) total rounding errors of these sums.
    """

    high: np.ndarray
    low: np.ndarray


@njit(cache=True)
def prefix_sums(values: np.ndarray) -> PrefixSums:
    """Return the prefix sums of a series, with the rounding error of every addition kept (Knuth's two-sum)."""
    n = len(values)
    high = np.empty(n + 1)
    low = np.empty(n + 1)
    total = 0.0
    lost = 0.0
    high[0] = low[0] = 0.0
    for i in range(n):
        new = total + values[i]
        part = new - total
        lost += (total - (new - part)) + (values[i] - part)
        total = new
        high[i + 1] = total
        low[i + 1] = lost
    return PrefixSums(high, low)


@njit(cache=True)
def rolling_sum(values: np.ndarray, period: int) -> np.ndarray:
    """Return the sum of the last ``period`` values, exact up to one rounding, first at index period - 1."""
    if period < 1:
        raise ValueError(_BAD_PERIOD)
    out = np.full(len(values), np.nan)
    high, low = prefix_sums(values)
    for i in range(period - 1, len(values)):
        first = i + 1 - period
        out[i] = (high[i + 1] - high[first]) + (low[i + 1] - low[first])
    return out


@njit(cache=True)
def rolling_squares(values: np.ndarray, mean: np.ndarray, period: int) -> np.ndarray:
    """Return the sum of the squared distances of the last ``period`` values from their ``mean``; rounding may leave it below 0.

    Args:
        mean: (n,) mean of the last ``period`` values at each index.
    """
    out = np.full(len(values), np.nan)
    total = 0.0
    for i in range(period - 1, len(values)):
        if (i + 1) % period == 0:
            # Summed afresh once a period, so that rounding does not grow with the length of the data.
            total = _sum_of_squares(values[i + 1 - period : i + 1], mean[i])
        else:
            new, old = values[i], values[i - period]
            total += (new - old) * ((new - mean[i]) + (old - mean[i - 1]))
        out[i] = total
    return out


@njit(cache=True)
def average_gain_loss(values: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the average gain and the average loss of :func:`rsi`, first at index ``period``; neither is negative."""
    if period < 1:
        raise ValueError(_BAD_PERIOD)
    gains, losses = np.full(len(values), np.nan), np.full(len(values), np.nan)
    gain = loss = 0.0
    weight = 1.0 / period
    for i in range(1, len(values)):
        change = values[i] - values[i - 1]
        if i <= period:
            gain += max(change, 0.0) / period
            loss += max(-change, 0.0) / period
        else:
            half = 0.5 * weight * change
            gain = gain * (1.0 - weight) + (abs(half) + half)
            loss = loss * (1.0 - weight) + (abs(half) - half)
        if i >= period:
            gains[i], losses[i] = gain, loss
    return gains, losses


@njit(cache=True)
def hold_side(
    enter_long: np.ndarray,
    enter_short: np.ndarray,
    exit_long: np.ndarray | None = None,
    exit_short: np.ndarray | None = None,
) -> np.ndarray:
    """Return the side held at each bar: 1 for long, -1 for short, 0 for flat. It begins flat.

    A side is held until the other one is entered, or until its exit where there are exits. An entry goes before an exit, and a
    long entry before a short one.

    Args:
        enter_long: (n,) truth values.
        enter_short: (n,) truth values.
        exit_long: (n,) truth values; None to leave a long position only for a short one.
        exit_short: (n,) truth values; None to leave a short position only for a long one.
    """
    sides = np.zeros(len(enter_long))
    held = 0.0
    for i in range(len(sides)):
        if enter_long[i]:
            held = 1.0
        elif enter_short[i]:
            held = -1.0
        else:
            leaves_long = exit_long is not None and held > 0.0 and exit_long[i]
            leaves_short = exit_short is not None and held < 0.0 and exit_short[i]
            held = 0.0 if leaves_long or leaves_short else held
        sides[i] = held
    return sides


@njit(cache=True)
def sma(values: np.ndarray, period: int) -> np.ndarray:
    """Return the simple moving average: the mean of the last ``period`` values, first at index period - 1."""
    if period < 1:
        raise ValueError(_BAD_PERIOD)
    n = len(values)
    out = np.full(n, np.nan)
    total = 0.0
    for i in range(period - 1, n):
        # Summed afresh once a period, so that rounding does not grow with the length of the data.
        if (i + 1) % period == 0:
            total = 0.0
            for j in range(i - period + 1, i + 1):
                total += values[j]
        else:
            total += values[i] - values[i - period]
        out[i] = total / period
    return out


@njit(cache=True)
def rolling_std(values: np.ndarray, mean: np.ndarray, period: int) -> np.ndarray:
    """Return the population standard deviation of the last ``period`` values, around their ``mean`` from :func:`sma`."""
    n = len(values)
    out = np.full(n, np.nan)
    squares = 0.0
    for i in range(period - 1, n):
        if (i + 1) % period == 0:
            squares = 0.0
            for j in range(i - period + 1, i + 1):
                squares += (values[j] - mean[i]) ** 2
        else:
            new, old = values[i], values[i - period]
            squares += (new - old) * (new - mean[i] + old - mean[i - 1])
        out[i] = np.sqrt(max(squares, 0.0) / period)
    return out


@njit(cache=True)
def ema(values: np.ndarray, period: int, start: int = 0) -> np.ndarray:
    """Return the exponential moving average with weight 2 / (period + 1), seeded by the mean of its first ``period`` values.

    Values before ``start`` are left out, so that a series with a warm-up can be smoothed again.
    """
    if period < 1:
        raise ValueError(_BAD_PERIOD)
    n = len(values)
    out = np.full(n, np.nan)
    first = start + period - 1
    if first >= n:
        return out
    total = 0.0
    for i in range(start, first + 1):
        total += values[i]
    level = total / period
    out[first] = level
    weight = 2.0 / (period + 1.0)
    for i in range(first + 1, n):
        # An average of one value is that value, without the rounding of the difference.
        level = level + weight * (values[i] - level) if period > 1 else values[i]
        out[i] = level
    return out


@njit(cache=True)
def rsi(values: np.ndarray, period: int) -> np.ndarray:
    """Return the relative strength index, in [0, 100], after Wilder (1978), first at index ``period``.

    Average gain and loss are seeded by the mean of the first ``period`` changes and smoothed with weight
    1 / period. Without any loss it is 100; without any change at all, 50.
    """
    if period < 1:
        raise ValueError(_BAD_PERIOD)
    n = len(values)
    out = np.full(n, np.nan)
    if n <= period:
        return out
    gain = 0.0
    loss = 0.0
    for i in range(1, period + 1):
        change = values[i] - values[i - 1]
        gain += max(change, 0.0)
        loss += max(-change, 0.0)
    gain /= period
    loss /= period
    out[period] = _strength(gain, loss)
    for i in range(period + 1, n):
        change = values[i] - values[i - 1]
        gain += (max(change, 0.0) - gain) / period
        loss += (max(-change, 0.0) - loss) / period
        out[i] = _strength(gain, loss)
    return out


@njit(cache=True)
def atr(high: np.ndarray, low: np.ndarray, close: np.ndarray, period: int) -> np.ndarray:
    """Return the average true range after Wilder (1978), first at index ``period``.

    The true range of a bar spans its high, its low and the close before. The average is seeded by the mean of the
    first ``period`` true ranges and smoothed with weight 1 / period.
    """
    if period < 1:
        raise ValueError(_BAD_PERIOD)
    n = len(close)
    out = np.full(n, np.nan)
    level = 0.0
    for i in range(1, n):
        true_range = max(high[i], close[i - 1]) - min(low[i], close[i - 1])
        level += true_range / period if i <= period else (true_range - level) / period
        if i >= period:
            out[i] = level
    return out


@njit(cache=True)
def macd(
    values: np.ndarray, fast_period: int, slow_period: int, signal_period: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the MACD line, which is the difference of two EMAs, and its own EMA, the signal line (Appel 1979)."""
    line = ema(values, fast_period) - ema(values, slow_period)
    return line, ema(line, signal_period, max(fast_period, slow_period) - 1)


@njit(cache=True)
def bollinger_bands(
    values: np.ndarray, period: int, num_std: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lower, middle and upper band: SMA less, and plus, ``num_std`` population deviations (Bollinger 2001)."""
    middle = sma(values, period)
    width = num_std * rolling_std(values, middle, period)
    return middle - width, middle, middle + width


@njit(cache=True)
def _strength(gain: float, loss: float) -> float:
    if loss > 0.0:
        return 100.0 - 100.0 / (1.0 + gain / loss)
    return 100.0 if gain > 0.0 else 50.0


@njit(cache=True)
def _sum_of_squares(values: np.ndarray, center: float) -> float:
    """Return the sum of squared distances from ``center``, of every fourth value first.

    The batched form adds in this order, four values at a time in one register, and so the digits of both are the same.
    """
    a = b = c = d = 0.0
    whole = len(values) - len(values) % 4
    for i in range(0, whole, 4):
        a += (values[i] - center) * (values[i] - center)
        b += (values[i + 1] - center) * (values[i + 1] - center)
        c += (values[i + 2] - center) * (values[i + 2] - center)
        d += (values[i + 3] - center) * (values[i + 3] - center)
    for i in range(whole, len(values)):
        a += (values[i] - center) * (values[i] - center)
    return (a + b) + (c + d)
