"""How long is long enough: the papers' numbers."""

from __future__ import annotations

import math

import pytest

from backtune.validation.deflated_sharpe import ReturnShape, compute_probabilistic_sharpe
from backtune.validation.track_record import (
    TrackRecord,
    compute_min_backtest_years,
    compute_min_track_record_length,
)


@pytest.mark.parametrize(
    ("yearly", "skewness", "kurtosis", "per_year", "years"),
    [
        # Bailey and Lopez de Prado 2012, section 5 and table 1: a true ratio of 2 against 1, daily, weekly and monthly.
        (2.0, 0.0, 3.0, 250, 2.73),
        (2.0, 0.0, 3.0, 52, 2.83),
        (2.0, 0.0, 3.0, 12, 3.24),
        (2.0, -0.72, 5.78, 12, 4.99),
    ],
)
def test_minimum_track_record_of_2012(yearly, skewness, kurtosis, per_year, years):
    shape = ReturnShape(100, yearly / math.sqrt(per_year), skewness, kurtosis)
    found = compute_min_track_record_length(shape, benchmark=1.0 / math.sqrt(per_year))
    assert found / per_year == pytest.approx(years, abs=0.015)


@pytest.mark.parametrize("sharpe", [0.01, 0.1, 0.5])
def test_after_so_many_bars_the_ratio_is_shown(sharpe):
    shape = ReturnShape(1000, sharpe, -0.4, 6.0)
    length = compute_min_track_record_length(shape)
    for n, is_shown in ((math.ceil(length), True), (math.floor(length) - 1, False)):
        if n > 2:
            assert (compute_probabilistic_sharpe(ReturnShape(n, sharpe, -0.4, 6.0)) >= 0.95) == is_shown


def test_no_length_shows_what_is_not_there():
    shape = ReturnShape(1000, -0.01, 0.0, 3.0)
    assert compute_min_track_record_length(shape) is None
    assert TrackRecord.of(shape, 250.0) == TrackRecord(4.0, None)
    assert TrackRecord.of(None, 250.0) is None
    assert TrackRecord.of(shape, None) is None


@pytest.mark.parametrize(
    ("n", "sharpe", "years"),
    # Bailey et al. 2014: with 45 configurations and 5 years the best shows 1 on average; at most 2 ln N.
    [(1, 1.0, 0.0), (7, 1.0, 1.91), (45, 1.0, 5.0), (7200, 1.0, 15.0), (45, 2.0, 1.25)],
)
def test_minimum_backtest_length_of_2014(n, sharpe, years):
    found = compute_min_backtest_years(n, sharpe)
    assert found == pytest.approx(years, rel=0.05)
    assert found <= 2 * math.log(n) / sharpe**2 + 1e-12
