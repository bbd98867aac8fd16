"""Shares of simulated cases, the bounds that tests hold them to, and p-values that are made continuous."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulations.shares import Share, largest_plausible_hits
from simulations.timing import spread_p_values


@pytest.mark.parametrize(
    ("hits", "cases", "value", "error", "text"),
    [
        (0, 67, 0.0, 0.0146, "0.000 +- 0.015"),
        (5, 98, 0.0510, 0.0240, "0.051 +- 0.024"),
        (50, 100, 0.5, 0.05, "0.500 +- 0.050"),
        (3, 3, 1.0, 0.2309, "1.000 +- 0.231"),
    ],
)
def test_share(hits, cases, value, error, text) -> None:
    share = Share(hits, cases)
    assert share.value == pytest.approx(value, abs=5e-5)
    assert share.error == pytest.approx(error, abs=5e-5)
    assert str(share) == text


def test_share_of_no_case() -> None:
    assert math.isnan(Share.of([]).value)
    assert str(Share.of([])) == "-"


@pytest.mark.parametrize(
    ("probability", "cases", "level", "hits"),
    [
        # P(X > 3) = 0.000086 of six, P(X > 2) = 0.0022.
        (0.05, 6, 1e-4, 3),
        # One half, ten times: P(X > 9) = 1/1024, P(X > 8) = 11/1024.
        (0.5, 10, 1e-3, 9),
        (0.5, 10, 0.011, 8),
        (0.5, 3, 1e-4, 3),
        (0.0, 9, 1e-4, 0),
    ],
)
def test_largest_plausible_hits(probability, cases, level, hits) -> None:
    assert largest_plausible_hits(probability, cases, level) == hits


@pytest.mark.parametrize(
    ("p", "lower"),
    [(0.005, 0.0), (0.05, 0.045), (10 / 199, 0.05), (10 / 11, 10 / 12), (1.0, 10 / 11)],
)
def test_p_values_are_spread_over_the_steps_that_end_at_them(p, lower) -> None:
    spread = spread_p_values([p] * 2_000)
    assert lower <= spread.min() < lower + 0.01 * (p - lower)
    assert p - 0.01 * (p - lower) < spread.max() < p
    assert np.mean(spread) == pytest.approx((p + lower) / 2, rel=0.03)
