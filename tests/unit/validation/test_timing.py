"""The test of timing: how positions are moved, how p is counted, and that it is uniform without timing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backtune.validation.timing import TimingTest, combine_p_values, measure_timing, shift_targets


@pytest.mark.parametrize(
    ("start", "shift", "expected"),
    [
        (2, 0, [9, 1, 2, 3, 4, 7]),
        (2, 1, [9, 4, 1, 2, 3, 7]),
        (2, 3, [9, 2, 3, 4, 1, 7]),
        (1, 2, [3, 4, 9, 1, 2, 7]),
        (5, 0, [9, 1, 2, 3, 4, 7]),
    ],
)
def test_positions_move_in_a_circle(start, shift, expected):
    """The last target is never filled, and the one before the window is filled at its first open."""
    targets = np.array([9.0, 1.0, 2.0, 3.0, 4.0, 7.0])
    assert shift_targets(targets, start, shift).tolist() == expected
    assert targets.tolist() == [9.0, 1.0, 2.0, 3.0, 4.0, 7.0]


@pytest.mark.parametrize(
    ("as_good", "n_bars", "expected"),
    [
        (lambda _: True, 1000, TimingTest(1.0, 10)),
        (lambda _: False, 1000, TimingTest(1 / 200, 199)),
        (lambda _: False, 11, TimingTest(1 / 11, 10)),
        (lambda shift: shift <= 3, 21, TimingTest(4 / 21, 20)),
        (
            lambda shift: shift <= 12,
            21,
            TimingTest(pytest.approx(10 / 17, abs=0.15), pytest.approx(17, abs=3)),
        ),
    ],
)
def test_counted_by_hand(as_good, n_bars, expected):
    found = measure_timing(1.0, n_bars, lambda shift: 1.0 if as_good(shift) else 0.0, seed=5)
    assert found == expected


def test_each_shift_is_looked_at_once():
    seen = []
    measure_timing(1.0, 50, lambda shift: seen.append(shift) or 0.0, seed=5)
    assert sorted(seen) == list(range(1, 50))


def test_there_is_nowhere_to_move_to():
    assert measure_timing(1.0, 1, lambda _: 0.0, seed=1) is None


@pytest.mark.parametrize("drift", [0.0, 0.002])
def test_uniform_without_timing_whatever_the_drift(drift):
    """Kolmogorov and Smirnov at 1 % over 400 markets: 1.63 / sqrt(400)."""
    random = np.random.default_rng(17)
    p_values = []
    for seed in range(400):
        returns = random.standard_normal(500) * 0.01 + drift
        side = np.repeat(random.integers(0, 2, 50), 10).astype(float)
        test = measure_timing(
            float(side @ returns), 500, lambda k, r=returns, s=side: float(np.roll(s, k) @ r), seed=seed
        )
        p_values.append(test.p)
    ranked = np.sort(p_values)
    steps = np.arange(1, 401) / 400
    # p is never smaller than uniform, and at most one step of its grid larger.
    assert np.max(steps - ranked) < 1.63 / math.sqrt(400)
    assert np.max(ranked - steps) < 1.63 / math.sqrt(400) + 0.05


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], None),
        ([0.3], 0.3),
        ([0.1, 0.2], 0.098240),
        ([0.5, 0.5, 0.5], 0.655185),
        ([0.01] * 4, 1.23084e-05),
        ([1.0] * 5, 1.0),
    ],
)
def test_taken_together_by_hand(p_values, expected):
    found = combine_p_values(p_values)
    assert found is None if expected is None else found == pytest.approx(expected, rel=2e-4)
