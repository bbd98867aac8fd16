"""Many tests at once: tables by hand, and what must hold whatever the tests are."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.validation.deflated_sharpe import (
    ReturnShape,
    compute_expected_maximum_sharpe,
    compute_probabilistic_sharpe,
)
from backtune.validation.multiple_tests import (
    BestByLuck,
    adjust_by_holm,
    compute_false_discovery_rates,
    compute_haircut_sharpe,
    compute_sharpe_p_value,
    estimate_share_with_effect,
)

P_VALUES = st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("p_values", "holm", "rates"),
    [
        ([0.03], [0.03], [0.03]),
        ([0.01, 0.02], [0.02, 0.02], [0.02, 0.02]),
        # Holm 1979: 3 x 0.01, 2 x 0.04 and 1 x 0.03 raised to the one before. Benjamini and Hochberg: 3/1, 3/2 and 3/3.
        ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06], [0.04, 0.03, 0.04]),
        ([0.5, 0.6, 0.9], [1.0, 1.0, 1.0], [0.9, 0.9, 0.9]),
        (
            [0.001, 0.008, 0.039, 0.041, 0.9],
            [0.005, 0.032, 0.117, 0.117, 0.9],
            [0.005, 0.02, 0.05125, 0.05125, 0.9],
        ),
    ],
)
def test_adjusted_by_hand(p_values, holm, rates):
    assert adjust_by_holm(p_values) == pytest.approx(holm)
    assert compute_false_discovery_rates(p_values) == pytest.approx(rates)


@given(P_VALUES)
def test_adjusted_values_are_no_smaller_and_keep_the_order(p_values):
    holm, rates = adjust_by_holm(p_values), compute_false_discovery_rates(p_values)
    by_p = sorted(range(len(p_values)), key=lambda k: p_values[k])
    for adjusted in (holm, rates):
        assert all(p <= a + 1e-15 and a <= 1.0 for p, a in zip(p_values, adjusted, strict=True))
        assert all(adjusted[a] <= adjusted[b] for a, b in itertools.pairwise(by_p))
    assert all(q <= h + 1e-12 for q, h in zip(rates, holm, strict=True))


@given(P_VALUES, st.lists(st.floats(0.5, 1.0), max_size=30))
def test_losing_tests_cost_no_more_than_their_number_explains(p_values, losing):
    """A test that loses money has a p above one half; each of them adds no more than one more test to the factors."""
    m, n = len(p_values), len(losing)
    alone, beside = adjust_by_holm(p_values), adjust_by_holm([*p_values, *losing])
    for k, p in enumerate(p_values):
        # The factor of a test is at most the number of tests.
        bound = max((min(1.0, q * (m + n)) for q in p_values if q <= p), default=0.0)
        assert alone[k] - 1e-12 <= beside[k] <= max(alone[k], bound) + 1e-12
        if n == 0:
            assert beside[k] == alone[k]


@pytest.mark.parametrize(
    ("p_values", "share"),
    [
        ([0.6, 0.9, 0.7, 0.8], 0.0),
        ([0.01, 0.02, 0.6, 0.7], 0.0),
        ([0.01, 0.02, 0.03, 0.7], 0.5),
        ([0.1], 1.0),
    ],
)
def test_share_with_an_effect_by_hand(p_values, share):
    assert estimate_share_with_effect(p_values) == pytest.approx(share)


@pytest.mark.parametrize(
    ("sharpe", "n", "skewness", "kurtosis"),
    [
        (0.05, 1000, 0.0, 3.0),
        (0.05, 1000, -1.5, 12.0),
        (0.05, 1000, 2.0, 9.0),
        (-0.02, 400, 0.0, 3.0),
        (0.6, 5000, 0.0, 3.0),
    ],
)
def test_p_value_has_at_least_the_error_of_a_ratio_of_zero(sharpe, n, skewness, kurtosis):
    shape = ReturnShape(n, sharpe, skewness, kurtosis)
    variance = max(1.0, 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2)
    z = sharpe * math.sqrt((n - 1) / variance)
    assert compute_sharpe_p_value(shape) == pytest.approx(1.0 - NormalDist().cdf(z), abs=1e-12)
    assert 0.0 < compute_sharpe_p_value(shape) <= 1.0
    if skewness <= 0.0:
        assert compute_sharpe_p_value(shape) == pytest.approx(
            1.0 - compute_probabilistic_sharpe(shape), abs=1e-12
        )


@pytest.mark.parametrize(
    ("p", "n", "bars_per_year", "expected"),
    [
        # One standard error of a year of 252 days is 1.002 a year, and 5 % are 1.645 of them.
        (0.05, 252, 252.0, 1.6481),
        (0.5, 252, 252.0, 0.0),
        (1.0, 252, 252.0, 0.0),
        (0.0228, 1009, 252.0, 0.9997),
    ],
)
def test_haircut_by_hand(p, n, bars_per_year, expected):
    assert compute_haircut_sharpe(p, n, bars_per_year) == pytest.approx(expected, abs=5e-4)


def test_the_haircut_of_a_single_test_is_its_own_ratio():
    shape = ReturnShape(5000, 0.03, 0.0, 3.0)
    assert compute_haircut_sharpe(compute_sharpe_p_value(shape), 5000, 8766.0) == pytest.approx(
        0.03 * math.sqrt(8766.0), rel=2e-3
    )


@pytest.mark.parametrize("n", [2, 10, 36, 500])
def test_the_best_by_luck_of_equal_tests_is_that_of_normal_draws(n):
    found = BestByLuck.of([0.5] * n)
    draws = np.random.default_rng(n).standard_normal((40_000, n)).max(axis=1) * 0.5
    assert found.mean == pytest.approx(draws.mean(), abs=0.01)
    assert found.upper == pytest.approx(0.5 * NormalDist().inv_cdf(0.95 ** (1 / n)), abs=1e-3)
    if n >= 36:
        assert found.mean == pytest.approx(compute_expected_maximum_sharpe(n, 0.5), rel=0.02)


def test_the_best_by_luck_of_the_audit():
    """36 tests of 0.41 years: 3.35 on average. 500 of a year: 3.05, below 3.71 in 95 of 100."""
    short = BestByLuck.of([1 / math.sqrt(0.41)] * 36)
    assert short.mean == pytest.approx(3.31, abs=0.01)
    year = BestByLuck.of([1.0] * 500)
    assert (year.mean, year.upper) == (pytest.approx(3.04, abs=0.01), pytest.approx(3.71, abs=0.01))


def test_the_best_by_luck_of_unequal_tests():
    """Short tests err by more, and the best of all is one of them."""
    errors = [1.0] * 18 + [2.0] * 18
    found = BestByLuck.of(errors)
    draws = (np.random.default_rng(1).standard_normal((40_000, 36)) * errors).max(axis=1)
    assert found.mean == pytest.approx(draws.mean(), abs=0.02)
    assert found.upper == pytest.approx(np.quantile(draws, 0.95), abs=0.05)
    assert (BestByLuck.of([1.0]).mean, BestByLuck.of([1.0]).upper) == (
        pytest.approx(0.0, abs=1e-9),
        pytest.approx(1.645, abs=1e-3),
    )


def test_the_best_by_luck_of_thousands_of_unequal_tests():
    errors = np.random.default_rng(2).uniform(0.5, 1.5, 5_000)
    found = BestByLuck.of(errors)
    draws = (np.random.default_rng(3).standard_normal((2_000, 5_000)) * errors).max(axis=1)
    assert found.mean == pytest.approx(draws.mean(), rel=0.01)
    assert found.upper == pytest.approx(np.quantile(draws, 0.95), rel=0.02)
