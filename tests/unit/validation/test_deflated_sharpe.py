"""The probabilistic and the deflated Sharpe ratio: the papers' own numbers, and what must hold for any trials."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from block_moments import blocks_of

from backtune.validation.deflated_sharpe import (
    DeflatedSharpe,
    ReturnShape,
    TrialCount,
    compute_deflated_sharpe,
    compute_expected_maximum_sharpe,
    compute_luck_level,
    compute_probabilistic_sharpe,
    estimate_independent_trials,
)
from backtune.validation.return_moments import compute_trial_sharpes, select_distinct_trials

RANDOM = np.random.default_rng(11)
NOISE = RANDOM.standard_normal((200, 1600)) * 0.01

# Bailey and Lopez de Prado 2014: annual Sharpe ratios of variance 1/2, a best of 2.5, five years of 250 days.
DAILY = 2.5 / math.sqrt(250)
SPREAD = math.sqrt(0.5 / 250)


def deflated(returns: np.ndarray, blocks: np.ndarray) -> DeflatedSharpe:
    shape, tried = ReturnShape.of(returns), TrialCount.of(blocks)
    assert shape is not None
    assert tried is not None
    return compute_deflated_sharpe(shape, tried.n_independent)


@pytest.mark.parametrize(
    ("n_trials", "skewness", "kurtosis", "benchmark", "probability"),
    [
        (100, -3.0, 10.0, 0.1132, 0.9004),
        (46, -3.0, 10.0, 0.1004, 0.9505),
        (88, 0.0, 3.0, 0.1111, 0.9505),
    ],
)
def test_example_of_2014(
    n_trials: int, skewness: float, kurtosis: float, benchmark: float, probability: float
) -> None:
    shape = ReturnShape(1250, DAILY, skewness, kurtosis)
    expected = compute_expected_maximum_sharpe(n_trials, SPREAD)
    assert round(expected, 4) == benchmark
    assert round(compute_probabilistic_sharpe(shape, expected), 4) == probability


@pytest.mark.parametrize(
    ("skewness", "kurtosis", "probability"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)]
)
def test_example_of_2012(skewness: float, kurtosis: float, probability: float) -> None:
    assert round(compute_probabilistic_sharpe(ReturnShape(24, 0.458, skewness, kurtosis)), 3) == probability


@pytest.mark.parametrize(
    ("years", "per_year", "skewness", "kurtosis"),
    [(2.73, 250, 0, 3), (2.83, 52, 0, 3), (3.24, 12, 0, 3), (4.99, 12, -0.72, 5.78)],
)
def test_minimum_track_records_of_2012(years: float, per_year: int, skewness: float, kurtosis: float) -> None:
    """So long must an annual ratio of 2 last to be above 1 with a confidence of 95 %."""
    ratio, benchmark = 2 / math.sqrt(per_year), 1 / math.sqrt(per_year)

    def confidence(n_years: float) -> float:
        return compute_probabilistic_sharpe(
            ReturnShape(round(n_years * per_year), ratio, skewness, kurtosis), benchmark
        )

    assert confidence(years + 1.01 / per_year) >= 0.95 > confidence(years - 1.01 / per_year)


@pytest.mark.parametrize(
    ("n_trials", "expected"),
    [(0, 0.0), (1, 0.0), (1.2, 0.0), (2, 0.5198), (5, 1.1926), (10, 1.5746), (100, 2.5306), (1000, 3.2551)],
)
def test_expected_maximum(n_trials: float, expected: float) -> None:
    assert compute_expected_maximum_sharpe(n_trials, 1.0) == pytest.approx(expected, abs=5e-5)
    assert compute_expected_maximum_sharpe(n_trials, 0.02) == pytest.approx(0.02 * expected, abs=1e-6)


def test_expected_maximum_is_that_of_normal_draws() -> None:
    best = np.random.default_rng(3).standard_normal((4000, 500)).max(axis=1).mean()
    assert compute_expected_maximum_sharpe(500, 1.0) == pytest.approx(best, rel=0.01)


def test_shape_by_hand() -> None:
    # Mean 1, squares about it 1 1 1 1 16: second moment 4; cubes sum to 60, fourth powers to 260.
    shape = ReturnShape.of(np.array([0.0, 0.0, 0.0, 0.0, 5.0]))
    assert shape is not None
    assert shape.n_returns == 5
    assert shape.sharpe == pytest.approx(1 / math.sqrt(5))
    assert shape.skewness == pytest.approx(60 / 5 / 8)
    assert shape.kurtosis == pytest.approx(260 / 5 / 16)


@pytest.mark.parametrize("returns", [[], [0.1], [0.0, 0.0, 0.0], [0.01] * 50])
def test_no_shape_without_variation(returns: list[float]) -> None:
    assert ReturnShape.of(np.array(returns)) is None


def test_sharpe_of_moments_is_that_of_returns() -> None:
    expected = NOISE.mean(axis=1) / NOISE.std(axis=1, ddof=1)
    assert compute_trial_sharpes(blocks_of(NOISE)) == pytest.approx(expected, rel=1e-9)


def test_distinct_trials_leave_out_failed_idle_and_repeated_ones() -> None:
    blocks = blocks_of(NOISE[:3])
    idle = blocks_of(np.zeros((1, 1600)))
    every = np.concatenate([np.zeros((1, 16, 3)), blocks, idle, blocks[::-1]])
    assert np.array_equal(select_distinct_trials(every), blocks)


@pytest.mark.parametrize("shape", [(3, 16), (3, 16, 2), (48,)])
def test_blocks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"blocks must be \(n_trials, n_blocks, 3\)"):
        estimate_independent_trials(np.ones(shape))


@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_independent_trials_follow_the_correlation(correlation: float) -> None:
    # Trials that share a factor; 400 blocks, so that the correlation is met closely.
    random = np.random.default_rng(5)
    means = math.sqrt(correlation) * random.standard_normal(400) + math.sqrt(
        1 - correlation
    ) * random.standard_normal((300, 400))
    blocks = np.stack([np.full((300, 400), 10.0), means * 10, means**2 * 10 + 9.0], axis=2)
    if correlation == 1.0:
        blocks[:, 0, 2] += np.arange(300)
    assert estimate_independent_trials(blocks) == pytest.approx(
        correlation + (1 - correlation) * 300, abs=0.05 * 300 + 0.5
    )


def test_independent_trials_equal_the_average_of_the_correlation_matrix() -> None:
    blocks = blocks_of(NOISE[:20] + 2 * NOISE[0])
    correlations = np.corrcoef(blocks[:, :, 1])
    mean = (correlations.sum() - 20) / (20 * 19)
    assert estimate_independent_trials(blocks) == pytest.approx(mean + (1 - mean) * 20, rel=1e-9)


@pytest.mark.parametrize(("n_trials", "expected"), [(0, 0.0), (1, 1.0)])
def test_independent_trials_of_few(n_trials: int, expected: float) -> None:
    assert estimate_independent_trials(blocks_of(NOISE)[:n_trials]) == expected


def test_the_best_of_noise_is_not_significant_and_a_real_edge_is() -> None:
    blocks = blocks_of(NOISE)
    best = int(np.argmax(compute_trial_sharpes(blocks)))
    alone = deflated(NOISE[best], blocks[best : best + 1])
    of_many = deflated(NOISE[best], blocks)
    assert alone.benchmark == 0.0
    assert alone.probability > 0.95
    assert of_many.probability < 0.85
    tried = TrialCount.of(blocks)
    assert tried is not None
    assert tried.n_trials == 200
    assert 150 < tried.n_independent <= 200
    edge = NOISE[0] - NOISE[0].mean() + 0.002
    assert deflated(edge, blocks_of(np.vstack([edge, NOISE]))).probability > 0.99


def test_the_spread_of_the_trials_is_not_taken_for_luck() -> None:
    """Trials that lose to costs differ by more than luck, trials that are alike by less: neither moves the standard error."""
    near = blocks_of(NOISE[0] + 0.1 * NOISE[1:])
    far = blocks_of(NOISE[0] + np.linspace(-0.01, 0.01, 199)[:, None] + 0.1 * NOISE[1:])
    for blocks in (near, far):
        found = deflated(NOISE[0], blocks)
        n_independent = TrialCount.of(blocks).n_independent
        assert found.benchmark == compute_expected_maximum_sharpe(n_independent, 1 / math.sqrt(1599))


@pytest.mark.parametrize(
    ("n_independent", "expected"),
    [
        (0.5, 0.95),
        (1, 0.95),
        (2, 0.9243),
        (5, 0.8699),
        (10, 0.8397),
        (46, 0.7921),
        (100, 0.7742),
        (1000, 0.7354),
    ],
)
def test_level_that_luck_exceeds_once_in_twenty_times(n_independent: float, expected: float) -> None:
    assert compute_luck_level(n_independent) == pytest.approx(expected, abs=5e-5)


def test_level_is_that_of_the_best_of_normal_draws() -> None:
    best = np.random.default_rng(3).standard_normal((20_000, 46)).max(axis=1)
    found = np.array([NormalDist().cdf(z - compute_expected_maximum_sharpe(46, 1.0)) for z in best])
    assert np.mean(found > compute_luck_level(46)) == pytest.approx(0.05, abs=0.006)


def test_none_without_a_usable_trial() -> None:
    assert TrialCount.of(np.zeros((4, 16, 3))) is None
    assert TrialCount.of(np.zeros((0, 16, 3)), n_unknown=3) is None


@pytest.mark.parametrize(("n_known", "n_unknown"), [(1, 0), (1, 4), (200, 0), (200, 1800)])
def test_trials_without_moments_count_as_correlated_as_the_others(n_known: int, n_unknown: int) -> None:
    blocks = blocks_of(NOISE + NOISE[0])[:n_known]
    known, tried = estimate_independent_trials(blocks), TrialCount.of(blocks, n_unknown)
    assert tried is not None
    assert tried.n_trials == n_known + n_unknown
    # One trial has no pair: nothing says that it is like the others.
    correlation = (n_known - known) / (n_known - 1) if n_known > 1 else 0.0
    expected = correlation + (1 - correlation) * (n_known + n_unknown)
    assert tried.n_independent == pytest.approx(expected, rel=1e-9)


def test_a_hundred_thousand_trials_in_little_memory_and_time() -> None:
    means = np.random.default_rng(2).standard_normal((100_000, 16)) * 1e-4
    blocks = np.stack([np.full(means.shape, 13_000.0), means * 13_000, np.full(means.shape, 1.3)], axis=2)
    assert estimate_independent_trials(blocks) == pytest.approx(100_000, rel=0.01)
