"""Searches that are repeated on permuted bars, on markets with and without an edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulations.markets import garch_walk, random_walk, slow_drift
from simulations.shares import Share
from simulations.sweep_rows import NO_COSTS, Row, is_significant, sweep_rows

MARKETS = ("random walk", "GARCH martingale", "slow drift")
STRATEGIES = ("MovingAverageCrossover", "MACDStrategy")
N_BARS = 4_000
N_PERMUTATIONS = 19
STRENGTH, HALF_LIFE = 0.18, 80.0
_VOLATILITY = 0.01


@dataclass(frozen=True)
class PermutationFigures:
    """The permutation test beside the deflated Sharpe ratio, as shares of searches.

    Attributes:
        permutation: The p-value of the permutation test is at most 0.05.
        deflated: The deflated Sharpe ratio reaches the level of a 5 % test.
    """

    permutation: Share
    deflated: Share

    @classmethod
    def of(cls, rows: Sequence[Row]) -> PermutationFigures:
        """Count over rows of searches."""
        from backtune.validation.deflated_sharpe import luck_level

        return cls(
            permutation=Share.of(is_significant(row["permutation_p"]) for row in rows),
            deflated=Share.of(row["dsr"] >= luck_level(row["n_independent"]) for row in rows if row["dsr"]),
        )


def permuted_rows(
    seed: int,
    market: str,
    *,
    n_permutations: int = N_PERMUTATIONS,
    n_trials: int = 200,
    n_bars: int = N_BARS,
) -> list[Row]:
    """Search two followers of trends on one market, and again on its permutations; one row each at most.

    Args:
        market: One of :data:`MARKETS`.
    """
    return sweep_rows(
        {"A": _returns(market, np.random.default_rng([seed, 5]), n_bars)},
        strategies=STRATEGIES,
        search={"trials": n_trials, "seed": seed},
        validation={"permutations": n_permutations},
        execution=NO_COSTS,
    )


def _returns(market: str, rng: np.random.Generator, n_bars: int) -> np.ndarray:
    if market == "GARCH martingale":
        return garch_walk(rng, n_bars, _VOLATILITY)
    walk = random_walk(rng, n_bars, _VOLATILITY)
    if market == "random walk":
        return walk
    return walk + _VOLATILITY * slow_drift(rng, n_bars, strength=STRENGTH, half_life=HALF_LIFE)
