"""Market regimes, trend x volatility, and the performance of a backtest in each.

The regime of bar i is decided at the close of bar i - 1, so it is known before anything of bar i is. With N
``lookback_bars``, closes c up to c[i - 1], and log returns r of those closes:

trend
    bear where c[i - 1] is below the mean of the last N closes, bull where it is at or above it (Faber 2007, *A
    Quantitative Approach to Tactical Asset Allocation*).
volatility
    high where the realized volatility sqrt(mean(r^2)) of the last N returns (Andersen, Bollerslev, Diebold and Labys
    2003) is above the median of all realized volatilities so far, its own included; low where it is at or below it.

The first 2 N bars are unknown: N bars for a volatility, N volatilities for a median. As that median is of all the
past, volatility may be judged otherwise where the data starts elsewhere. A gap counts as one bar.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numba import njit

from backtune.data.bars import Bars
from backtune.errors import BarsError, SpecError
from backtune.strategy.indicators import EQUAL, sma

REGIMES = (
    "unknown",
    "bull_low_volatility",
    "bull_high_volatility",
    "bear_low_volatility",
    "bear_high_volatility",
)
LOOKBACK_DAYS = 30
LEAST_LOOKBACK_BARS = 10

# Returns whose deviation is below this are equal up to rounding.
_ROUNDING = 1e-12


def default_lookback_bars(bars: Bars) -> int:
    """Return the number of bars in 30 days by the bars' calendar, 10 at least."""
    return max(LEAST_LOOKBACK_BARS, round(LOOKBACK_DAYS * bars.bars_per_year / 365.25))


def classify_regimes(bars: Bars, lookback_bars: int | None = None) -> np.ndarray:
    """Classify every bar by the bars before it.

    Args:
        lookback_bars: Number N of bars, 2 or more; :func:`default_lookback_bars` for None.

    Returns:
        (n_bars,) int8 indices into :data:`REGIMES`.

    Raises:
        SpecError: The ``lookback_bars`` is below 2.
    """
    lookback = default_lookback_bars(bars) if lookback_bars is None else lookback_bars
    if lookback < 2:
        raise SpecError("lookback_bars", f"{lookback} must be 2 or more", value=lookback)
    found = np.zeros(len(bars), dtype=np.int8)
    if len(bars) <= 2 * lookback:
        return found
    close = bars.close[:-1]
    bear = close < sma(close, lookback) * (1 - EQUAL)
    # One shorter than the closes; running sums may leave a negative rounding error.
    squares = sma(np.square(np.diff(np.log(close))), lookback)[lookback - 1 :]
    volatility = np.sqrt(np.maximum(squares, 0.0))
    high = volatility > _compute_expanding_median(volatility, np.argsort(volatility)) * (1 + EQUAL)
    found[2 * lookback :] = 1 + 2 * bear[2 * lookback - 1 :] + high[lookback - 1 :]
    return found


def measure_performance_by_regime(
    equity: np.ndarray, bars: Bars, initial_cash: float, lookback_bars: int | None = None
) -> pl.DataFrame:
    """Measure the performance of a backtest in each regime.

    Args:
        equity: (m,) equity at the closes of the last m of ``bars``, finite and not negative, 0 once ruined. Bars
            before them serve as warm-up.
        bars: Bars, m or more.
        initial_cash: Equity before the first of the m bars.
        lookback_bars: Number of bars, as in :func:`classify_regimes`.

    Returns:
        A row for each of :data:`REGIMES`, in that order. A bar's return r goes to the bar's regime; it is 0 after ruin.

        - ``regime``
        - ``n_bars``; they sum to m.
        - ``share``: n_bars / m.
        - ``mean_return``: mean(r) per bar; null without a bar.
        - ``total_return``: product of (1 + r), less 1; 0 without a bar. Over the regimes, the product of
          (1 + total_return) is 1 + the whole's total_return.
        - ``volatility``: std(r, ddof 1) * sqrt(bars_per_year); 0 where all r are equal, null with fewer than two bars.
        - ``sharpe_ratio``: mean(r) / std(r, ddof 1) * sqrt(bars_per_year) (Sharpe 1994), as though the regime lasted
          all year; null where the deviation is 0 or null.

        Drawdowns and their ratios are left out: a regime's bars are not one stretch of time.

    Raises:
        BarsError: The equity does not fit the bars, or is not finite.
        SpecError: The ``lookback_bars`` is below 2.
    """
    returns = _compute_returns(np.asarray(equity, dtype=np.float64), initial_cash, len(bars))
    found = classify_regimes(bars, lookback_bars)[len(bars) - len(returns) :]
    rows = [
        {"regime": name, **_measure_performance(returns[found == code], len(returns), bars.bars_per_year)}
        for code, name in enumerate(REGIMES)
    ]
    return pl.DataFrame(
        rows,
        schema={
            "regime": pl.String,
            "n_bars": pl.Int64,
            "share": pl.Float64,
            "mean_return": pl.Float64,
            "total_return": pl.Float64,
            "volatility": pl.Float64,
            "sharpe_ratio": pl.Float64,
        },
    )


def _compute_returns(equity: np.ndarray, initial_cash: float, n_bars: int) -> np.ndarray:
    if equity.ndim != 1 or not 0 < len(equity) <= n_bars:
        raise BarsError(
            f"has shape {equity.shape}, expected one value for each of {n_bars} bars or of the last ones",
            source="equity",
        )
    if not (np.isfinite(equity) & (equity >= 0)).all():
        row = int(np.argmin(np.isfinite(equity) & (equity >= 0)))
        raise BarsError(f"{equity[row]} is not finite, or negative", source="equity", row=row)
    before = np.concatenate([[initial_cash], equity[:-1]])
    alive = before > 0
    return np.where(alive, equity / np.where(alive, before, 1.0) - 1.0, 0.0)


def _measure_performance(
    returns: np.ndarray, n_bars: int, bars_per_year: float
) -> dict[str, float | int | None]:
    n = len(returns)
    mean = float(returns.mean()) if n else None
    deviation = float(returns.std(ddof=1)) if n > 1 else None
    per_year = math.sqrt(bars_per_year)
    varies = deviation is not None and deviation > _ROUNDING
    return {
        "n_bars": n,
        "share": n / n_bars,
        "mean_return": mean,
        "total_return": float(np.prod(1.0 + returns)) - 1.0,
        "volatility": None if deviation is None else deviation * per_year * varies,
        "sharpe_ratio": mean / deviation * per_year if varies and mean is not None and deviation else None,
    }


@njit(cache=True)
def _compute_expanding_median(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return (n,) medians of ``values[: i + 1]``, in linear time once sorted.

    Backwards: all values stand in a list linked in rising order, and the last one in time leaves it step by step, which
    moves the median by one place at most.

    Args:
        order: Argsort of ``values``.
    """
    n = len(values)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    rising = values[order]
    below = np.arange(-1, n - 1)
    above = np.arange(1, n + 1)
    out = np.empty(n)
    # Place of the middle, of the lower one of two.
    middle = (n - 1) // 2
    for i in range(n - 1, -1, -1):
        leaving = place[i]
        if i % 2 == 0:
            out[i] = rising[middle]
            if leaving >= middle:
                middle = below[middle]
        else:
            out[i] = 0.5 * (rising[middle] + rising[above[middle]])
            if leaving <= middle:
                middle = above[middle]
        if below[leaving] >= 0:
            above[below[leaving]] = above[leaving]
        if above[leaving] < n:
            below[above[leaving]] = below[leaving]
    return out
