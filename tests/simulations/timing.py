"""Long-only averages on markets that rise without any timing, and on markets that can be timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtune.validation.timing import N_SHIFTS
from simulations.markets import HOURS_PER_YEAR, random_walk, slow_drift
from simulations.shares import Share
from simulations.sweep_rows import NO_COSTS, Row, is_above_zero, is_significant, sweep_rows

N_BARS = 8_000
SHARPE_OF_HOLDING = 2.0
STRENGTH, HALF_LIFE = 0.18, 80.0
_VOLATILITY = 0.01


@dataclass(frozen=True)
class TimingFigures:
    """The p-values of the shift test over markets.

    Attributes:
        n_undefined: The number of markets without a p-value.
        significant: The share of the others with a p-value of at most 0.05.
        mean_p: Their mean p-value; 0.5 where there is no timing.
        uniformity: The p-value of the Kolmogorov-Smirnov test that they are uniform, see :func:`spread_p_values`.
        above_zero: The share of markets whose interval of the Sharpe ratio out of sample lies above 0.
    """

    n_undefined: int
    significant: Share
    mean_p: float
    uniformity: float
    above_zero: Share

    @classmethod
    def of(cls, rows: Sequence[Row]) -> TimingFigures:
        """Summarize the rows of several markets, at least one of them with a p-value."""
        from scipy.stats import kstest

        found = [row["timing_p"] for row in rows if row["timing_p"] is not None]
        return cls(
            n_undefined=len(rows) - len(found),
            significant=Share.of(map(is_significant, found)),
            mean_p=float(np.mean(found)),
            uniformity=float(kstest(spread_p_values(found), "uniform").pvalue),
            above_zero=Share.of(map(is_above_zero, rows)),
        )


def spread_p_values(p_values: Sequence[float], seed: int = 0) -> np.ndarray:
    """Return p-values of :func:`backtune.validation.timing.measure_timing` drawn evenly from the steps that end at them.

    They take few values: g / 200 up to 0.05, and 10 / l above. Without timing each of these is a true probability, P(p <= x) = x, so that
    a draw between a value and the next smaller one is uniform between 0 and 1, which the Kolmogorov-Smirnov test asks for.

    Args:
        p_values: (n,) p-values of 199 shifts at most.
        seed: The seed of the draws.
    """
    upper = np.asarray(p_values, dtype=np.float64)
    n_values = N_SHIFTS + 1
    next_smaller = np.where(
        upper <= 10.0 / n_values + 1e-9, upper - 1.0 / n_values, 10.0 / (np.rint(10.0 / upper) + 1.0)
    )
    return next_smaller + (upper - next_smaller) * np.random.default_rng(seed).random(len(upper))


def timing_rows(seed: int, *, is_planted: bool, n_trials: int = 200, n_bars: int = N_BARS) -> list[Row]:
    """Search a long-only moving-average crossover on one market, without costs.

    Returns:
        One row; none where no candidate trades.

    Args:
        is_planted: Whether a drift wanders around the rise, which makes the market one that can be timed.
    """
    rng = np.random.default_rng([seed, 4])
    rise = SHARPE_OF_HOLDING / np.sqrt(HOURS_PER_YEAR)
    returns = random_walk(rng, n_bars, _VOLATILITY) + _VOLATILITY * rise
    if is_planted:
        returns += _VOLATILITY * slow_drift(rng, n_bars, strength=STRENGTH, half_life=HALF_LIFE)
    return sweep_rows(
        {"A": returns},
        strategies=["MovingAverageCrossover"],
        search={"trials": n_trials, "seed": seed},
        execution={**NO_COSTS, "allow_short": False},
    )
