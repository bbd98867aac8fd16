"""The number of bars a year: what bars of all lengths and of all kinds of market show, and what calendars make of it."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from markets import DAY, HOUR, open_times, price_frame, session_times

from backtune import Bars, backtest, backtest_positions
from backtune.data.calendar import Annualisation, annualise, bars_per_year, describe, format_count
from backtune.data.resample import resample
from backtune.errors import SpecError
from backtune.results.log.summary import StudySummary
from backtune.spec.timeframe import Timeframe

FREE = {"fee_bps": 0, "slippage_bps": 0}
MONTH = Timeframe(2_629_800)
WEEKS = 365.25 / 7

WEEKDAYS = session_times("UTC", 0, 24, DAY, "2018-01-01", "2022-10-29")
CRYPTO = open_times("2020-01-01", "2023-01-01", HOUR)
NEW_YORK = session_times("America/New_York", 9.5, 16.5, HOUR)
FX = session_times("America/New_York", -7, 17, HOUR)


def lengthened(times: np.ndarray, length: int) -> np.ndarray:
    """Open times of bars of this length on a grid from a Monday."""
    monday = 4 * DAY
    return np.unique((times - monday) // length * length + monday)


def monthly(frame: pl.DataFrame) -> pl.DataFrame:
    """Bars of calendar months."""
    return frame.group_by_dynamic("timestamp", every="1mo").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )


def built(frame: pl.DataFrame, timeframe: str) -> tuple[pl.DataFrame, Timeframe]:
    """Longer bars of the same prices."""
    if timeframe == "1 month":
        return monthly(frame), MONTH
    length = Timeframe.parse(timeframe)
    return resample(frame, length), length


def hold(frame: pl.DataFrame, timeframe: Timeframe, calendar: str) -> dict[str, float | None]:
    """Metrics of buying and holding."""
    return backtest_positions(
        np.ones(len(frame)), frame, FREE, timeframe=timeframe, calendar=calendar
    ).metrics


# The market, the length of a bar, its open times, and the number of bars a year of a market that keeps its week.
MARKETS = {
    "24/7, 1h": ("1h", CRYPTO, 24 * 365.25),
    "24/7, 4h": ("4h", CRYPTO[::4], 6 * 365.25),
    "24/7, 1d": ("1d", CRYPTO[::24], 365.25),
    "stock in New York, 1h": ("1h", NEW_YORK, 7 * 5 * WEEKS),
    "stock in New York, 30m": ("30m", session_times("America/New_York", 9.5, 16, HOUR // 2), 13 * 5 * WEEKS),
    "stock in New York, 5m": ("5m", session_times("America/New_York", 9.5, 16, HOUR // 12), 78 * 5 * WEEKS),
    "stock in Sydney, 1h": ("1h", session_times("Australia/Sydney", 10, 16, HOUR), 6 * 5 * WEEKS),
    "stock in Tokyo, 1h": ("1h", session_times("Asia/Tokyo", 9, 15, HOUR), 6 * 5 * WEEKS),
    "currencies, 1h": ("1h", FX, 24 * 5 * WEEKS),
    "futures, 15m": ("15m", session_times("America/New_York", -6, 17, HOUR // 4), 4 * 23 * 5 * WEEKS),
    "weekdays, 1d": ("1d", WEEKDAYS, 5 * WEEKS),
    "weekdays, 2d": ("2d", lengthened(WEEKDAYS, 2 * DAY), 6 * WEEKS / 2),
    "weekdays, 3d": ("3d", lengthened(WEEKDAYS, 3 * DAY), 7 * WEEKS / 3),
    "weekdays, 1w": ("1w", lengthened(WEEKDAYS, 7 * DAY), WEEKS),
    "weekdays, 4w": ("4w", lengthened(WEEKDAYS, 28 * DAY), WEEKS / 4),
}


def windows(times: np.ndarray, days: float, n: int = 60) -> list[np.ndarray]:
    """Random windows of so many days, from any moment on."""
    random = np.random.default_rng(7)
    starts = random.integers(times[0], times[-1] - int(days * DAY), n)
    found = [times[(times >= start) & (times < start + days * DAY)] for start in starts]
    return [window for window in found if len(window) > 1]


@pytest.mark.parametrize(
    ("days", "tolerance"), [(10, 0.035), (14, 0.035), (21, 0.025), (60, 0.012), (365, 0.012)]
)
@pytest.mark.parametrize(
    ("timeframe", "times", "expected"),
    [case for name, case in MARKETS.items() if "w" not in case[0] and case[0] not in ("2d", "3d")],
    ids=[name for name, case in MARKETS.items() if "w" not in case[0] and case[0] not in ("2d", "3d")],
)
def test_any_window_shows_the_number_of_the_whole(timeframe, times, expected, days, tolerance):
    length = Timeframe.parse(timeframe)
    shown = np.array([bars_per_year(window, length, "auto") for window in windows(times, days)])
    exact = timeframe.endswith("d") and days >= 14
    assert shown == pytest.approx(np.full(len(shown), expected), rel=0.01 if exact else tolerance)


@pytest.mark.parametrize("name", ["weekdays, 2d", "weekdays, 3d", "weekdays, 1w", "weekdays, 4w"])
@pytest.mark.parametrize("days", [120, 365])
def test_so_it_is_of_bars_longer_than_a_day(name, days):
    timeframe, times, expected = MARKETS[name]
    shown = np.array(
        [bars_per_year(window, Timeframe.parse(timeframe), "auto") for window in windows(times, days)]
    )
    assert shown == pytest.approx(np.full(len(shown), expected), rel=0.02)


@pytest.mark.parametrize("name", MARKETS)
def test_absent_bars_lower_it(name):
    timeframe, times, expected = MARKETS[name]
    kept = times[np.random.default_rng(1).random(len(times)) >= 0.3]
    bound = 4 * math.sqrt(0.3 / len(times)) + 0.01
    for calendar in ("auto", "24/7"):
        assert bars_per_year(kept, Timeframe.parse(timeframe), calendar) == pytest.approx(
            0.7 * expected, rel=bound
        )


# The calendar, the length of a bar, its open times, and the number that is used.
NUMBERS = [
    ("sessions-252", "1d", WEEKDAYS, 252.0),
    ("24/7", "1d", WEEKDAYS, 1260 * 365.25 / 1762),
    ("auto", "1d", WEEKDAYS, 1260 * 365.25 / 1762),
    ("sessions-252", "2d", MARKETS["weekdays, 2d"][1], 756 * 365.25 / 1762),
    ("sessions-252", "3d", MARKETS["weekdays, 3d"][1], 588 * 365.25 / 1764),
    ("sessions-252", "1w", MARKETS["weekdays, 1w"][1], 52.17857142857143),
    ("sessions-252", "4w", MARKETS["weekdays, 4w"][1], 13.044642857142858),
    ("auto", "4w", MARKETS["weekdays, 4w"][1], 13.044642857142858),
    ("24/7", "4w", MARKETS["weekdays, 4w"][1], 13.044642857142858),
    ("sessions-252", "1h", NEW_YORK, 1764.0),
    ("sessions-250", "1h", NEW_YORK, 1750.0),
    ("24/7", "1h", NEW_YORK, len(NEW_YORK) * 365.25 / 1094.2916666666667),
    ("24/7", "1h", CRYPTO, 8766.0),
    ("auto", "1h", CRYPTO, 8766.0),
    ("sessions-365", "1h", CRYPTO, 8760.0),
    ("sessions-252", "1h", MARKETS["stock in Sydney, 1h"][1], 1512.0),
    ("sessions-252", "1h", FX, 6048.0),
    ("sessions-252", "15m", MARKETS["futures, 15m"][1], 252 * 4 * 23.0),
    # Never more than a year full of bars.
    ("sessions-366", "1h", CRYPTO, 8766.0),
    ("sessions-252", "1m", open_times("2022-01-03T14:30", "2022-01-03T21:00", HOUR // 60), 252 * 390.0),
    ("24/7", "1m", open_times("2022-01-03T14:30", "2022-01-03T21:00", HOUR // 60), 525_960.0),
]  # fmt: skip


@pytest.mark.parametrize(("calendar", "timeframe", "times", "expected"), NUMBERS)
def test_the_smaller_of_the_stated_and_the_shown_number_is_used(calendar, timeframe, times, expected):
    assert bars_per_year(times, Timeframe.parse(timeframe), calendar) == pytest.approx(expected, rel=1e-12)


def test_months_are_twelve_a_year():
    for year in ("2022", "2024"):
        months = pl.datetime_range(
            pl.datetime(int(year), 1, 1), pl.datetime(int(year), 12, 1), "1mo", time_unit="us", eager=True
        )
        times = months.to_physical().to_numpy()
        for calendar in ("auto", "24/7", "sessions-252"):
            assert bars_per_year(times, MONTH, calendar) == pytest.approx(12.0, rel=1e-3)
        assert bars_per_year(times[1:3], MONTH, "auto") == 12.0  # February is short.


MONDAY = "2022-01-03"
# The first and the last moment, and the number of bars a year with what is said of it; of hours from 14:30 to 21:30.
SHORT = {
    "Monday to Friday": ("2022-01-03", "2022-01-08", 7 * 5 * WEEKS, "less than a week of bars, 5 such days a week are assumed"),
    "Wednesday to Tuesday": ("2022-01-05", "2022-01-12", 7 * 5 * WEEKS, "less than a week of bars, 5 such days a week are assumed"),
    "from within a session to within another": ("2022-01-05T18:30", "2022-01-11T18:30", 7 * 5 * WEEKS, "less than a week of bars, 5 such days a week are assumed"),
    "two days": ("2022-01-03", "2022-01-05", 7 * 5 * WEEKS, "less than a week of bars, 5 such days a week are assumed"),
    "one day": ("2022-01-03", "2022-01-04", 8766.0, "less than a day of bars, a market that never closes is assumed"),
    "two weeks": ("2022-01-03", "2022-01-15", 7 * 5 * WEEKS, ""),
}  # fmt: skip


@pytest.mark.parametrize(("start", "end", "expected", "assumed"), SHORT.values(), ids=SHORT)
def test_a_short_span_is_not_taken_for_a_year_and_says_what_it_assumes(start, end, expected, assumed):
    hours = session_times("UTC", 14.5, 21.5, HOUR, "2022-01-03", "2022-02-01")
    first, last = open_times(start, end, DAY)[0], open_times(start, end, 60_000_000)[-1]
    found = annualise(hours[(hours >= first) & (hours <= last)], Timeframe(3600), "auto")
    assert found.bars_per_year == pytest.approx(expected, rel=1e-9)
    assert found.assumed == assumed


@pytest.mark.parametrize(
    ("times", "timeframe", "expected", "assumed"),
    [
        (CRYPTO[:100], "1h", 8766.0, "less than a week of bars, a market that never closes is assumed"),
        (CRYPTO[:168], "1h", 8766.0, ""),
        # From Wednesday to Monday: the weekend is open.
        (np.delete(CRYPTO[:140], [50, 51, 52]), "1h", 8766 * 117 / 120, ""),
        (FX[10:100], "1h", 120 * WEEKS, "less than a week of bars, 5 such days a week are assumed"),
        (WEEKDAYS[2:6], "1d", 5 * WEEKS, "less than a week of bars, 5 such days a week are assumed"),
        (WEEKDAYS[:1], "1d", 365.25, "less than a week of bars, a market that never closes is assumed"),
        (np.empty(0, dtype=np.int64), "1h", 8766.0, ""),
    ],
)
def test_markets_of_other_hours_in_less_than_a_week(times, timeframe, expected, assumed):
    found = annualise(times, Timeframe.parse(timeframe), "auto")
    assert found.bars_per_year == pytest.approx(expected, rel=0.02)
    assert found.assumed == assumed


# The same prices in bars of four lengths, whole and with 30 % of the hours absent: Sharpe ratios of buying and holding.
SAME_PRICES = {
    ("stock", 0.0, "sessions-252"): (1.2882, 1.3304, 1.3078, 1.4132),
    ("stock", 0.0, "24/7"): (1.3118, 1.3544, 1.3078, 1.4132),
    ("stock", 0.0, "auto"): (1.3118, 1.3544, 1.3078, 1.4132),
    ("stock", 0.3, "sessions-252"): (1.3199, 1.3181, 1.2982, 1.3911),
    ("stock", 0.3, "24/7"): (1.3243, 1.3413, 1.2982, 1.3911),
    ("stock", 0.3, "auto"): (1.3243, 1.3413, 1.2982, 1.3911),
    ("crypto", 0.0, "24/7"): (1.3282, 1.3107, 1.3271, 1.3436),
    ("crypto", 0.0, "auto"): (1.3282, 1.3107, 1.3271, 1.3436),
    ("crypto", 0.3, "24/7"): (1.3267, 1.3198, 1.3300, 1.3600),
    ("crypto", 0.3, "auto"): (1.3267, 1.3198, 1.3300, 1.3600),
}


@pytest.fixture(scope="module")
def hours() -> dict[tuple[str, float], pl.DataFrame]:
    random = np.random.default_rng(5)
    found = {}
    for name, times in (
        ("stock", session_times("America/New_York", 9.5, 16.5, HOUR, "2019-01-01", "2023-01-01")),
        ("crypto", open_times("2019-01-01", "2023-01-01", HOUR)),
    ):
        full = price_frame(times, seed=3)
        for absent in (0.0, 0.3):
            found[name, absent] = full.filter(pl.Series(random.random(len(full)) >= absent))
    return found


@pytest.mark.parametrize(("market", "absent", "calendar"), SAME_PRICES)
def test_the_same_prices_have_the_same_sharpe_ratio_in_every_length_of_bar(hours, market, absent, calendar):
    expected = SAME_PRICES[market, absent, calendar]
    for timeframe, value in zip(("1h", "1d", "1w", "1 month"), expected, strict=True):
        frame, length = built(hours[market, absent], timeframe)
        found = hold(frame, length, calendar)["sharpe_ratio"]
        assert found == pytest.approx(value, abs=5e-5)
        # The deviation of n returns is known to 1 / sqrt(2 n); 252 days are a thirtieth fewer than all weekdays.
        assert found == pytest.approx(expected[0], rel=2.0 / math.sqrt(2 * len(frame)) + 0.035)


# Of 1,260 weekdays: the length of a bar, the calendar, then Sharpe ratio, Sortino ratio and volatility.
WEEKDAY_METRICS = [
    ("1d", "24/7", 1.3296, 2.016, 0.1592),
    ("1d", "sessions-252", 1.3060, 1.980, 0.1564),
    ("2d", "sessions-252", 1.3495, 2.047, 0.1549),
    ("3d", "sessions-252", 1.2991, 2.016, 0.1608),
    ("1w", "sessions-252", 1.3324, 2.176, 0.1566),
    ("4w", "sessions-252", 1.3221, 2.530, 0.1561),
    ("4w", "auto", 1.3221, 2.530, 0.1561),
]


@pytest.mark.parametrize(("timeframe", "calendar", "sharpe", "sortino", "volatility"), WEEKDAY_METRICS)
def test_metrics_of_weekdays(timeframe, calendar, sharpe, sortino, volatility):
    daily = price_frame(WEEKDAYS, seed=1)
    found = hold(*built(daily, timeframe), calendar)
    assert found["sharpe_ratio"] == pytest.approx(sharpe, abs=5e-5)
    assert found["sortino_ratio"] == pytest.approx(sortino, abs=5e-4)
    assert found["volatility"] == pytest.approx(volatility, abs=5e-5)


# The calendar, the length of a bar, its open times, and what is said; empty where they agree.
SENTENCES = [
    ("24/7", "1h", NEW_YORK, "calendar 24/7 counts 8,766 bars a year, the bars of ACME 1h show 1,829; 1,829 is used"),
    ("24/7", "1d", WEEKDAYS, "calendar 24/7 counts 365 bars a year, the bars of ACME 1d show 261; 261 is used"),
    ("24/7", "1h", FX, "calendar 24/7 counts 8,766 bars a year, the bars of ACME 1h show 6,268; 6,268 is used"),
    ("sessions-252", "1d", CRYPTO[::24], "calendar sessions-252 counts 252 bars a year, the bars of ACME 1d show 365; 252 is used"),
    ("sessions-252", "2d", lengthened(WEEKDAYS, 2 * DAY)[::2], "calendar sessions-252 counts 126 to 183 bars a year, the bars of ACME 2d show 78.45; 78.45 is used"),
    ("24/7", "1h", CRYPTO, ""),
    ("sessions-252", "1h", NEW_YORK, ""),
    ("sessions-252", "1h", FX, ""),
    ("sessions-252", "1d", WEEKDAYS, ""),
    ("sessions-252", "2d", lengthened(WEEKDAYS, 2 * DAY), ""),
    ("sessions-252", "1w", lengthened(WEEKDAYS, 7 * DAY), ""),
    ("24/7", "1w", lengthened(WEEKDAYS, 7 * DAY), ""),
    ("auto", "1h", NEW_YORK, ""),
    # Of the grid of hours 4 % are absent, which is no other calendar.
    ("24/7", "1h", np.delete(CRYPTO, slice(0, None, 25)), ""),
    ("24/7", "1h", np.delete(CRYPTO, slice(0, None, 16)), "calendar 24/7 counts 8,766 bars a year, the bars of ACME 1h show 8,218; 8,218 is used"),
    # Where it is not known, nothing is held against the calendar.
    ("sessions-252", "1m", open_times("2022-01-03T14:30", "2022-01-03T21:00", HOUR // 60), ""),
]  # fmt: skip


@pytest.mark.parametrize(("calendar", "timeframe", "times", "sentence"), SENTENCES)
def test_a_calendar_that_the_bars_do_not_bear_out_is_said(calendar, timeframe, times, sentence):
    found = annualise(times, Timeframe.parse(timeframe), calendar)
    assert found.disagreement(f"ACME {timeframe}") == sentence
    assert found.to_json("ACME", timeframe)["warning"] == (sentence or None)


@pytest.mark.parametrize(
    ("calendar", "timeframe", "times", "line"),
    [
        ("auto", "1h", NEW_YORK, "1,829 bars (ACME 1h: 5 days a week of 7 bars)"),
        ("sessions-252", "1h", NEW_YORK, "1,764 bars (ACME 1h: 5 days a week of 7 bars, calendar sessions-252)"),
        ("auto", "1h", CRYPTO, "8,766 bars (ACME 1h: 7 days a week of 24 bars)"),
        ("auto", "1h", FX, "6,268 bars (ACME 1h: 5 days a week of 24 bars)"),
        ("auto", "1d", WEEKDAYS, "261 bars (ACME 1d: 5 days a week)"),
        ("auto", "1w", lengthened(WEEKDAYS, 7 * DAY), "52.18 bars (ACME 1w)"),
        ("sessions-252", "1m", open_times("2022-01-03T14:30", "2022-01-03T21:00", HOUR // 60), "98,280 bars (ACME 1m, calendar sessions-252)"),
        ("auto", "1h", CRYPTO[:9], "8,766 bars (ACME 1h: less than a day of bars, a market that never closes is assumed)"),
    ],
)  # fmt: skip
def test_what_was_found_is_said(calendar, timeframe, times, line):
    found = annualise(times, Timeframe.parse(timeframe), calendar)
    assert describe([found], f"ACME {timeframe}") == line


def test_alike_markets_are_told_of_together():
    found = [annualise(CRYPTO[first:], Timeframe(3600), "auto") for first in (0, 5)]
    assert describe(found, "A, B 1h") == "8,766 bars (A, B 1h: 7 days a week of 24 bars)"
    found.append(annualise(np.delete(CRYPTO, slice(0, None, 50)), Timeframe(3600), "auto"))
    assert describe(found, "A, B, C 1h") == "8,591 to 8,766 bars (A, B, C 1h: 7 days a week of 24 bars)"


def test_a_number_of_bars_is_written_with_as_many_digits_as_matter():
    assert [format_count(n) for n in (525_960.0, 1842.8, 252.0, 52.178571, 12.0)] == [
        "525,960", "1,843", "252", "52.18", "12",
    ]  # fmt: skip


@pytest.mark.parametrize("calendar", ["nyse", "sessions-0", "sessions-", "SESSIONS-252", "24/5", ""])
def test_an_unknown_calendar_lists_the_known_ones(calendar):
    with pytest.raises(
        SpecError, match=r"data\.calendar: .* is unknown.*; allowed: 24/7, sessions-252, auto"
    ):
        annualise(CRYPTO, Timeframe(3600), calendar)


def test_a_slice_keeps_the_number_of_the_whole():
    bars = Bars.from_frame(price_frame(NEW_YORK, seed=2))
    assert bars.bars_per_year == pytest.approx(1829, abs=1)
    assert bars[:10].bars_per_year == bars[100:2000].bars_per_year == bars.bars_per_year


def test_a_backtest_of_a_frame_takes_a_timeframe_and_a_calendar():
    frame = price_frame(WEEKDAYS, seed=1)
    found = [
        backtest_positions(np.ones(len(frame)), frame, FREE, calendar=calendar).metrics["volatility"]
        for calendar in (None, "auto", "24/7", "sessions-252")
    ]
    assert found == pytest.approx([0.1592, 0.1592, 0.1592, 0.1564], abs=5e-5)
    own = backtest("RSIStrategy", {}, frame, FREE, calendar="sessions-252", timeframe="1d").metrics
    bars = Bars.from_frame(frame, calendar="sessions-252")
    assert own == backtest("RSIStrategy", {}, bars, FREE).metrics
    assert backtest_positions([1.0], frame[:1], FREE, timeframe="1d").metrics["total_return"] == 0.0


@pytest.mark.parametrize("given", [{"calendar": "24/7"}, {"timeframe": "1d"}])
def test_bars_have_their_own(given):
    bars = Bars.from_frame(price_frame(WEEKDAYS, seed=1))
    ((name, value),) = given.items()
    with pytest.raises(SpecError, match=f"{name}: '{value}' is for a frame, and these bars have their own"):
        backtest_positions(np.ones(len(bars)), bars, FREE, **given)
    with pytest.raises(SpecError, match=name):
        backtest("RSIStrategy", {}, bars, FREE, **given)


@pytest.mark.parametrize("calendar", ["auto", "24/7", "sessions-252"])
def test_a_summary_keeps_it(tmp_path, calendar):
    found = annualise(NEW_YORK, Timeframe(3600), calendar)
    assert Annualisation.of_json(asdict(found)) == found
    (tmp_path / "new").mkdir()
    StudySummary(state="complete", annualisation=found).write(tmp_path / "new")
    assert StudySummary.read(tmp_path / "new") == StudySummary(state="complete", annualisation=found)
