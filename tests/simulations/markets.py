"""Log returns of simulated markets with and without an edge, and bars that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from backtune.data.bars import Bars
from backtune.data.catalog import Catalog
from backtune.spec.timeframe import Timeframe

START = 1_609_459_200_000_000  # 2021-01-01 in microseconds since the epoch
HOURS_PER_YEAR = 365.25 * 24
_FIRST_PRICE = 100.0


def martingale(shocks: np.ndarray) -> np.ndarray:
    """Return the log returns of a price that is a martingale and has the given shocks.

    Half of the variance is taken off, so that the expected simple return of a bar is 0 for normal shocks.

    Args:
        shocks: (n_bars,) or (n_assets, n_bars) independent normal shocks around 0.
    """
    return np.asarray(shocks - 0.5 * shocks.var(axis=-1, keepdims=True))


def random_walk(rng: np.random.Generator, n_bars: int, volatility: float = 0.01) -> np.ndarray:
    """Return (n_bars,) log returns of a martingale; ``volatility`` is the deviation of one bar."""
    return martingale(volatility * rng.standard_normal(n_bars))


def correlated_walks(
    rng: np.random.Generator, n_assets: int, n_bars: int, volatility: float = 0.01, correlation: float = 0.6
) -> np.ndarray:
    """Return (n_assets, n_bars) log returns of martingales that share a factor; ``correlation`` is that of each pair."""
    common, own = rng.standard_normal(n_bars), rng.standard_normal((n_assets, n_bars))
    shocks = np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own
    return martingale(volatility * shocks)


def slow_drift(rng: np.random.Generator, n_bars: int, *, strength: float, half_life: float) -> np.ndarray:
    """Return a drift that wanders around 0, (n_bars,) in deviations of a bar's return.

    It is a stationary AR(1) process, which followers of trends can find and no constant position can.

    Args:
        strength: The deviation of the drift.
        half_life: The number of bars in which the autocorrelation falls to one half.
    """
    memory = 0.5 ** (1.0 / half_life)
    shocks = strength * np.sqrt(1.0 - memory**2) * rng.standard_normal(n_bars)
    drift = np.empty(n_bars)
    level = strength * float(rng.standard_normal())
    for i, shock in enumerate(shocks.tolist()):
        level = memory * level + shock
        drift[i] = level
    return drift


def switching_drift(
    rng: np.random.Generator, n_bars: int, *, strength: float, mean_bars: float
) -> np.ndarray:
    """Return a drift that is as strong all the time and now up, now down, (n_bars,) in deviations of a bar's return.

    Args:
        strength: The size of the drift.
        mean_bars: The mean number of bars between two changes of direction.
    """
    n_switches = np.cumsum(rng.random(n_bars) < 1.0 / mean_bars)
    return strength * np.where(n_switches % 2, -1.0, 1.0)


def garch_walk(rng: np.random.Generator, n_bars: int, volatility: float = 0.01) -> np.ndarray:
    """Return (n_bars,) log returns of a martingale whose volatility clusters: GARCH(1,1) with weights 0.08 and 0.9."""
    shocks = rng.standard_normal(n_bars).tolist()
    variance, path = 1.0, []
    for shock in shocks:
        path.append(variance)
        variance = 0.02 + (0.08 * shock * shock + 0.9) * variance
    variances = volatility**2 * np.array(path)
    return np.asarray(np.sqrt(variances) * shocks - 0.5 * variances)


def clustered_walk(rng: np.random.Generator, n_bars: int, volatility: float = 0.01) -> np.ndarray:
    """Return (n_bars,) log returns of a martingale whose volatility wanders: the half-life of its logarithm is ten days of hours.

    The logarithm has a deviation of 0.8, so that one bar in twenty is more than 3.7 times as volatile as the median one.
    """
    volatilities = volatility * np.exp(slow_drift(rng, n_bars, strength=0.8, half_life=240.0))
    return np.asarray(volatilities * rng.standard_normal(n_bars) - 0.5 * volatilities**2)


def daily_pattern_walk(rng: np.random.Generator, n_bars: int, volatility: float = 0.01) -> np.ndarray:
    """Return (n_bars,) log returns of a martingale in hours, eight of which are four times as volatile as the rest of the day."""
    volatilities = volatility * np.where(np.arange(n_bars) % 24 < 8, 2.0, 0.5)
    return np.asarray(volatilities * rng.standard_normal(n_bars) - 0.5 * volatilities**2)


def bars_frame(returns: np.ndarray, timeframe: str = "1h") -> pl.DataFrame:
    """Build bars from (n_bars,) log returns; each opens at the close before, and has no wicks."""
    close = _FIRST_PRICE * np.exp(np.cumsum(returns))
    open_ = np.concatenate([[_FIRST_PRICE], close[:-1]])
    times = START + np.arange(len(close)) * Timeframe.parse(timeframe).microseconds
    # columns: timestamp, open, high, low, close, volume
    return pl.DataFrame(
        {
            "timestamp": pl.Series(times).cast(pl.Datetime("us", "UTC")),
            "open": open_,
            "high": np.maximum(open_, close),
            "low": np.minimum(open_, close),
            "close": close,
            "volume": np.ones(len(close)),
        }
    )


def simulated_bars(returns: np.ndarray, timeframe: str = "1h") -> Bars:
    """Build bars in memory from (n_bars,) log returns."""
    return Bars.from_frame(bars_frame(returns, timeframe), timeframe=timeframe, asset="SIMULATED")


def write_market(root: Path, returns: Mapping[str, np.ndarray], timeframe: str = "1h") -> Path:
    """Write a catalog with one asset for each entry of ``returns``, (n_bars,) log returns by name."""
    catalog = Catalog.open_or_create(root)
    for asset, series in returns.items():
        catalog.write(asset, timeframe, bars_frame(series, timeframe))
    return root
