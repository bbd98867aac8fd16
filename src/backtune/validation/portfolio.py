"""Weights over several return series: fitted on one window, scored on another.

Weights are not negative, add up to 1 and are held by rebalancing at every bar, free of cost.

Sources: S. Maillard, T. Roncalli and J. Teiletche, "The Properties of Equally Weighted Risk Contribution Portfolios",
Journal of Portfolio Management 36 (2010); F. Spinu, "An Algorithm for Computing Risk Parity Weights" (2013); Y. Choueifaty and Y.
Coignard, "Toward Maximum Diversification", Journal of Portfolio Management 35 (2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backtune.validation.return_moments import ROUNDING

_STEPS = 200
_PRECISION = 1e-10
# A share of variance this small is rounding: such a mix bears no risk.
_NO_RISK = 1e-11


@dataclass(frozen=True)
class Portfolio:
    """Weights with what they were fitted on; all in-sample.

    Attributes:
        method: a key of :data:`METHODS`.
        weights: (n_assets,), at least 0, adding up to 1.
        correlations: (n_assets, n_assets); NaN for a series that does not vary.
        risk_contributions: (n_assets,) share of each in the variance of the portfolio, adding up to 1; NaN where that is 0.
        diversification_ratio: weighted mean of the volatilities / volatility of the portfolio, at least 1; None where that is 0.
    """

    method: str
    weights: np.ndarray
    correlations: np.ndarray
    risk_contributions: np.ndarray
    diversification_ratio: float | None


@dataclass(frozen=True)
class PortfolioScore:
    """What weights made of returns.

    Attributes:
        returns: (n_bars,) of the portfolio.
        total_return: as a fraction.
        volatility: standard deviation (ddof 1), annual.
        sharpe_ratio: mean / std (ddof 1), annual; None where the returns do not vary.
        max_drawdown: largest fall from a peak, as a positive fraction; the peak starts at 1.
        correlations: (n_assets, n_assets) in this window; NaN for a series that does not vary.
    """

    returns: np.ndarray
    total_return: float
    volatility: float
    sharpe_ratio: float | None
    max_drawdown: float
    correlations: np.ndarray


def fit_portfolio(returns: np.ndarray, method: str) -> Portfolio | None:
    """Weights by one of :data:`METHODS`.

    Args:
        returns: (n_bars, n_assets) bar returns at common times, two bars or more, finite.

    Returns:
        None where the method has no answer: a series does not vary (but for ``equal``), or a mix of them bears no risk.

    Raises:
        ValueError: another shape, a value that is not finite, an unknown method.
    """
    values = _checked(returns)
    if method not in METHODS:
        raise ValueError(f"{method!r} is not a method; allowed: {', '.join(METHODS)}")
    deviations, correlations = _risk(values)
    weights = METHODS[method](deviations, correlations)
    if weights is None:
        return None
    covariance = np.nan_to_num(correlations) * np.outer(deviations, deviations)
    variance = float(weights @ covariance @ weights)
    mean_deviation = float(weights @ deviations)
    has_risk = variance > ROUNDING * mean_deviation**2
    return Portfolio(
        method=method,
        weights=weights,
        correlations=correlations,
        risk_contributions=weights * (covariance @ weights) / variance
        if has_risk
        else np.full(len(weights), np.nan),
        diversification_ratio=mean_deviation / math.sqrt(variance) if has_risk else None,
    )


def score_portfolio(weights: np.ndarray, returns: np.ndarray, bars_per_year: float) -> PortfolioScore:
    """What weights make of other returns than those they were fitted on.

    Args:
        weights: (n_assets,).
        returns: (n_bars, n_assets) as :func:`fit_portfolio` takes them.

    Raises:
        ValueError: another shape, or a value that is not finite.
    """
    values = _checked(returns)
    if weights.shape != (values.shape[1],):
        raise ValueError(f"there are {weights.shape} weights for {values.shape[1]} series")
    made = values @ weights
    equity = np.concatenate([[1.0], np.cumprod(1.0 + made)])
    deviation = float(made.std(ddof=1))
    varies = deviation**2 > ROUNDING * float(np.mean(made**2))
    year = math.sqrt(bars_per_year)
    return PortfolioScore(
        returns=made,
        total_return=float(equity[-1]) - 1.0,
        volatility=deviation * year,
        sharpe_ratio=float(made.mean()) / deviation * year if varies else None,
        max_drawdown=float(np.max(1.0 - equity / np.maximum.accumulate(equity))),
        correlations=_risk(values)[1],
    )


def correlations_of(returns: np.ndarray) -> np.ndarray:
    """(n_assets, n_assets) of (n_bars, n_assets) returns; NaN for a series that does not vary.

    Raises:
        ValueError: another shape, or a value that is not finite.
    """
    return _risk(_checked(returns))[1]


def equal(deviations: np.ndarray, _correlations: np.ndarray) -> np.ndarray | None:
    """1 / n."""
    return np.full(len(deviations), 1.0 / len(deviations))


def inverse_volatility(deviations: np.ndarray, _correlations: np.ndarray) -> np.ndarray | None:
    """Proportional to 1 / deviation; None where one does not vary."""
    return _from_risk_units(np.ones(len(deviations)), deviations) if deviations.all() else None


def risk_parity(deviations: np.ndarray, correlations: np.ndarray) -> np.ndarray | None:
    """Every series has the same share in the variance (Maillard, Roncalli and Teiletche 2010).

    With x the weights times the deviations, the minimum of x' C x / 2 - sum(log x) / n, which is convex, by Newton steps
    (Spinu 2013). None where a series does not vary, or where a mix bears no risk: then there is no minimum.
    """
    if not deviations.all():
        return None
    n = len(deviations)
    x = np.full(n, 1.0 / math.sqrt(max(float(correlations.sum()), 1.0)))
    for _ in range(_STEPS):
        if x @ correlations @ x <= _NO_RISK * x.sum() ** 2:
            return None
        inverse = 1.0 / (n * x)
        gradient = correlations @ x - inverse
        step = np.linalg.solve(correlations + np.diag(inverse / x), gradient)
        # How far the step goes in units of the barrier; full steps converge once it is small.
        length = float(np.max(np.abs(step / x)))
        x = x - step / max(1.0, 1.25 * length)
        if length < _PRECISION:
            return _from_risk_units(x, deviations)
    return None


def maximum_diversification(deviations: np.ndarray, correlations: np.ndarray) -> np.ndarray | None:
    """The highest ratio of the weighted mean of deviations to the portfolio's (Choueifaty and Coignard 2008).

    With x as in :func:`risk_parity`, the minimum of x' C x over x >= 0 with sum(x) = 1. Up to scale that is the minimum of
    x' C x + (sum(x) - 1)^2, non-negative least squares, which are solved exactly. None where a series does not vary, or where
    a mix bears no risk.
    """
    from scipy.optimize import nnls

    if not deviations.all():
        return None
    spectrum, axes = np.linalg.eigh(correlations)
    roots = np.sqrt(np.maximum(spectrum, 0.0))[:, None] * axes.T
    n = len(deviations)
    x, _ = nnls(np.vstack([roots, np.ones(n)]), np.append(np.zeros(n), 1.0))
    return _from_risk_units(x, deviations) if x @ correlations @ x > _NO_RISK * x.sum() ** 2 else None


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray | None]] = {
    "equal": equal,
    "inverse_volatility": inverse_volatility,
    "risk_parity": risk_parity,
    "maximum_diversification": maximum_diversification,
}


def _from_risk_units(x: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    weights: np.ndarray = x / deviations / (x / deviations).sum()
    return weights


def _risk(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n_assets,) standard deviations (ddof 1), 0 where rounding, and (n_assets, n_assets) correlations."""
    centred = values - values.mean(axis=0)
    squares = (centred**2).sum(axis=0)
    varies = squares > ROUNDING * (values**2).sum(axis=0)
    deviations = np.where(varies, np.sqrt(squares / (len(values) - 1)), 0.0)
    lengths = np.where(varies, np.sqrt(squares), np.nan)
    correlations: np.ndarray = centred.T @ centred / np.outer(lengths, lengths)
    np.fill_diagonal(correlations, np.where(varies, 1.0, np.nan))
    return deviations, correlations


def _checked(returns: np.ndarray) -> np.ndarray:
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 1:
        raise ValueError(f"returns must be (n_bars, n_assets) with two bars or more, not {values.shape}")
    if not np.isfinite(values).all():
        bar, asset = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"return {values[bar, asset]} of series {asset} at bar {bar} is not finite")
    return values
