"""Sweeps of 36 cells over random walks: whatever a leaderboard lets pass here, it lets pass by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from simulations.markets import correlated_walks
from simulations.shares import Share
from simulations.sweep_rows import (
    NO_COSTS,
    Row,
    is_above_zero,
    is_significant,
    is_without_warning,
    sweep_rows,
)

ASSETS = ("A", "B", "C")
TIMEFRAMES = ("1h", "2h", "4h")
# 1.37 years of hours, of which the test has 0.41.
N_BARS = 12_000


@dataclass(frozen=True)
class NullFigures:
    """The mistakes of leaderboards on markets without an edge, each a share of sweeps.

    Attributes:
        without_warning: At least one row carries no warning.
        first_above_zero: The interval of the first row lies above 0.
        best_test_above_zero: That of the row with the highest Sharpe ratio out of sample does.
        any_above_zero: That of at least one row does.
        family: At least one row has a family-wise p of at most 0.05.
        first_sharpe_out: The mean Sharpe ratio of first rows out of sample, annual.
        first_haircut: The mean of what the haircut leaves of it.
        first_few_trades: The first row has fewer than 30 trades out of sample.
    """

    without_warning: Share
    first_above_zero: Share
    best_test_above_zero: Share
    any_above_zero: Share
    family: Share
    first_sharpe_out: float
    first_haircut: float
    first_few_trades: Share

    @classmethod
    def of(cls, boards: Sequence[Sequence[Row]]) -> NullFigures:
        """Count over leaderboards, each with a row at least."""
        first = [rows[0] for rows in boards]
        best_tests = [max(rows, key=lambda row: row["oos_sharpe_ratio"] or 0.0) for rows in boards]
        return cls(
            without_warning=Share.of(any(map(is_without_warning, rows)) for rows in boards),
            first_above_zero=Share.of(map(is_above_zero, first)),
            best_test_above_zero=Share.of(map(is_above_zero, best_tests)),
            any_above_zero=Share.of(any(map(is_above_zero, rows)) for rows in boards),
            family=Share.of(any(is_significant(row["family_p"]) for row in rows) for rows in boards),
            first_sharpe_out=fmean(row["oos_sharpe_ratio"] or 0.0 for row in first),
            first_haircut=fmean(row["haircut_sharpe_ratio"] or 0.0 for row in first),
            first_few_trades=Share.of((row["oos_total_trades"] or 0) < 30 for row in first),
        )


def null_sweep(
    seed: int,
    *,
    with_costs: bool,
    timeframes: Sequence[str] = TIMEFRAMES,
    n_trials: int = 200,
    n_bars: int = N_BARS,
) -> list[Row]:
    """Sweep four strategies over three walks that share a factor; each timeframe is twelve cells."""
    walks = correlated_walks(np.random.default_rng([seed, 1]), len(ASSETS), n_bars)
    return sweep_rows(
        dict(zip(ASSETS, walks, strict=True)),
        timeframes=timeframes,
        search={"trials": n_trials, "seed": seed},
        execution={} if with_costs else NO_COSTS,
        looks_at_all=False,
    )
