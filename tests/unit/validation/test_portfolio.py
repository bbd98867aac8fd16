"""Portfolio weights against closed forms, and what must hold for any returns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtune.validation.portfolio import METHODS, Portfolio, fit_portfolio, score_portfolio


def returns_with(correlations: list[list[float]], deviations: list[float]) -> np.ndarray:
    """Returns whose sample correlations and deviations (ddof 1) are exactly these."""
    n = len(deviations)
    noise = np.random.default_rng(1).standard_normal((400, n))
    noise -= noise.mean(axis=0)
    free = noise @ np.linalg.inv(np.linalg.cholesky(noise.T @ noise / 399)).T
    mixed: np.ndarray = free @ np.linalg.cholesky(np.array(correlations)).T * np.array(deviations)
    return mixed


def fitted(returns: np.ndarray, method: str) -> Portfolio:
    portfolio = fit_portfolio(returns, method)
    assert portfolio is not None
    return portfolio


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
    np.testing.assert_allclose(fitted(returns, method).weights, expected, rtol=1e-9, atol=1e-12)


def test_what_a_portfolio_says_of_itself() -> None:
    portfolio = fitted(TWO, "equal")
    assert portfolio.method == "equal"
    np.testing.assert_allclose(portfolio.correlations, [[1.0, 0.3], [0.3, 1.0]], rtol=1e-9)
    # Variance 0.25 (1 + 9 + 2 * 0.9) e-4; the first has 1 + 0.9 of 11.8.
    np.testing.assert_allclose(portfolio.risk_contributions, [1.9 / 11.8, 9.9 / 11.8], rtol=1e-9)
    assert portfolio.diversification_ratio == pytest.approx(0.02 / math.sqrt(0.25 * 11.8e-4))


def universes() -> st.SearchStrategy[np.ndarray]:
    def draw(seed: int, n_assets: int, common: float) -> np.ndarray:
        random = np.random.default_rng(seed)
        factor = random.standard_normal((300, 1)) * random.choice([-1.0, 1.0], n_assets)
        noise = random.standard_normal((300, n_assets))
        scales: np.ndarray = 10.0 ** random.uniform(-4, -1, n_assets)
        return (common * factor + noise) * scales

    return st.builds(draw, st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0, 3))


@settings(max_examples=150)
@given(universes())
def test_laws(returns: np.ndarray) -> None:
    for method in METHODS:
        portfolio = fitted(returns, method)
        assert (portfolio.weights >= 0).all()
        assert portfolio.weights.sum() == pytest.approx(1.0, abs=1e-12)
        assert portfolio.risk_contributions.sum() == pytest.approx(1.0, abs=1e-9)
    parity = fitted(returns, "risk_parity")
    np.testing.assert_allclose(parity.risk_contributions, 1 / returns.shape[1], atol=1e-8)
    most = fitted(returns, "maximum_diversification").diversification_ratio
    assert most is not None
    for method in METHODS:
        assert most >= (fitted(returns, method).diversification_ratio or 0.0) - 1e-9


@settings(max_examples=50)
@given(universes())
def test_the_most_diversified_correlates_alike_with_what_it_holds(returns: np.ndarray) -> None:
    """And at least so much with what it leaves out (Choueifaty and Coignard 2008, core properties)."""
    weights = fitted(returns, "maximum_diversification").weights
    made = returns @ weights
    correlations = np.array([np.corrcoef(series, made)[0, 1] for series in returns.T])
    held = weights > 1e-9
    np.testing.assert_allclose(correlations[held], correlations[held][0], atol=1e-6)
    assert (correlations >= correlations[held][0] - 1e-6).all()


def test_a_series_that_does_not_vary() -> None:
    returns = np.column_stack([TWO, np.zeros(400)])
    assert [method for method in METHODS if fit_portfolio(returns, method) is not None] == ["equal"]
    portfolio = fitted(returns, "equal")
    assert np.isnan(portfolio.correlations[2]).all()
    assert portfolio.risk_contributions[2] == 0.0
    idle = fitted(np.zeros((5, 2)), "equal")
    assert idle.diversification_ratio is None
    assert np.isnan(idle.risk_contributions).all()


def test_a_mix_without_risk_has_no_answer() -> None:
    returns = np.column_stack([TWO[:, 0], -TWO[:, 0]])
    assert fit_portfolio(returns, "risk_parity") is None
    assert fit_portfolio(returns, "maximum_diversification") is None
    assert fitted(returns, "inverse_volatility").diversification_ratio is None


def test_a_mix_of_some_without_risk_has_no_answer() -> None:
    returns = np.column_stack([TWO[:, 0] + TWO[:, 1], -TWO[:, 0], -2 * TWO[:, 1], THREE[:, 2]])
    assert fit_portfolio(returns, "risk_parity") is None
    assert fit_portfolio(returns, "maximum_diversification") is None


def test_the_same_series_twice_shares_its_part() -> None:
    returns = np.column_stack([THREE[:, 0], THREE[:, 0], THREE[:, 2]])
    parity = fitted(returns, "risk_parity")
    np.testing.assert_allclose(parity.risk_contributions, 1 / 3, atol=1e-8)
    most = fitted(returns, "maximum_diversification").weights
    assert most[0] + most[1] == pytest.approx(0.8)
    assert most[2] == pytest.approx(0.2)


def test_score_by_hand() -> None:
    returns = np.array([[0.1, 0.0], [-0.2, 0.0], [0.1, 0.1], [0.0, 0.02]])
    score = score_portfolio(np.array([0.5, 0.5]), returns, 4.0)
    made = [0.05, -0.1, 0.1, 0.01]
    assert score.returns == pytest.approx(made)
    assert score.total_return == pytest.approx(1.05 * 0.9 * 1.1 * 1.01 - 1)
    assert score.max_drawdown == pytest.approx(0.1)
    assert score.volatility == pytest.approx(np.std(made, ddof=1) * 2)
    assert score.sharpe_ratio == pytest.approx(0.015 / np.std(made, ddof=1) * 2)
    assert score.correlations[0, 1] == pytest.approx(np.corrcoef(returns.T)[0, 1])
    idle = score_portfolio(np.array([1.0]), np.zeros((3, 1)), 252.0)
    assert (idle.sharpe_ratio, idle.total_return, idle.max_drawdown) == (None, 0.0, 0.0)


@pytest.mark.parametrize(
    ("returns", "method", "message"),
    [
        (np.zeros(5), "equal", r"returns must be \(n_bars, n_assets\) with two bars or more, not \(5,\)"),
        (np.zeros((1, 3)), "equal", "two bars or more"),
        (np.zeros((5, 0)), "equal", "two bars or more"),
        (np.array([[0.0, 0.1], [math.nan, 0.1]]), "equal", "return nan of series 0 at bar 1 is not finite"),
        (TWO, "parity", "'parity' is not a method; allowed: equal, inverse_volatility"),
    ],
)
def test_refused(returns: np.ndarray, method: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_portfolio(returns, method)


def test_weights_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="weights for 2 series"):
        score_portfolio(np.ones(3) / 3, TWO, 252.0)
