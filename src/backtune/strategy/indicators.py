"""Indicators in compiled code, for strategies of one's own; the built-in ones are held to them by a test.

All take (n,) float64 series without NaN and return (n,) float64 with NaN until enough values are there. A value
at i uses values up to i.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Two prices closer than this, relative to the price, are equal: far above the rounding of the running sums
# below (about 1e-14), far below any tick. Without it, rounding would trade on a constant price.
EQUAL = 1e-12
_BAD_PERIOD = "a period must be 1 or more"


@njit(cache=True)
def sma(values: np.ndarray, period: int) -> np.ndarray:
    """Simple moving average: the mean of the last ``period`` values, first at index period - 1."""
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
    """Population standard deviation of the last ``period`` values, around their ``mean`` from :func:`sma`."""
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
    """Exponential moving average with weight 2 / (period + 1), seeded by the mean of its first ``period`` values.

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
        level += weight * (values[i] - level)
        out[i] = level
    return out


@njit(cache=True)
def rsi(values: np.ndarray, period: int) -> np.ndarray:
    """Relative strength index in [0, 100] after Wilder (1978), first at index ``period``.

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
    """Average true range after Wilder (1978), first at index ``period``.

    The true range of a bar is that of its high, its low and the close before. It is seeded by the mean of the first ``period``
    ones and smoothed with weight 1 / period.
    """
    if period < 1:
        raise ValueError(_BAD_PERIOD)
    n = len(close)
    out = np.full(n, np.nan)
    level = 0.0
    for i in range(1, n):
        reach = max(high[i], close[i - 1]) - min(low[i], close[i - 1])
        level += reach / period if i <= period else (reach - level) / period
        if i >= period:
            out[i] = level
    return out


@njit(cache=True)
def macd(
    values: np.ndarray, fast_period: int, slow_period: int, signal_period: int
) -> tuple[np.ndarray, np.ndarray]:
    """Difference of two EMAs, and its own EMA as signal line (Appel 1979)."""
    line = ema(values, fast_period) - ema(values, slow_period)
    return line, ema(line, signal_period, max(fast_period, slow_period) - 1)


@njit(cache=True)
def bollinger_bands(
    values: np.ndarray, period: int, num_std: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower, middle and upper band: SMA plus and minus ``num_std`` population deviations (Bollinger 2001)."""
    middle = sma(values, period)
    width = num_std * rolling_std(values, middle, period)
    return middle - width, middle, middle + width


@njit(cache=True)
def _strength(gain: float, loss: float) -> float:
    if loss > 0.0:
        return 100.0 - 100.0 / (1.0 + gain / loss)
    return 100.0 if gain > 0.0 else 50.0
