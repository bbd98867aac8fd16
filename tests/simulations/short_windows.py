"""Sweeps in which half of the assets have a long test and half a short one, all without an edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from simulations.markets import HOURS_PER_YEAR, random_walk
from simulations.shares import Share
from simulations.sweep_rows import NO_COSTS, Row, sweep_rows

LONG, SHORT = ("L1", "L2", "L3"), ("S1", "S2", "S3")
STRATEGIES = ("MovingAverageCrossover", "RSIStrategy", "BollingerBandsStrategy")
TIMEFRAMES = ("1h", "2h")
# The test has three tenths of the bars.
_LONG_TEST_YEARS, _SHORT_TEST_YEARS, _TEST_FRACTION = 1.0, 0.25, 0.3
ENOUGH_TRADES = 30


@dataclass(frozen=True)
class ShortWindowFigures:
    """First rows of leaderboards, as shares of sweeps. A share of short ones is one half where length does not matter.

    Attributes:
        first_is_short: The first row has a short test.
        short_by_sharpe_in, short_by_sharpe_out: The row with the highest Sharpe ratio in sample, or out of sample, has a short test.
        first_has_few_trades: The first row has fewer than 30 trades, in sample or in its test, although another row has 30 in both.
    """

    first_is_short: Share
    short_by_sharpe_in: Share
    short_by_sharpe_out: Share
    first_has_few_trades: Share

    @classmethod
    def of(cls, boards: Sequence[Sequence[Row]]) -> ShortWindowFigures:
        """Count over leaderboards, each with a row at least."""
        return cls(
            first_is_short=Share.of(rows[0]["asset"] in SHORT for rows in boards),
            short_by_sharpe_in=Share.of(_highest_is_short(rows, "is_sharpe_ratio") for rows in boards),
            short_by_sharpe_out=Share.of(_highest_is_short(rows, "oos_sharpe_ratio") for rows in boards),
            first_has_few_trades=Share.of(map(_hides_more_trades, boards)),
        )


def short_window_sweep(
    seed: int, *, timeframes: Sequence[str] = TIMEFRAMES, n_trials: int = 100, scale: float = 1.0
) -> list[Row]:
    """Sweep 18 cells with a test of a year and 18 with one of three months, on random walks without costs.

    Args:
        timeframes: The timeframes, of which each is nine cells of either length.
        scale: A factor on both lengths.
    """
    rng = np.random.default_rng([seed, 6])
    hours = HOURS_PER_YEAR / _TEST_FRACTION * scale
    returns = {asset: random_walk(rng, round(_LONG_TEST_YEARS * hours)) for asset in LONG}
    returns |= {asset: random_walk(rng, round(_SHORT_TEST_YEARS * hours)) for asset in SHORT}
    return sweep_rows(
        returns,
        strategies=STRATEGIES,
        timeframes=timeframes,
        search={"trials": n_trials, "seed": seed},
        execution=NO_COSTS,
        looks_at_all=False,
    )


def has_few_trades(row: Row) -> bool:
    """Tell whether a row has fewer than 30 trades in sample or in its test."""
    return min(row["is_total_trades"] or 0, row["oos_total_trades"] or 0) < ENOUGH_TRADES


def merit(row: Row) -> float:
    """Return the Sharpe ratio in sample in its standard errors, but for a factor: times the root of the window's length."""
    start, end = map(datetime.fromisoformat, row["train"])
    return float(row["is_sharpe_ratio"] * (end - start).total_seconds() ** 0.5)


def _highest_is_short(rows: Sequence[Row], key: str) -> bool:
    return max(rows, key=lambda row: row[key] or 0.0)["asset"] in SHORT


def _hides_more_trades(rows: Sequence[Row]) -> bool:
    return has_few_trades(rows[0]) and not all(map(has_few_trades, rows))
