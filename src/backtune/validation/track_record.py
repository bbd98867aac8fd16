"""Lengths of time: how long a record must be to show that a Sharpe ratio is above zero, and how long a search needs.

Sources: D. Bailey and M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15 (2012); D. Bailey, J.
Borwein, M. Lopez de Prado and Q. Zhu, "Pseudo-Mathematics and Financial Charlatanism", Notices of the AMS 61 (2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from backtune.validation.deflated_sharpe import ReturnShape, compute_expected_maximum_sharpe

_NORMAL = NormalDist()


@dataclass(frozen=True)
class TrackRecord:
    """A test's length.

    Attributes:
        years: The length of the test, in years of bars.
        needed_years: The length of a test that would show, at 95 %, a Sharpe ratio above 0 with such returns; None where
            the ratio is not above 0, and no length would.
    """

    years: float
    needed_years: float | None

    @classmethod
    def of(cls, shape: ReturnShape | None, bars_per_year: float | None) -> TrackRecord | None:
        """Return the lengths for a series of bar returns; None where one of the two is not known."""
        if shape is None or bars_per_year is None:
            return None
        length = compute_min_track_record_length(shape)
        return cls(shape.n_returns / bars_per_year, None if length is None else length / bars_per_year)


def compute_min_track_record_length(
    shape: ReturnShape, benchmark: float = 0.0, confidence: float = 0.95
) -> float | None:
    """Return the number of bars after which such returns show, at this confidence, a Sharpe ratio above the benchmark.

    MinTRL = 1 + (1 - skewness SR + (kurtosis - 1) / 4 SR^2) (Z / (SR - SR*))^2, all per bar, kurtosis raw (Bailey and
    Lopez de Prado 2012). None where the ratio is not above the benchmark: no length would show it.
    """
    lead = shape.sharpe - benchmark
    if lead <= 0.0:
        return None
    variance = 1.0 - shape.skewness * shape.sharpe + (shape.kurtosis - 1.0) / 4.0 * shape.sharpe**2
    return 1.0 + max(variance, 0.0) * (_NORMAL.inv_cdf(confidence) / lead) ** 2


def compute_min_backtest_years(n_independent: float, sharpe: float = 1.0) -> float:
    """Return the years below which the best of so many trials without skill shows this annual Sharpe ratio on average.

    MinBTL = (E[max] / SR)^2, with E[max] in standard errors (Bailey, Borwein, Lopez de Prado and Zhu 2014); at most
    2 ln(n) / SR^2.
    """
    return (compute_expected_maximum_sharpe(n_independent, 1.0) / sharpe) ** 2
