"""Shares of simulated cases and the bounds that tests hold them to."""

from __future__ import annotations

import math

import pytest

from simulations.shares import Share, largest_plausible_hits


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
