"""Sweeps of 36 cells where one of three assets trends: what a leaderboard should let pass, beside what it should not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from simulations.markets import correlated_walks, slow_drift
from simulations.null_sweeps import ASSETS, N_BARS, TIMEFRAMES
from simulations.shares import Share
from simulations.sweep_rows import NO_COSTS, Row, is_above_zero, is_significant, sweep_rows

TRENDING = "A"
# Followers of trends profit from a drift that lasts; those who fade extremes do not.
FOLLOWERS = ("MovingAverageCrossover", "MACDStrategy")
STRENGTH, HALF_LIFE = 0.18, 80.0
_VOLATILITY = 0.01


@dataclass(frozen=True)
class PlantedFigures:
    """Hits and mistakes of leaderboards on markets with a planted edge.

    Attributes:
        first_is_true: The share of sweeps whose first row is a follower of trends on the trending asset.
        power: The share of these cells with a family-wise p of at most 0.05.
        power_of_interval: The share of them whose interval lies above 0.
        false: The share of sweeps in which a cell of another asset has a family-wise p of at most 0.05.
        first_sharpe_out: The mean Sharpe ratio of first rows out of sample, annual.
        first_haircut: The mean of what the haircut leaves of it.
    """

    first_is_true: Share
    power: Share
    power_of_interval: Share
    false: Share
    first_sharpe_out: float
    first_haircut: float

    @classmethod
    def of(cls, boards: Sequence[Sequence[Row]]) -> PlantedFigures:
        """Count over leaderboards, each with a row at least."""
        first = [rows[0] for rows in boards]
        true = [row for rows in boards for row in rows if has_edge(row)]
        return cls(
            first_is_true=Share.of(map(has_edge, first)),
            power=Share.of(is_significant(row["family_p"]) for row in true),
            power_of_interval=Share.of(map(is_above_zero, true)),
            false=Share.of(
                any(row["asset"] != TRENDING and is_significant(row["family_p"]) for row in rows)
                for rows in boards
            ),
            first_sharpe_out=fmean(row["oos_sharpe_ratio"] or 0.0 for row in first),
            first_haircut=fmean(row["haircut_sharpe_ratio"] or 0.0 for row in first),
        )


def has_edge(row: Row) -> bool:
    """Tell whether a cell is one in which an edge was planted."""
    return row["asset"] == TRENDING and row["strategy"] in FOLLOWERS


def planted_sweep(
    seed: int, *, timeframes: Sequence[str] = TIMEFRAMES, n_trials: int = 200, n_bars: int = N_BARS
) -> list[Row]:
    """Sweep the grid of the null sweeps without costs, with a slow drift in the first asset."""
    rng = np.random.default_rng([seed, 2])
    market = dict(zip(ASSETS, correlated_walks(rng, len(ASSETS), n_bars, _VOLATILITY), strict=True))
    drift = slow_drift(rng, n_bars, strength=STRENGTH, half_life=HALF_LIFE)
    market[TRENDING] = market[TRENDING] + _VOLATILITY * drift
    return sweep_rows(
        market, timeframes=timeframes, search={"trials": n_trials, "seed": seed}, execution=NO_COSTS
    )
