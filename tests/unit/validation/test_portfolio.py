"""Portfolio weights against closed forms, and what must hold for any returns."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtune.errors import ResultsError
from backtune.validation.portfolio import (
    METHODS,
    compute_correlations,
    fit_weights,
    measure_diversification,
    score_returns,
)

# Weights by a formula, and by skfolio's solver at its default tolerance.
EXACT, SOLVED = 1e-12, 2e-4


def returns_with(correlations: list[list[float]], deviations: list[float]) -> np.ndarray:
    """Returns whose sample correlations and deviations (ddof 1) are exactly these."""
    n = len(deviations)
    noise = np.random.default_rng(1).standard_normal((400, n))
    noise -= noise.mean(axis=0)
    free = noise @ np.linalg.inv(np.linalg.cholesky(noise.T @ noise / 399)).T
    mixed: np.ndarray = free @ np.linalg.cholesky(np.array(correlations)).T * np.array(deviations)
    return mixed


def weights_of(returns: np.ndarray, method: str) -> np.ndarray:
    weights = fit_weights(returns, method)
    assert weights is not None
    return weights


def risk_contributions(returns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of each series in the variance of the portfolio."""
    covariance = np.cov(returns.T).reshape(len(weights), -1)
    shares: np.ndarray = weights * (covariance @ weights) / (weights @ covariance @ weights)
    return shares


TWO = returns_with([[1.0, 0.3], [0.3, 1.0]], [0.01, 0.03])
# Correlations 0.5, 0 and 0: the third diversifies most. With x = C^-1 1 = (2/3, 2/3, 1), weights x / deviation.
THREE = returns_with([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.01, 0.02, 0.04])
# The first is nearly the mean of the others, so it adds nothing: C^-1 1 would be negative there.
NEEDLESS = returns_with([[1.0, 0.8, 0.8], [0.8, 1.0, 0.4], [0.8, 0.4, 1.0]], [0.01, 0.01, 0.02])


@pytest.mark.parametrize(
    ("returns", "method", "weights"),
    [
        (TWO, "equal", [1 / 2, 1 / 2]),
        (TWO, "inverse_volatility", [3 / 4, 1 / 4]),
        # With two series both are the inverse volatilities, whatever the correlation.
        (TWO, "risk_parity", [3 / 4, 1 / 4]),
        (TWO, "maximum_diversification", [3 / 4, 1 / 4]),
        (THREE, "inverse_volatility", [4 / 7, 2 / 7, 1 / 7]),
        # x1 = x2 with 1.5 x1^2 = x3^2, so x3 / x1 = sqrt(1.5).
        (THREE, "risk_parity", [1, 1 / 2, math.sqrt(1.5) / 4]),
        (THREE, "maximum_diversification", [200 / 3, 100 / 3, 25]),
        (NEEDLESS, "maximum_diversification", [0, 2 / 3, 1 / 3]),
    ],
)
def test_closed_forms(returns: np.ndarray, method: str, weights: list[float]) -> None:
    expected = np.array(weights) / sum(weights)
    precision = EXACT if method in ("equal", "inverse_volatility") else SOLVED
    np.testing.assert_allclose(weights_of(returns, method), expected, rtol=0, atol=precision)


def test_correlations_and_diversification() -> None:
    np.testing.assert_allclose(compute_correlations(TWO), [[1.0, 0.3], [0.3, 1.0]], rtol=1e-9)
    # The variance is 0.25 (1 + 9 + 2 * 0.9) e-4.
    ratio = measure_diversification(weights_of(TWO, "equal"), TWO)
    assert ratio == pytest.approx(0.02 / math.sqrt(0.25 * 11.8e-4))


def universes() -> st.SearchStrategy[np.ndarray]:
    def draw(seed: int, n_assets: int, common: float) -> np.ndarray:
        random = np.random.default_rng(seed)
        factor = random.standard_normal((300, 1)) * random.choice([-1.0, 1.0], n_assets)
        noise = random.standard_normal((300, n_assets))
        scales: np.ndarray = 10.0 ** random.uniform(-4, -1, n_assets)
        return (common * factor + noise) * scales

    return st.builds(draw, st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0, 3))


@settings(max_examples=50, deadline=None)
@given(universes())
def test_laws(returns: np.ndarray) -> None:
    ratios = {}
    for method in METHODS:
        weights = weights_of(returns, method)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        ratios[method] = measure_diversification(weights, returns)
    parity = risk_contributions(returns, weights_of(returns, "risk_parity"))
    np.testing.assert_allclose(parity, 1 / returns.shape[1], atol=SOLVED)
    assert ratios["maximum_diversification"] >= max(ratios.values()) - 1e-6


@settings(max_examples=30, deadline=None)
@given(universes())
def test_the_most_diversified_correlates_alike_with_what_it_holds(returns: np.ndarray) -> None:
    """And at least so much with what it leaves out (Choueifaty and Coignard 2008, core properties)."""
    weights = weights_of(returns, "maximum_diversification")
    correlations = np.array([np.corrcoef(series, returns @ weights)[0, 1] for series in returns.T])
    risk = weights * returns.std(axis=0)
    held = risk > 1e-3 * risk.sum()
    np.testing.assert_allclose(correlations[held], correlations[held][0], atol=1e-3)
    assert (correlations >= correlations[held][0] - 1e-3).all()


def test_a_series_that_does_not_vary() -> None:
    returns = np.column_stack([TWO, np.zeros(400)])
    assert [method for method in METHODS if fit_weights(returns, method) is not None] == ["equal"]
    assert np.isnan(compute_correlations(returns)[2]).all()
    assert measure_diversification(np.array([0.5, 0.5, 0.0]), returns) == pytest.approx(
        measure_diversification(np.array([0.5, 0.5]), TWO)
    )
    assert measure_diversification(np.array([0.5, 0.5]), np.zeros((5, 2))) is None


def test_portfolio_without_risk_has_no_answer() -> None:
    returns = np.column_stack([TWO[:, 0], -TWO[:, 0]])
    assert fit_weights(returns, "risk_parity") is None
    assert fit_weights(returns, "maximum_diversification") is None
    assert measure_diversification(weights_of(returns, "inverse_volatility"), returns) is None


def test_portfolio_of_some_series_without_risk_has_no_answer() -> None:
    returns = np.column_stack([TWO[:, 0] + TWO[:, 1], -TWO[:, 0], -2 * TWO[:, 1], THREE[:, 2]])
    assert fit_weights(returns, "risk_parity") is None
    assert fit_weights(returns, "maximum_diversification") is None


def test_the_same_series_twice_shares_its_part() -> None:
    returns = np.column_stack([THREE[:, 0], THREE[:, 0], THREE[:, 2]])
    parity = risk_contributions(returns, weights_of(returns, "risk_parity"))
    np.testing.assert_allclose(parity, 1 / 3, atol=SOLVED)
    most = weights_of(returns, "maximum_diversification")
    assert most[0] + most[1] == pytest.approx(0.8, abs=SOLVED)
    assert most[2] == pytest.approx(0.2, abs=SOLVED)


def test_score_by_hand() -> None:
    returns = np.array([0.05, -0.1, 0.1, 0.01])
    score = score_returns(returns, 4.0)
    assert score.total_return == pytest.approx(1.05 * 0.9 * 1.1 * 1.01 - 1)
    assert score.max_drawdown == pytest.approx(0.1)
    assert score.volatility == pytest.approx(np.std(returns, ddof=1) * 2)
    assert score.sharpe_ratio == pytest.approx(0.015 / np.std(returns, ddof=1) * 2)
    idle = score_returns(np.zeros(3), 252.0)
    assert (idle.sharpe_ratio, idle.total_return, idle.max_drawdown) == (None, 0.0, 0.0)


def test_missing_skfolio_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skfolio.optimization", None)
    with pytest.raises(ResultsError, match=r"needs skfolio, .*; pip install 'backtune\[portfolio\]'"):
        fit_weights(TWO, "equal")
