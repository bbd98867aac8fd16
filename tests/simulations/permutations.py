"""Searches that are repeated on permuted bars, on markets with and without an edge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from backtune.data.bars import Bars
from backtune.data.permutation import Permutation
from backtune.validation.deflated_sharpe import compute_deflated_sharpe, compute_luck_level
from simulations.markets import (
    clustered_walk,
    daily_pattern_walk,
    garch_walk,
    random_walk,
    simulated_bars,
    slow_drift,
    switching_drift,
)
from simulations.searches import SearchOutcome, search_bars
from simulations.shares import Share

STRATEGY = "MovingAverageCrossover"
_VOLATILITY = 0.01


def slow_trends(rng: np.random.Generator, n_bars: int) -> np.ndarray:
    """Return (n_bars,) log returns with a drift that wanders around 0, so that most markets rise or fall on the whole."""
    drift = slow_drift(rng, n_bars, strength=0.18, half_life=80.0)
    return random_walk(rng, n_bars, _VOLATILITY) + _VOLATILITY * drift


def switching_trends(rng: np.random.Generator, n_bars: int) -> np.ndarray:
    """Return (n_bars,) log returns with a drift that changes its direction once in a hundred bars."""
    drift = switching_drift(rng, n_bars, strength=0.12, mean_bars=100.0)
    return random_walk(rng, n_bars, _VOLATILITY) + _VOLATILITY * drift


WITHOUT_EDGE: Final[dict[str, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "random walk": random_walk,
    "GARCH martingale": garch_walk,
    "clusters of ten days": clustered_walk,
    "daily pattern of volatility": daily_pattern_walk,
}
MARKETS: Final = {**WITHOUT_EDGE, "slow drift": slow_trends, "switching drift": switching_trends}


@dataclass(frozen=True)
class PermutedOutcome:
    """What two tests say of the best of one search.

    Attributes:
        is_significant: The p-value of the permutation test is at most 0.05.
        is_above_luck: Its deflated Sharpe ratio reaches the level of a 5 % test.
    """

    is_significant: bool
    is_above_luck: bool


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
    def of(cls, outcomes: Iterable[PermutedOutcome]) -> PermutationFigures:
        """Count over searches."""
        found = list(outcomes)
        return cls(
            permutation=Share.of(outcome.is_significant for outcome in found),
            deflated=Share.of(outcome.is_above_luck for outcome in found),
        )


def permuted_outcome(
    seed: int,
    market: str,
    *,
    strategy: str = STRATEGY,
    n_permutations: int = 19,
    n_trials: int = 150,
    n_bars: int = 3_000,
) -> PermutedOutcome | None:
    """Search one market by tpe, and again on its permutations; None where no candidate is complete.

    Args:
        market: One of :data:`MARKETS`.
        n_permutations: The number of permuted searches, at least 19. They end where so many are as good that p is above 0.05: the
            verdict is known then (Besag and Clifford 1991, "Sequential Monte Carlo p-values").
    """
    bars = simulated_bars(MARKETS[market](np.random.default_rng([seed, 5]), n_bars))
    real = search_bars(strategy, "tpe", bars, n_trials=n_trials, seed=seed)
    if real is None:
        return None
    n_allowed, n_as_good = (n_permutations + 1) // 20 - 1, 0
    for k, permuted in enumerate(_permutations(bars, seed, n_permutations)):
        best = search_bars(strategy, "tpe", permuted, n_trials=n_trials, seed=k)
        n_as_good += best is not None and best.shape.sharpe >= real.shape.sharpe
        if n_as_good > n_allowed:
            break
    return PermutedOutcome(n_as_good <= n_allowed, is_above_luck=_is_above_luck(real))


def _permutations(bars: Bars, seed: int, n: int) -> Iterable[Bars]:
    start, end = int(bars.timestamp[0]), int(bars.timestamp[-1]) + 1
    seeds = np.random.default_rng([seed, 6]).integers(2**32, size=n)
    return (Permutation(start, end, int(k)).permute(bars) for k in seeds)


def _is_above_luck(outcome: SearchOutcome) -> bool:
    """Tell whether the ratio reaches the level, both for all distinct trials: tpe learns, see ``Evidence``."""
    n_trials = float(outcome.tried.n_trials)
    return compute_deflated_sharpe(outcome.shape, n_trials).probability >= compute_luck_level(n_trials)
