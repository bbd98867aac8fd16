"""The deflated Sharpe ratio of searches in random walks, where every winner is luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np

from backtune.spec import Execution
from simulations.markets import random_walk, simulated_bars
from simulations.searches import FREE, SearchOutcome, search_bars
from simulations.shares import Share

STRATEGIES = ("MovingAverageCrossover", "MACDStrategy", "RSIStrategy", "BollingerBandsStrategy")
SAMPLERS = ("tpe", "cma-es", "random")
N_BARS = 3_000
ENOUGH_TRADES = 30
_LEVEL = 0.05
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Calibration:
    """Winners of searches in random walks.

    Attributes:
        outcomes: One for each walk in which a candidate was complete, at least one.
    """

    outcomes: Sequence[SearchOutcome]

    @property
    def n_independent(self) -> float:
        """The mean number of independent trials."""
        return fmean(one.n_independent for one in self.outcomes)

    @property
    def mean_dsr(self) -> float:
        """The mean deflated Sharpe ratio."""
        return fmean(one.dsr for one in self.outcomes)

    @property
    def share_above_luck(self) -> Share:
        """The share of winners whose ratio reaches the level of a 5 % test."""
        return Share.of(map(is_above_luck, self.outcomes))

    @property
    def share_above_luck_of_many_trades(self) -> Share:
        """The same share among the winners with 30 trades and more in sample."""
        return Share.of(is_above_luck(one) for one in self.outcomes if one.n_trades >= ENOUGH_TRADES)

    @property
    def share_above_fixed_level(self) -> Share:
        """The share of winners whose ratio is 0.95 and more, whatever the number of trials."""
        return Share.of(one.dsr >= 0.95 for one in self.outcomes)

    @property
    def share_by_independent_trials(self) -> Share:
        """The share with p <= 0.05 by Sidak for the independent trials, without the shape of the returns."""
        return Share.of(sidak_p(one.z, one.tried.n_independent) <= _LEVEL for one in self.outcomes)

    @property
    def share_by_distinct_trials(self) -> Share:
        """The share with p <= 0.05 by Sidak for all distinct trials, without the shape of the returns."""
        return Share.of(sidak_p(one.z, one.tried.n_trials) <= _LEVEL for one in self.outcomes)


def search_walk(
    seed: int, *, strategy: str, sampler: str, execution: Execution = FREE, n_trials: int = 200
) -> SearchOutcome | None:
    """Search a strategy in a random walk of 3,000 hours, which is the same for all strategies; None without a winner."""
    bars = simulated_bars(random_walk(np.random.default_rng([seed, 0]), N_BARS))
    return search_bars(strategy, sampler, bars, execution=execution, n_trials=n_trials, seed=seed)


def is_above_luck(outcome: SearchOutcome) -> bool:
    """Tell whether the deflated Sharpe ratio reaches the level that 5 % of searches without skill reach."""
    return outcome.dsr >= outcome.dsr_level


def sidak_p(z: float, n: float) -> float:
    """Return 1 - Phi(z)^n: the probability that the best of n independent standard normal numbers is above z."""
    return -math.expm1(n * math.log(_NORMAL.cdf(z)))
