"""A synthetic market: seeded bars with the traits of real ones, for trying things out without data.

Returns have fat tails (Student's t with 4 degrees of freedom), volatility that clusters (GARCH(1,1)) and
regimes that switch (calm, bull, bear). Only ``+ - * /`` and square roots, which IEEE 754 rounds the same
everywhere, turn PCG64's raw bits into prices: a seed gives the same bars on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from backtune.data.bars import Bars
from backtune.data.calendar import SECONDS_PER_YEAR
from backtune.data.catalog import Catalog
from backtune.data.ingest.report import ImportReport, describe_bars
from backtune.data.window import Moment, TimeRange
from backtune.errors import SpecError
from backtune.spec.timeframe import Timeframe

# Of the regimes calm, bull and bear: drift per year, and volatility per year.
_DRIFT: Final = np.array([0.05, 1.1, -0.6])
_VOLATILITY: Final = np.array([0.35, 0.6, 0.9])
_REGIME_SECONDS: Final = 20 * 86_400
# GARCH(1,1) of unit variance: how much of a shock and of the variance goes on into the next bar.
_SHOCK: Final = 0.06
_PERSISTENCE: Final = 0.92
_LARGEST_MOVE: Final = 12.0  # deviations; keeps every return above -1
_OVERNIGHT: Final = 0.05  # open against the close before, in deviations
_WICK: Final = 0.4  # high and low beyond the body, in deviations


def synthetic_bars(
    asset: str, timeframe: Timeframe | str, start: Moment, end: Moment, *, seed: int = 0
) -> Bars:
    """Bars without gaps on [start, end).

    The same for the same arguments on any machine; other assets or another seed give independent bars.

    Raises:
        SpecError: the window is open or holds no bar, or the seed is negative.
    """
    length = Timeframe.parse(timeframe)
    timestamp = _open_times(length, start, end)
    n = len(timestamp)
    draw = _Draws(asset, seed, n)
    volatility, returns = _returns(draw, length)
    close = draw.initial_price * np.cumprod(1 + returns)
    before = np.concatenate([[draw.initial_price], close[:-1]])
    open_ = before * (1 + np.clip(_OVERNIGHT * volatility * draw.normal(), -0.5, 0.5))
    high = np.maximum(open_, close) * (1 + _WICK * volatility * np.abs(draw.normal()))
    low = np.minimum(open_, close) / (1 + _WICK * volatility * np.abs(draw.normal()))
    activity = 0.2 + volatility / volatility.mean() + np.abs(returns) / np.abs(returns).mean()
    volume = 100 * activity * (0.5 + draw.uniform())
    # columns: timestamp, open, high, low, close, volume
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(timestamp).cast(pl.Datetime("us", "UTC")),
            **{
                # A price that fell to nothing stays one tick.
                name: np.maximum(np.round(prices, draw.decimals), 1 / 10.0**draw.decimals)
                for name, prices in (("open", open_), ("high", high), ("low", low), ("close", close))
            },
            "volume": np.round(volume, 4),
        }
    )
    return Bars.from_frame(frame, timeframe=length, asset=asset)


def make_market(
    root: str | Path,
    *,
    assets: Iterable[str],
    timeframe: Timeframe | str,
    start: Moment,
    end: Moment,
    seed: int = 0,
    replace: bool = False,
) -> list[ImportReport]:
    """Write synthetic bars of each asset into the catalog at ``root``.

    Raises:
        BarsError: the catalog has other bars of an asset in this window, and ``replace`` is off.
        CatalogError: the catalog cannot be read or written, or a name cannot be that of an asset.
        SpecError: the window is open or holds no bar, or the seed is negative.
    """
    catalog = Catalog.open_or_create(root)
    reports = []
    for asset in assets:
        bars = synthetic_bars(asset, timeframe, start, end, seed=seed)
        frame = bars.to_frame()
        source = f"synthetic {asset} (seed {seed})"
        catalog.write(asset, bars.timeframe, frame, replace=replace, source=source)
        report = ImportReport(source, asset=asset, timeframe=str(bars.timeframe))
        reports.append(describe_bars(report, frame, bars.timeframe))
    return reports


class _Draws:
    """The random numbers of one asset."""

    def __init__(self, asset: str, seed: int, n: int) -> None:
        if seed < 0:
            raise SpecError("seed", f"{seed} is negative", value=seed)
        words = np.frombuffer(hashlib.sha256(asset.encode()).digest(), dtype="<u4")
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, *words.tolist()]))
        self._n = n
        first, second = self._bits.random_raw(2)
        exponent = int(first % 5)  # a price between 1 and 100,000
        self.initial_price = (1 + 9 * (int(second >> np.uint64(11)) / 2**53)) * 10.0**exponent
        self.decimals = 6 - exponent

    def uniform(self) -> np.ndarray:
        """(n,) in [0, 1)."""
        return np.asarray((self._bits.random_raw(self._n) >> np.uint64(11)) * 2.0**-53)

    def normal(self) -> np.ndarray:
        """(n,) nearly normal, within 3.5 deviations: each the sum of the four 16-bit parts of a raw word."""
        raw = self._bits.random_raw(self._n)
        parts = sum((raw >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48))
        deviation = np.sqrt(4 * (65_536.0**2 - 1) / 12)
        return np.asarray((np.asarray(parts, dtype=np.float64) - 4 * 65_535 / 2) / deviation)

    def student_t4(self) -> np.ndarray:
        """(n,) Student's t with 4 degrees of freedom, scaled to unit variance and cut at 12 deviations."""
        numerator = self.normal()
        chi_squared = self.normal() ** 2 + self.normal() ** 2 + self.normal() ** 2 + self.normal() ** 2
        scaled = numerator / np.sqrt(np.maximum(chi_squared, 1e-3) / 4) / np.sqrt(2.0)
        return np.asarray(np.clip(scaled, -_LARGEST_MOVE, _LARGEST_MOVE))

    def regimes(self, switch_probability: float) -> np.ndarray:
        """(n,) numbers 0, 1 or 2; a switch leads to either of the others alike."""
        draw = self.uniform()
        step = np.where(draw < switch_probability / 2, 1, np.where(draw < switch_probability, 2, 0))
        return np.asarray(np.cumsum(step) % 3)


def _open_times(timeframe: Timeframe, start: Moment, end: Moment) -> np.ndarray:
    if start is None or end is None:
        raise SpecError("start", "a synthetic market needs a start and an end", value=None)
    window = TimeRange.of(start, end).opens(timeframe, Timeframe(1))
    first, beyond = window.start or 0, window.end or 0
    # Months lie within days of a grid of their mean length.
    n_most = max(0, beyond - first) // timeframe.microseconds + 2
    times = timeframe.shift(np.full(n_most, first), np.arange(n_most))
    times = times[times < beyond]
    if len(times) == 0:
        raise SpecError("end", f"no bar of {timeframe} lies wholly in {TimeRange.of(start, end)}", value=end)
    return times


def _returns(draw: _Draws, timeframe: Timeframe) -> tuple[np.ndarray, np.ndarray]:
    """(n,) each bar's volatility, and its return; as fractions."""
    years = timeframe.seconds / SECONDS_PER_YEAR
    regime = draw.regimes(min(1.0, timeframe.seconds / _REGIME_SECONDS))
    shocks = draw.student_t4()
    volatility = _VOLATILITY[regime] * np.sqrt(years) * np.sqrt(_garch_variance(shocks))
    # No bar loses more than half, however long it is.
    return volatility, np.maximum(_DRIFT[regime] * years + volatility * shocks, -0.5)


def _garch_variance(shocks: np.ndarray) -> np.ndarray:
    """(n,) variance around 1, each from the bar before it."""
    carried = (_SHOCK * shocks**2 + _PERSISTENCE).tolist()
    base = 1 - _SHOCK - _PERSISTENCE
    variance, path = 1.0, []
    for carry in carried:
        path.append(variance)
        variance = min(base + carry * variance, 25.0)
    return np.array(path)
