"""Equity on bars of different lengths at common times: by hand, and that nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtune.results.common_times import Curve, common_returns, step_of
from backtune.spec.timeframe import Timeframe

HOUR = 3_600_000_000
DAY = 24 * HOUR
MONDAY = 4 * DAY
D1, W1 = Timeframe.parse("1d"), Timeframe.parse("1w")


def curve(hours: list[int], equity: list[float], cash: float = 100.0) -> Curve:
    """Closes in hours after a Monday's midnight."""
    return Curve(np.array(hours) * HOUR + MONDAY, np.array(equity), cash)


def test_the_step_is_a_day_or_the_longest_bar() -> None:
    assert str(step_of([Timeframe.parse("1h"), Timeframe.parse("4h")])) == "1d"
    assert str(step_of([Timeframe.parse("1h"), W1])) == "1w"
    assert str(step_of([Timeframe.parse("1mo"), W1])) == "1mo"


def test_the_last_close_of_a_day_counts() -> None:
    # A bar that closes at midnight belongs to the day that ends then.
    hourly = curve([1, 23, 24, 25, 47, 48], [101, 102, 110, 90, 99, 121])
    moments, returns = common_returns([hourly], D1)
    assert ((moments - MONDAY) // HOUR).tolist() == [24, 48]
    assert returns[:, 0].tolist() == pytest.approx([0.1, 0.1])


def test_what_is_not_common_is_left_out_and_what_is_absent_keeps_its_equity() -> None:
    # Days 0 to 4 beside days 1 to 3, of which day 2 has no bar.
    long = curve([24, 48, 72, 96, 120], [110, 121, 133.1, 146.41, 0])
    short = curve([30, 80], [50, 75], cash=100.0)
    moments, returns = common_returns([long, short], D1)
    assert ((moments - MONDAY) // HOUR).tolist() == [48, 72, 96]
    np.testing.assert_allclose(returns, [[0.1, -0.5], [0.1, 0.0], [0.1, 0.5]])


def test_days_without_a_bar_of_anyone_are_none() -> None:
    # Friday and Monday.
    one, other = curve([120, 192], [110, 121]), curve([110, 185], [90, 99])
    moments, returns = common_returns([one, other], D1)
    assert ((moments - MONDAY) // HOUR).tolist() == [120, 192]
    np.testing.assert_allclose(returns, [[0.1, -0.1], [0.1, 0.1]])


def test_weeks_begin_on_monday() -> None:
    daily = curve([24 * k for k in range(1, 15)], [100 + k for k in range(1, 15)])
    weekly = curve([168, 336], [50, 100])
    moments, returns = common_returns([daily, weekly], W1)
    assert ((moments - MONDAY) // DAY).tolist() == [7, 14]
    np.testing.assert_allclose(returns, [[0.07, -0.5], [114 / 107 - 1, 1.0]])


def test_months_are_those_of_the_calendar() -> None:
    # The first of February, of March and of April 1970 begin 31, 59 and 90 days after the year.
    daily = curve([24 * (k - 4) for k in (15, 31, 32, 59, 90)], [101, 102, 110, 153, 153])
    monthly = curve([24 * (k - 4) for k in (31, 59, 90)], [50, 100, 150])
    moments, returns = common_returns([daily, monthly], Timeframe.parse("1mo"))
    assert (moments // DAY).tolist() == [31, 59, 90]
    np.testing.assert_allclose(returns, [[0.02, -0.5], [0.5, 1.0], [0.0, 0.5]])


def test_after_ruin_there_is_no_return() -> None:
    _, returns = common_returns([curve([24, 48, 72], [50, 0, 0])], D1)
    assert returns[:, 0].tolist() == [-0.5, -1.0, 0.0]


def test_nothing_in_common() -> None:
    moments, returns = common_returns([curve([24, 48], [1, 2]), curve([96], [1])], D1)
    assert (len(moments), returns.shape) == (0, (0, 2))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 400))
def test_the_returns_lead_from_the_first_to_the_last_equity(seed: int, n_curves: int, n: int) -> None:
    random = np.random.default_rng(seed)
    curves = []
    for _ in range(n_curves):
        closes = np.cumsum(random.integers(1, 30, n)) * HOUR + MONDAY
        curves.append(Curve(closes, 100 * np.exp(np.cumsum(random.normal(size=n) * 0.02)), 100.0))
    moments, returns = common_returns(curves, D1)
    assert (np.diff(moments) > 0).all()
    if len(moments) == 0:
        return
    first, last = int(moments[0]) - DAY, int(moments[-1])
    for own, column in zip(curves, returns.T, strict=True):
        before, until = (np.searchsorted(own.closes, moment, side="right") for moment in (first, last))
        start = own.equity[before - 1] if before else own.initial_cash
        assert np.prod(1 + column) * start == pytest.approx(own.equity[until - 1])
