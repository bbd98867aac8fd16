"""The bootstrap interval: against what theory says of independent and of autoregressive returns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backtune.validation.bootstrap import (
    _compute_prefix_sums,
    _resample_sums,
    bootstrap_sharpe_interval,
    estimate_block_length,
)


def autoregressive(seed: int, n: int, weight: float) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(n)
    values = np.zeros(n)
    for i in range(1, n):
        values[i] = weight * values[i - 1] + noise[i]
    return values


@pytest.mark.parametrize("weight", [0.3, 0.5, 0.9, -0.5])
def test_block_length_of_an_autoregression(weight: float) -> None:
    # G / g is 2 a / (1 - a^2) there.
    n = 20_000
    expected = (2 * abs(weight) / (1 - weight**2)) ** (2 / 3) * n ** (1 / 3)
    found = np.median([estimate_block_length(autoregressive(seed, n, weight)) for seed in range(9)])
    assert found == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0] * 50, 1.0), ([0.1] * 50, 1.0), ([1.0, -1.0, 1.0], 1.0)],
    ids=["zeros", "constant", "short"],
)
def test_block_length_of_little(values: list[float], expected: float) -> None:
    assert estimate_block_length(np.array(values)) == expected


def test_block_length_of_noise_is_short() -> None:
    assert np.median([estimate_block_length(autoregressive(seed, 5000, 0.0)) for seed in range(9)]) < 3.0


def test_block_length_has_a_limit() -> None:
    # A random walk; 3 sqrt(n) = 94.9.
    assert estimate_block_length(np.cumsum(autoregressive(1, 1000, 0.0))) <= 95.0


@pytest.mark.parametrize("block_bars", [1.0, 3.0, 8.0])
def test_resampled_mean_has_the_variance_of_the_stationary_bootstrap(block_bars: float) -> None:
    """Politis and Romano 1994, lemma 1: R0 + 2 sum (1 - k / n) (1 - p)^k R(k), over n, with circular covariances."""
    values = np.array([3.0, 2.0, 2.5, 0.0, -1.0, -2.0, 0.5, 1.0, 4.0, 1.5, -3.0, -2.5])
    n, centred = 12, values - values.mean()
    circular = [float(centred @ np.roll(centred, -k)) / n for k in range(n)]
    keep = 1 - 1 / block_bars
    expected = circular[0] + 2 * sum((1 - k / n) * keep**k * circular[k] for k in range(1, n))
    random = np.random.default_rng(4)
    sums = _resample_sums(
        _compute_prefix_sums(values), _compute_prefix_sums(values**2), block_bars, 200_000, random
    )
    assert np.var(sums[:, 0] / n) == pytest.approx(expected / n, rel=0.02)
    assert sums.mean(axis=0) == pytest.approx([values.sum(), (values**2).sum()], rel=0.02)


def test_width_for_independent_returns() -> None:
    # Lo 2002: the error of the Sharpe ratio of independent normal returns is sqrt((1 + SR^2 / 2) / n).
    random = np.random.default_rng(0)
    returns = 0.3 + random.standard_normal(2000)
    interval = bootstrap_sharpe_interval(returns, 1.0, seed=1, n_resamples=4000)
    assert interval is not None
    error = math.sqrt((1 + interval.sharpe**2 / 2) / 2000)
    assert interval.low == pytest.approx(interval.sharpe - 1.96 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(interval.sharpe + 1.96 * error, abs=0.15 * error)
    assert interval.probability_of_loss == 0.0


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    held = wide = 0
    for seed in range(200):
        returns = 0.05 + autoregressive(seed, 1000, 0.3)
        truth = 0.05 * math.sqrt(1 - 0.3**2)
        interval = bootstrap_sharpe_interval(returns, 1.0, seed=seed, confidence=0.9)
        independent = bootstrap_sharpe_interval(returns, 1.0, seed=seed, confidence=0.9, block_bars=1)
        assert interval is not None
        assert independent is not None
        held += interval.low <= truth <= interval.high
        wide += independent.low <= truth <= independent.high
    # Blocks of one bar forget that neighbours are alike: 77 % are expected then.
    assert 0.83 <= held / 200 <= 0.95
    assert wide / 200 < 0.82


def test_clusters_of_volatility_ask_for_longer_blocks() -> None:
    calm = np.exp(autoregressive(1, 20_000, 0.98) * 0.2)
    returns = 0.2 * calm + calm * np.random.default_rng(2).standard_normal(20_000)
    interval = bootstrap_sharpe_interval(returns, 1.0, seed=0)
    assert interval is not None
    assert interval.block_bars > 5.0


def test_annual_units_and_seed() -> None:
    returns = 0.001 + 0.01 * np.random.default_rng(3).standard_normal(500)
    per_bar, annual = (
        bootstrap_sharpe_interval(returns, 1.0, seed=5),
        bootstrap_sharpe_interval(returns, 252.0, seed=5),
    )
    assert per_bar is not None
    assert annual is not None
    assert annual.low == pytest.approx(per_bar.low * math.sqrt(252), rel=1e-12)
    assert annual.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(252), rel=1e-12)
    assert annual == bootstrap_sharpe_interval(returns, 252.0, seed=5)
    assert annual != bootstrap_sharpe_interval(returns, 252.0, seed=6)


@pytest.mark.parametrize(
    "returns", [[], [0.1], [0.0] * 9, [0.01] * 100], ids=["empty", "one", "zeros", "constant"]
)
def test_none_without_variation(returns: list[float]) -> None:
    assert bootstrap_sharpe_interval(np.array(returns), 252.0, seed=0) is None


def test_a_single_trade_in_many_bars() -> None:
    returns = np.zeros(1000)
    returns[500] = 0.02
    interval = bootstrap_sharpe_interval(returns, 252.0, seed=0)
    assert interval is not None
    # A third of the resamples have no trade, and earn nothing.
    assert interval.low == 0.0 < interval.high


def test_blocks_of_two_hundred_thousand_bars() -> None:
    returns = 1e-5 + 1e-3 * np.random.default_rng(1).standard_normal(210_000)
    interval = bootstrap_sharpe_interval(returns, 35_064.0, seed=0, n_resamples=1000)
    assert interval is not None
    assert interval.block_bars == 420.0
    # As wide as theory says of independent returns, though they were taken in blocks.
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * (35_064.0 / 210_000) ** 0.5, rel=0.2)
