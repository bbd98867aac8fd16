"""Findings about bars that obey the schema and may still be wrong, and the columns that they are found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from backtune.data.schema import PRICES
from backtune.data.window import to_datetime
from backtune.spec.timeframe import Timeframe

Confidence = Literal["certain", "likely", "possible"]
CONFIDENCES: Final[Sequence[Confidence]] = ("certain", "likely", "possible")

DAY: Final = 86_400_000_000  # microseconds
_BLOCK: Final = 64  # returns that share a scale
_FEWEST: Final = 8  # moves that tell a scale
_SMALLEST_SCALE: Final = 1e-3  # where too few bars move to tell one


@dataclass(frozen=True)
class Finding:
    """One kind of fault in the bars of a series.

    Attributes:
        kind: The kind of fault, such as ``spike``; the modules ``price_faults``, ``volume_faults`` and ``time_faults`` list them.
        confidence: ``certain`` where the numbers leave no other reading, ``likely`` where sound markets show the
            same less than once in ten series, ``possible`` where they may.
        first: open time of the first bar concerned.
        count: bars, steps or stretches concerned.
        value: the size of the largest, in the unit that the sentence says.
        sentence: the finding in words, with time and size.
    """

    kind: str
    confidence: Confidence
    first: datetime
    count: int
    value: float
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; times in ISO."""
        return {**vars(self), "first": self.first.isoformat()}


class JudgedBars:
    """The columns of sorted bars as arrays, and what several judgements need of them.

    Attributes:
        time: (n_bars,) int64, microseconds since the epoch.
        open, high, low, close, volume: (n_bars,) float64.
        step: microseconds from one bar to the next where none is absent.
        returns: (n_bars,) log of close over the close before; 0 at the first.
        elapsed: (n_bars,) bars of time since the bar before, at least 1.
        scale: (n_bars,) usual size of a move around each bar: the median of absolute log returns other than 0 over
            blocks of 64 of them, the largest of three blocks, and at least half of that of all bars.
    """

    def __init__(self, frame: pl.DataFrame, timeframe: Timeframe) -> None:
        self.time = frame["timestamp"].to_physical().to_numpy()
        self.open, self.high, self.low, self.close = (frame[name].to_numpy() for name in PRICES)
        self.volume = frame["volume"].to_numpy()
        self.step = timeframe.microseconds
        self.returns = np.diff(np.log(self.close), prepend=np.log(self.close[0]))
        self.elapsed = np.maximum(1.0, np.diff(self.time, prepend=self.time[0]) / self.step)
        self.scale = _local_scale(self.returns, np.log(self.high) - np.log(self.low))

    def __len__(self) -> int:
        return len(self.time)

    @property
    def bars_per_day(self) -> float:
        """Bars of a day without a gap."""
        return DAY / self.step

    def moment(self, row: int | np.integer) -> datetime:
        """Return the open time of a bar."""
        return to_datetime(int(self.time[row]))

    def at(self, row: int | np.integer) -> str:
        """Return the open time of a bar as it is printed."""
        return f"{self.moment(row):%Y-%m-%d %H:%M}"

    def is_coarse(self, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Tell for each row whether a move of this size, in log terms, is only a few ticks of the price.

        A price of 0.02 that falls to 0.01 has not been split.
        """
        tick = 10.0 ** -_decimals(self.close)
        return np.asarray(self.close[rows] * np.abs(np.expm1(sizes)) < 20 * tick)


def factor_of(size: float) -> float:
    """Return the ratio of two prices whose logarithms are ``size`` apart; finite always."""
    return float(np.exp(np.clip(size, -700, 700)))


def runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first row and length of every run of true values."""
    edges = np.diff(mask.astype(np.int8), prepend=0, append=0)
    starts = np.flatnonzero(edges == 1)
    return starts, np.flatnonzero(edges == -1) - starts


def longest_by_chance(lengths: np.ndarray, n_bars: int) -> float:
    """Return how long the longest run gets by chance, where runs go on as often as the usual, short ones do.

    Args:
        lengths: The lengths of all runs, each one or more.
    """
    short = np.sort(lengths)[:-1]  # the longest is the one to judge
    short = short[short <= 20]
    goes_on = float((short >= 2).mean()) if len(short) >= 20 else 0.0
    chance = min(max(short.sum() / n_bars, goes_on, 1e-4), 0.98)
    return float(np.log(n_bars) / -np.log(chance))


def _local_scale(returns: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(returns)
    moves = np.abs(returns[rows])
    wide = ranges[ranges > 0]
    usual = min((float(np.median(x)) for x in (moves, wide) if len(x) >= _FEWEST), default=_SMALLEST_SCALE)
    n_blocks = len(moves) // _BLOCK
    if n_blocks < 2:
        return np.full(len(returns), usual)
    medians = np.median(moves[: n_blocks * _BLOCK].reshape(n_blocks, _BLOCK), axis=1)
    padded = np.pad(medians, 1, mode="edge")
    largest = np.maximum(np.maximum(padded[:-2], padded[2:]), medians)
    block = np.minimum(np.cumsum(returns != 0) // _BLOCK, n_blocks - 1)
    return np.asarray(np.maximum(largest[block], usual / 2))


def _decimals(prices: np.ndarray) -> int:
    """Return the digits after the point that a sample of the prices needs, up to 8."""
    sample = prices[:: max(1, len(prices) // 5_000)]
    for digits in range(8):
        if np.allclose(np.round(sample, digits), sample, rtol=1e-12, atol=0):
            return digits
    return 8
