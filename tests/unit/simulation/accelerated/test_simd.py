"""Every lane computes what a number alone would."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from backtune.simulation.accelerated.simd import (
    N_LANES,
    lanes,
    load,
    magnitude,
    select,
    split_lanes,
    store_sides,
    unpack_lanes,
)

ODD = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 5e-324, -2e-308, 1e308, 0.1, -1 / 3])


@njit
def _arithmetic(left, right, out):
    for i in range(0, len(left), N_LANES):
        a, b = load(left, i), load(right, i)
        for k, results in enumerate((a + b, a - b, a * b, magnitude(a), a * b + a)):
            out[k, i], out[k, i + 1], out[k, i + 2], out[k, i + 3] = unpack_lanes(results)


@njit
def _comparisons(left, right, out):
    yes, no = lanes(1.0), lanes(-1.0)
    for i in range(0, len(left), N_LANES):
        a, b = load(left, i), load(right, i)
        store_sides(out[0], i, select(a < b, yes, no))
        store_sides(out[1], i, select(a > b, yes, no))
        store_sides(out[2], i, select(a == b, yes, no))


@pytest.fixture(name="pairs")
def every_pair_of_odd_numbers():
    return np.repeat(ODD, len(ODD)), np.tile(ODD, len(ODD))


def test_arithmetic_is_that_of_numbers_alone(pairs):
    a, b = pairs
    found = np.empty((5, len(a)))
    _arithmetic(a, b, found)
    with np.errstate(all="ignore"):
        # The product is rounded before the sum: no fused step.
        expected = np.array([a + b, a - b, a * b, np.abs(a), a * b + a])
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(found)]))


def test_a_product_is_rounded_before_it_is_added():
    a, b = np.full(N_LANES, 1.0 + 2.0**-30), np.full(N_LANES, 1.0 - 2.0**-30)
    found = np.empty((5, N_LANES))
    _arithmetic(a, b, found)
    assert found[2].tolist() == [1.0] * N_LANES
    assert found[4].tolist() == [2.0 + 2.0**-30] * N_LANES


def test_comparisons_are_false_beside_nan(pairs):
    a, b = pairs
    found = np.empty((3, len(a)), np.int8)
    _comparisons(a, b, found)
    for row, answer in zip(found, (a < b, a > b, a == b), strict=True):
        assert np.array_equal(row, np.where(answer, 1, -1))


@pytest.mark.parametrize("n", [0, 1, 7, 64, 1_001])
def test_split_lanes(n):
    together = np.arange(n * N_LANES).astype(np.int8)
    out = np.empty((N_LANES, n), np.int8)
    split_lanes(together, out)
    assert np.array_equal(out, together.reshape(n, N_LANES).T)
