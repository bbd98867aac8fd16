"""Portfolio weights over several return series, learned on one window and scored on another.

Weights are not negative, add up to 1 and are held by rebalancing at every bar, free of cost. skfolio computes them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np

from backtune.errors import ResultsError
from backtune.validation.return_moments import ROUNDING

METHODS: Final = ("equal", "inverse_volatility", "risk_parity", "maximum_diversification")
# The least variance of a portfolio whose holdings have a mean deviation of 1; less is the precision of the solver.
_NO_RISK: Final = 1e-8


@dataclass(frozen=True)
class PortfolioScore:
    """The metrics of a portfolio's returns.

    Attributes:
        sharpe_ratio: Mean over standard deviation (ddof 1), annual; None where the returns do not vary.
        total_return: The compounded return, as a fraction.
        volatility: The standard deviation (ddof 1), annual.
        max_drawdown: The largest fall from a peak, as a positive fraction; the first peak is the initial equity.
    """

    sharpe_ratio: float | None
    total_return: float
    volatility: float
    max_drawdown: float


def fit_weights(returns: np.ndarray, method: str) -> np.ndarray | None:
    """Return the (n_assets,) weights that a method learns from (n_bars, n_assets) finite bar returns at common times.

    Args:
        method: One of :data:`METHODS`; see ``docs/portfolio.md``.

    Returns:
        None where the method has no answer: a series does not vary (except for ``equal``), or the series can be held
        such that the portfolio bears no risk (for ``risk_parity`` and ``maximum_diversification``).

    Raises:
        ResultsError: skfolio is not installed.
    """
    try:
        from skfolio.optimization import (
            EqualWeighted,
            InverseVolatility,
            MaximumDiversification,
            RiskBudgeting,
        )
    except ImportError:
        problem = "a portfolio needs skfolio, which is not installed; pip install 'backtune[portfolio]'"
        raise ResultsError(problem) from None
    estimators = {
        "equal": EqualWeighted,
        "inverse_volatility": InverseVolatility,
        "risk_parity": RiskBudgeting,
        "maximum_diversification": MaximumDiversification,
    }
    deviations, correlations = _measure_risk(returns)
    if method == "equal":
        deviations = np.ones_like(deviations)
    if not deviations.all():
        return None
    with warnings.catch_warnings():
        # The covariance of series that move alike is singular: skfolio corrects it, and warns.
        warnings.filterwarnings("ignore", message="The covariance matrix is not positive definite")
        # The solver's tolerance is absolute: each series enters in units of its deviation, which no method minds.
        exposures: np.ndarray = estimators[method]().fit(returns / deviations).weights_
    seeks_low_risk = method in ("risk_parity", "maximum_diversification")
    if seeks_low_risk and exposures @ correlations @ exposures < _NO_RISK:
        return None
    weights: np.ndarray = exposures / deviations / (exposures / deviations).sum()
    return weights


def measure_diversification(weights: np.ndarray, returns: np.ndarray) -> float | None:
    """Return the diversification ratio, at least 1: the weighted mean of the volatilities over the portfolio's volatility.

    None where the portfolio's returns do not vary.
    """
    deviations, correlations = _measure_risk(returns)
    exposures = weights * deviations
    variance = float(exposures @ np.nan_to_num(correlations) @ exposures)
    mean_deviation = float(exposures.sum())
    return mean_deviation / math.sqrt(variance) if variance > ROUNDING * mean_deviation**2 else None


def score_returns(returns: np.ndarray, bars_per_year: float) -> PortfolioScore:
    """Return the metrics of the (n_bars,) returns of a portfolio, two bars or more."""
    equity = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    deviation = float(returns.std(ddof=1))
    varies = deviation**2 > ROUNDING * float(np.mean(returns**2))
    year = math.sqrt(bars_per_year)
    return PortfolioScore(
        sharpe_ratio=float(returns.mean()) / deviation * year if varies else None,
        total_return=float(equity[-1]) - 1.0,
        volatility=deviation * year,
        max_drawdown=float(np.max(1.0 - equity / np.maximum.accumulate(equity))),
    )


def compute_correlations(returns: np.ndarray) -> np.ndarray:
    """Return the (n_assets, n_assets) correlations of (n_bars, n_assets) returns; NaN for a series that does not vary."""
    return _measure_risk(returns)[1]


def _measure_risk(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_assets,) deviations (ddof 1), 0 where they are rounding, and (n_assets, n_assets) correlations."""
    centred = returns - returns.mean(axis=0)
    squares = (centred**2).sum(axis=0)
    varies = squares > ROUNDING * (returns**2).sum(axis=0)
    deviations = np.where(varies, np.sqrt(squares / (len(returns) - 1)), 0.0)
    lengths = np.where(varies, np.sqrt(squares), np.nan)
    correlations: np.ndarray = centred.T @ centred / np.outer(lengths, lengths)
    np.fill_diagonal(correlations, np.where(varies, 1.0, np.nan))
    return deviations, correlations
