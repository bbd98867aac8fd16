"""Many tests at once: what the best of them shows by luck, and what is left of each result once that is taken off.

Sources: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979);
Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", Journal of the Royal Statistical Society B 57 (1995);
J. Storey, "A Direct Approach to False Discovery Rates", ibid. B 64 (2002); C. Harvey and Y. Liu, "Backtesting", Journal of
Portfolio Management 42 (2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from backtune.validation.deflated_sharpe import ReturnShape, count_standard_errors_above

_NORMAL = NormalDist()
# A probability below this one has no finite normal quantile.
_LEAST_P = 1e-300
# A sweep of a hundred thousand cells may have as many lengths of test.
_MOST_GROUPS = 64
# The share of cases in which the maximum stays below ``upper``.
_UPPER_QUANTILE = 0.95
# Half-width and number of the points at which the distribution of a maximum is summed, in standard errors of the widest test.
_REACH = 12.0
_POINTS = 4_801


def compute_sharpe_p_value(shape: ReturnShape) -> float:
    """Return the one-sided p-value of a Sharpe ratio above zero, in (0, 1].

    1 - Phi(SR sqrt(n - 1) / sqrt(max(1, 1 - skewness SR + (kurtosis - 1) / 4 SR^2))): the probabilistic Sharpe ratio, whose error is at
    least that of a ratio of zero. Without that floor it rejects too often where trades are few.
    """
    z = count_standard_errors_above(shape, least_variance=1.0)
    # The complementary error function keeps tails that 1 - Phi would round to zero.
    return max(0.5 * math.erfc(z / math.sqrt(2.0)), _LEAST_P)


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Return the family-wise p-values, in the order of the tests (Holm 1979).

    The adjusted value of the j-th smallest of m is max_{k<=j} min(1, (m - k + 1) p_(k)): the probability, at most, that some
    test without an effect would show as much. It holds whatever the dependence of the tests.
    """
    m = len(p_values)
    adjusted = [1.0] * m
    highest = 0.0
    for rank, k in enumerate(sorted(range(m), key=lambda k: p_values[k])):
        highest = max(highest, min(1.0, (m - rank) * p_values[k]))
        adjusted[k] = highest
    return adjusted


def compute_false_discovery_rates(p_values: Sequence[float]) -> list[float]:
    """Return the q-values, in the order of the tests (Benjamini and Hochberg 1995).

    Of all tests with a q-value of at most q, a share of q is expected to be without an effect. It holds for independent and
    for positively dependent tests.
    """
    m = len(p_values)
    rates = [1.0] * m
    lowest = 1.0
    for rank, k in reversed(list(enumerate(sorted(range(m), key=lambda k: p_values[k]), start=1))):
        lowest = min(lowest, p_values[k] * m / rank)
        rates[k] = lowest
    return rates


def estimate_share_with_effect(p_values: Sequence[float]) -> float:
    """Return the estimated share of tests with an effect, in [0, 1]: 1 - #{p > 0.5} / (0.5 m) (Storey 2002)."""
    without = sum(p > 0.5 for p in p_values) / (0.5 * len(p_values))
    return max(0.0, 1.0 - without)


def compute_haircut_sharpe(family_p: float, n_returns: int, bars_per_year: float) -> float:
    """Return the annual Sharpe ratio that a single test would need for this family-wise p-value, at least 0.

    Phi^-1(1 - p) sqrt(bars_per_year / (n - 1)) (Harvey and Liu 2015): what is left of a ratio once the number of tests is
    accounted for.
    """
    if family_p >= 0.5:
        return 0.0
    return -_NORMAL.inv_cdf(max(family_p, _LEAST_P)) * math.sqrt(bars_per_year / (n_returns - 1))


@dataclass(frozen=True)
class BestByLuck:
    """The annual Sharpe ratio that the best of several tests shows where none has an edge.

    Attributes:
        n_tests: The number of tests.
        mean: The expected maximum.
        upper: The value that the maximum stays below in 95 of 100 cases.
    """

    n_tests: int
    mean: float
    upper: float

    @classmethod
    def of(cls, errors: Sequence[float]) -> BestByLuck:
        """Return it for independent, normal tests with these standard errors of an annual Sharpe ratio of zero.

        P(max <= x) is the product of Phi(x / error), and the mean is b less the integral of P up to b, for any b that the
        maximum stays below.

        Args:
            errors: One for each test, positive; there is at least one.
        """
        values, counts = _grouped(np.asarray(errors, dtype=np.float64))
        x = np.linspace(-_REACH, _REACH, _POINTS) * values.max()
        below = np.array([_probability_below(at, values, counts) for at in x])
        mean = float(x[-1] - (below[:-1] + below[1:]).sum() * (x[1] - x[0]) / 2.0)
        upper = float(np.interp(_UPPER_QUANTILE, below, x))
        return cls(len(errors), max(0.0, mean), upper)


def _grouped(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (k,) standard errors and how many tests have each; many different ones in groups of neighbours, by their means."""
    values, counts = np.unique(errors, return_counts=True)
    if len(values) <= _MOST_GROUPS:
        return values, counts
    groups = np.array_split(np.sort(errors), _MOST_GROUPS)
    return np.array([group.mean() for group in groups]), np.array([len(group) for group in groups])


def _probability_below(at: float, errors: np.ndarray, counts: np.ndarray) -> float:
    logs = [
        n * math.log(max(_NORMAL.cdf(at / error), _LEAST_P)) for error, n in zip(errors, counts, strict=True)
    ]
    return math.exp(sum(logs))
