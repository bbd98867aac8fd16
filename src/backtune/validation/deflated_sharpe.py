"""The deflated Sharpe ratio: a Sharpe ratio against the best that so many trials would show by luck.

All Sharpe ratios here are per bar, as the formulas ask; they were derived for independent returns.

Sources: D. Bailey and M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15 (2012), and "The
Deflated Sharpe Ratio", Journal of Portfolio Management 40 (2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from backtune.validation.return_moments import ROUNDING, select_distinct_trials

_NORMAL = NormalDist()
_EULER = 0.5772156649015329


@dataclass(frozen=True)
class ReturnShape:
    """The moments of a series of bar returns that the formulas need.

    Attributes:
        n_returns: The number of returns.
        sharpe: The Sharpe ratio per bar: mean / std with ddof 1.
        skewness: The third standardized moment.
        kurtosis: The fourth standardized moment, raw: 3 for a normal distribution.
    """

    n_returns: int
    sharpe: float
    skewness: float
    kurtosis: float

    @classmethod
    def of(cls, returns: np.ndarray) -> ReturnShape | None:
        """Return the shape of (n,) bar returns; None where there are fewer than two or they do not vary.

        Skewness and kurtosis are those of the sample, with divisor n.
        """
        values = np.asarray(returns, dtype=np.float64)
        if len(values) < 2:
            return None
        centred = values - values.mean()
        squares = centred * centred
        second = float(squares.mean())
        if not second > ROUNDING * float(np.mean(values * values)):
            return None
        return cls(
            n_returns=len(values),
            sharpe=float(values.mean()) / math.sqrt(second * len(values) / (len(values) - 1)),
            skewness=float(np.mean(squares * centred)) / second**1.5,
            kurtosis=float(np.mean(squares * squares)) / second**2,
        )


@dataclass(frozen=True)
class TrialCount:
    """The number of trials of a search, as chances of luck.

    Attributes:
        n_trials: The number of distinct trials.
        n_independent: The number of independent trials that they are worth, by how alike they are. Of a search that learns
            this is too few: trials that were chosen for being like the best are alike for that reason, and each of them was a chance.
    """

    n_trials: int
    n_independent: float

    @classmethod
    def of(cls, blocks: np.ndarray, n_unknown: int = 0) -> TrialCount | None:
        """Count the trials of a search; None where none has a Sharpe ratio.

        Args:
            blocks: (n_trials, n_blocks, 3) block moments of all trials; those without a Sharpe ratio and repeated ones
                are left out.
            n_unknown: The number of distinct trials without moments that would have won had they been good, as those stopped early.
        """
        trials = select_distinct_trials(blocks)
        if not len(trials):
            return None
        return cls(len(trials) + n_unknown, estimate_independent_trials(trials, n_unknown))


@dataclass(frozen=True)
class DeflatedSharpe:
    """A winner's Sharpe ratio against the best that luck alone would have found.

    Attributes:
        probability: The deflated Sharpe ratio: the probability that the true ratio is above ``benchmark``.
        benchmark: The expected maximum Sharpe ratio, per bar, of so many independent trials without skill.
    """

    probability: float
    benchmark: float


def compute_probabilistic_sharpe(shape: ReturnShape, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio is above ``benchmark``, in [0, 1].

    Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - skewness SR + (kurtosis - 1) / 4 SR^2)), all per bar, kurtosis raw (Bailey
    and Lopez de Prado 2012).
    """
    return _NORMAL.cdf(count_standard_errors_above(shape, benchmark))


def count_standard_errors_above(
    shape: ReturnShape, benchmark: float = 0.0, *, least_variance: float = 0.0
) -> float:
    """Return the number of standard errors by which a Sharpe ratio is above ``benchmark``, see :func:`compute_probabilistic_sharpe`.

    Args:
        shape: The shape of the returns.
        benchmark: The ratio to compare with, per bar.
        least_variance: The least value of 1 - skewness SR + (kurtosis - 1) / 4 SR^2. A test of returns without skill takes 1, which is
            the value at a ratio of zero: else the positive skewness of a winner with few trades would make its error small.
    """
    sharpe = shape.sharpe
    variance = 1.0 - shape.skewness * sharpe + (shape.kurtosis - 1.0) / 4.0 * sharpe**2
    # The kurtosis of real numbers is at least 1 + skewness^2, so only rounding can bring this below zero.
    error = math.sqrt(max(variance, least_variance, ROUNDING) / (shape.n_returns - 1))
    return (sharpe - benchmark) / error


def compute_expected_maximum_sharpe(n_independent: float, deviation: float) -> float:
    """Return the Sharpe ratio of the best of n independent trials without skill, on average and in the unit of ``deviation``.

    deviation ((1 - g) Z(1 - 1/n) + g Z(1 - 1/(n e))), Z the normal quantile, g the Euler-Mascheroni constant (Bailey
    and Lopez de Prado 2014). An approximation for many trials: below about 1.3 it would be
    negative and 0, which is right for one trial, is returned.
    """
    if n_independent <= 1.0:
        return 0.0
    quantile = _NORMAL.inv_cdf
    high = quantile(1.0 - 1.0 / n_independent)
    higher = quantile(1.0 - 1.0 / (n_independent * math.e))
    return deviation * max(0.0, (1.0 - _EULER) * high + _EULER * higher)


def estimate_independent_trials(blocks: np.ndarray, n_unknown: int = 0) -> float:
    """Return the number of independent trials that the distinct ones are worth: r + (1 - r) n, in [1, n]; 0 without a trial.

    r is the average correlation of all pairs of trials, here of their mean returns in the blocks, and 0 where that is
    negative (Bailey and Lopez de Prado 2014, appendix). The sum over all pairs is had from one sum over trials, so
    that time and memory grow with n. Estimates from eigenvalues or clusters of the correlation matrix are of no use
    here: 16 blocks leave it a rank of 15, however many trials there are. A trial whose returns are the same in all blocks
    has no correlation and counts as independent.

    Args:
        blocks: (n_trials, n_blocks, 3) block moments of the trials.
        n_unknown: The number of further distinct trials, without moments: they count in n, as correlated as the others.
    """
    trials = select_distinct_trials(blocks)
    n = len(trials) + n_unknown
    if len(trials) < 2:
        return float(n)
    means = trials[:, :, 1] / np.maximum(trials[:, :, 0], 1.0)
    means -= means.mean(axis=1, keepdims=True)
    lengths = np.sqrt((means**2).sum(axis=1, keepdims=True))
    units = np.divide(means, lengths, out=np.zeros_like(means), where=lengths > 0.0)
    pairs = float((units.sum(axis=0) ** 2).sum()) - float((units**2).sum())
    correlation = min(1.0, max(0.0, pairs / (len(trials) * (len(trials) - 1.0))))
    return correlation + (1.0 - correlation) * n


def compute_deflated_sharpe(shape: ReturnShape, n_independent: float) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio of a search's winner.

    It is :func:`compute_probabilistic_sharpe` against :func:`compute_expected_maximum_sharpe` of the independent trials (Bailey and Lopez de
    Prado 2014), with two differences. The deviation in the latter is the spread of trials *without skill*: 1 / sqrt(n - 1), the
    standard error of a Sharpe ratio of zero over n bars. The paper estimates it by the spread of the trials that were made, and
    its theorem asks that these have an expected ratio of zero. Trials of a strategy do not: those of short periods lose to
    costs, those in bad corners of the space lose by themselves, and a benchmark taken from their spread would rise with every
    bad trial. Trials that are alike spread by less, and the benchmark would fall below what luck shows. And the error of the
    winner's ratio is at least that of a ratio of zero, see :func:`count_standard_errors_above`.

    Args:
        shape: The shape of the winner's bar returns in the window of the search.
        n_independent: The number of independent trials that it is the best of.
    """
    benchmark = compute_expected_maximum_sharpe(n_independent, 1.0 / math.sqrt(shape.n_returns - 1))
    probability = _NORMAL.cdf(count_standard_errors_above(shape, benchmark, least_variance=1.0))
    return DeflatedSharpe(probability, benchmark)


def compute_luck_level(n_independent: float, alpha: float = 0.05) -> float:
    """Return the deflated Sharpe ratio that a search without skill exceeds with probability ``alpha``.

    The deflated Sharpe ratio compares with the *expected* maximum of n independent trials, and the maximum itself varies less than a
    single estimate. Its 1 - alpha quantile is Phi^-1((1 - alpha)^(1/n)) standard errors, so that the level is
    Phi(Phi^-1((1 - alpha)^(1/n)) - E[max]): 0.95 for one trial, 0.84 for 10, 0.77 for 100, 0.73 for 1,000.
    """
    n = max(1.0, n_independent)
    return _NORMAL.cdf(_NORMAL.inv_cdf((1.0 - alpha) ** (1.0 / n)) - compute_expected_maximum_sharpe(n, 1.0))
