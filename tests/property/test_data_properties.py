"""Laws of the data layer."""

from __future__ import annotations

import re
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtune.data.bar_grid import BarGrid
from backtune.data.catalog import Catalog
from backtune.data.ingest.file_names import read_name
from backtune.data.ingest.importer import import_bars
from backtune.data.ingest.table import scale_prices
from backtune.data.ingest.times import read_times
from backtune.data.load import load_bars
from backtune.data.parquet import decode, encode
from backtune.data.quality import judge_bars
from backtune.data.resample import resample
from backtune.data.schema import PRICES, SCHEMA, check_bars
from backtune.data.window import TimeRange
from backtune.spec.origin import Origin
from backtune.spec.timeframe import Timeframe

MINUTE = 60_000_000
END_OF_2018 = 1_546_300_800_000_000

SLOW = settings(max_examples=25)


@st.composite
def minute_bars(draw: st.DrawFn, max_size: int = 300) -> pl.DataFrame:
    """Sorted one-minute bars with gaps, around the turn of a year."""
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 7, 200]), min_size=1, max_size=max_size))
    first = END_OF_2018 + draw(st.integers(-5_000, 100)) * MINUTE
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    body = rng.uniform(1, 1000, (2, len(steps)))
    return pl.DataFrame(
        {
            "timestamp": pl.Series(first + np.cumsum(steps) * MINUTE).cast(SCHEMA["timestamp"]),
            "open": body[0],
            "high": body.max(axis=0) * rng.uniform(1, 1.1, len(steps)),
            "low": body.min(axis=0) / rng.uniform(1, 1.1, len(steps)),
            "close": body[1],
            "volume": rng.uniform(0, 10, len(steps)),
        },
        schema=SCHEMA,
    )


@given(
    minute_bars(), st.sampled_from([("15m", "1h"), ("1h", "1d"), ("30m", "7h"), ("1d", "1w"), ("2m", "6m")])
)
def test_in_two_steps_as_in_one(frame, timeframes):
    middle, target = (Timeframe.parse(text) for text in timeframes)
    one, two = resample(frame, target), resample(resample(frame, middle), target)
    exact = ["timestamp", *PRICES]
    assert one.select(exact).equals(two.select(exact))
    np.testing.assert_allclose(one["volume"], two["volume"], rtol=1e-12)


@given(minute_bars(), st.sampled_from(["2m", "15m", "1h", "1d", "1w"]))
def test_building_conserves(frame, text):
    built = check_bars(resample(frame, Timeframe.parse(text)), source="built")
    assert built["high"].max() == frame["high"].max()
    assert built["low"].min() == frame["low"].min()
    assert (built["open"][0], built["close"][-1]) == (frame["open"][0], frame["close"][-1])
    np.testing.assert_allclose(built["volume"].sum(), frame["volume"].sum(), rtol=1e-12)


ORIGINS = st.sampled_from(
    [
        "00:00 UTC", "22:00 UTC", "09:15 Asia/Kolkata", "17:00 America/New_York", "00:00 America/Sao_Paulo", "02:30 Europe/Berlin",
    ]
).map(Origin.parse)  # fmt: skip
LENGTHS = st.sampled_from(["1m", "5m", "1h", "7h", "1d", "3d", "1w", "1mo", "3mo", "1y"]).map(Timeframe.parse)


@given(minute_bars(), st.integers(-(10**6), 10**6), ORIGINS, LENGTHS)
def test_built_bars_share_out_the_rows(frame, shift, origin, target):
    """Every row lies in exactly one built bar, and every bar is made of the rows that lie in it."""
    frame = frame.with_columns(pl.col("timestamp") + pl.duration(minutes=shift))
    built = check_bars(resample(frame, target, origin), source="built")
    opens, times = (rows["timestamp"].to_physical().to_numpy() for rows in (built, frame))
    ends = BarGrid(target, origin).ends_of(opens)
    assert (ends[:-1] <= opens[1:]).all()
    bar = np.searchsorted(opens, times, side="right") - 1
    assert ((opens[bar] <= times) & (times < ends[bar])).all()
    assert set(bar.tolist()) == set(range(len(opens)))
    # columns: bar, open, high, low, close, volume
    expected = (
        frame.with_columns(bar=pl.Series(bar))
        .group_by("bar", maintain_order=True)
        .agg(
            pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(), pl.col("volume").sum()
        )
    )  # fmt: skip
    assert built.select(PRICES).equals(expected.select(PRICES))
    np.testing.assert_allclose(built["volume"], expected["volume"], rtol=1e-12)


@given(minute_bars(), st.integers(0, 400_000), st.integers(1, 400_000), ORIGINS, LENGTHS)
def test_a_window_is_a_part_of_the_whole(frame, skip, length, origin, target):
    """Bars of a window are those bars of the whole that lie in it: none is built from less."""
    source = Timeframe(60)
    start = int(frame["timestamp"].to_physical()[0]) + (skip - 200_000) * MINUTE
    window = TimeRange(start, start + length * MINUTE)

    def build(rows: pl.DataFrame) -> pl.DataFrame:
        return rows if target == source or rows.is_empty() else resample(rows, target, origin)

    part = build(frame.filter(window.opens(target, source, origin).contains("timestamp")))
    whole = build(frame)
    opens = whole["timestamp"].to_physical().to_numpy()
    ends = opens + MINUTE if target == source else BarGrid(target, origin).ends_of(opens)
    assert part.equals(whole.filter(pl.Series((opens >= window.start) & (ends <= window.end))))


@SLOW
@given(minute_bars(max_size=60), ORIGINS, LENGTHS)
def test_a_window_with_the_bounds_of_the_bars_is_one_without_bounds(frame, origin, target):
    with tempfile.TemporaryDirectory() as root:
        Catalog.open_or_create(root).write("X", "1m", frame)
        start, end = Catalog.open(root).span_of_bars("X", target, origin)
        within, without = (
            load_bars(root, "X", target, *bounds, origin=str(origin)) for bounds in ((start, end), ())
        )
        assert within.to_frame().equals(without.to_frame())


@given(minute_bars())
def test_parquet_gives_back_what_it_took(frame):
    assert decode(encode(frame), source="x").equals(frame)


@SLOW
@given(minute_bars(max_size=60), st.lists(st.booleans(), min_size=60, max_size=60))
def test_catalog_gives_back_what_it_took_in_any_portions(frame, sides):
    with tempfile.TemporaryDirectory() as root:
        side = pl.Series(sides[: frame.height])
        for portion in (frame.filter(side), frame.filter(~side), frame):
            if not portion.is_empty():
                Catalog.open_or_create(root).write("X", "1m", portion)
        assert load_bars(root, "X", "1m").to_frame().equals(frame)
        whole = Path(root) / "whole"
        Catalog.open_or_create(whole).write("X", "1m", frame)
        prints = [Catalog.open(place).fingerprint("X", "1h") for place in (root, whole)]
        assert prints[0] == prints[1]


@SLOW
@given(minute_bars(max_size=60), st.randoms(use_true_random=False))
def test_repaired_import_of_a_mess_is_the_clean_import(frame, random):
    assume(frame["timestamp"].diff().min() == timedelta(minutes=1))
    order = [*range(frame.height), *random.choices(range(frame.height), k=5)]
    random.shuffle(order)
    with tempfile.TemporaryDirectory() as folder:
        mess = Path(folder) / "X_1m.csv"
        frame[order].with_columns(pl.col("timestamp").dt.epoch("ms")).write_csv(mess)
        (report,) = import_bars(mess, Path(folder) / "root", repair=True)
        assert (report.error, report.rows) == (None, frame.height)
        assert load_bars(Path(folder) / "root", "X", "1m").to_frame().equals(frame)


@given(st.integers(1, 10**9), st.integers(1, 8))
def test_points_give_the_double_that_is_written(points, digits):
    price = scale_prices(pl.Series([float(points)]), float(f"1e-{digits}"))[0]
    text = str(points).rjust(digits + 1, "0")
    assert price == float(f"{text[:-digits]}.{text[-digits:]}")


@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2099, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y.%m.%d %H:%M:%S", "%d.%m.%Y %H:%M:%S.000",
                     "%Y%m%d %H%M%S", "%Y-%m-%d %H:%M:%S+00:00", "%b %d, %Y %H:%M:%S"]),
)  # fmt: skip
def test_every_form_of_a_time_is_read_back(moment, form):
    time = read_times(pl.Series([moment.strftime(form)]), source="x").utc[0]
    assert time.replace(tzinfo=None) == moment.replace(microsecond=0)


# Nanoseconds of 1990 are refused to be told from the ticks that .NET counts.
@given(st.integers(694_224_000, 4_000_000_000), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_every_unit_of_an_epoch_is_told(seconds, per_second):
    for value in (seconds * per_second, str(seconds * per_second)):
        assert read_times(pl.Series([value]), source="x").utc.to_physical()[0] == seconds * 10**6


ASSETS = (
    "BTCUSDT", "BTC-USD", "BTC_USDT", "BTC_USDT_USDT", "BTCUSDT_240329", "BTCUSDT_200925", "2015.HK", "2020.HK", "7203.T",
    "600519", "2330", "ESZ2023", "ESH24", "BRK-B", "BRK.B", "D", "M", "W", "H", "A", "MT", "DATA", "SPOT", "aapl.us",
    "XBTUSD", "US500", "1INCHUSDT", "^GSPC", "GC=F", "EURUSD=X", "Russell_2000", "DATA_USDT", "binance-coin",
)  # fmt: skip
LENGTHS = {
    "1m": "1m", "1min": "1m", "M1": "1m", "minute": "1m", "15m": "15m", "M15": "15m", "60min": "1h", "1h": "1h",
    "H4": "4h", "4hour": "4h", "1d": "1d", "1D": "1d", "D1": "1d", "daily": "1d", "1w": "1w", "W1": "1w", "1M": "1mo",
    "1mo": "1mo", "MN1": "1mo", "monthly": "1mo", "3M": "3mo",
}  # fmt: skip
PERIODS = (
    "", "2018", "2018-03", "2018-03-09", "20180309", "201803", "09.03.2018", "20180309-20191231", "2018_2019",
    "2018-01-01_to_2019-01-01", "201801020000_201912310000", "01.01.2018-31.12.2018", "2018-2019",
)  # fmt: skip
SUFFIXES = (".csv", ".CSV", ".txt", ".parquet", ".csv.gz", ".csv.zip", ".json.gz", " (1).csv", " - Copy.csv")


@given(minute_bars())
def test_any_bars_of_the_schema_can_be_judged(frame):
    for finding in judge_bars(frame, Timeframe(60)):
        assert finding.count >= 1
        assert np.isfinite(finding.value)
        assert frame["timestamp"].is_in([finding.first]).any()


@given(
    st.sampled_from(ASSETS),
    st.sampled_from(sorted(LENGTHS)),
    st.sampled_from(PERIODS),
    st.sampled_from("_- "),
    st.sampled_from("_- "),
    st.sampled_from(SUFFIXES),
)
def test_names_of_files_are_read_as_they_were_put_together(asset, length, period, before, after, suffix):
    name = asset + before + length + (after + period if period else "") + suffix
    assert read_name(Path(name)) == (asset, LENGTHS[length])


@given(st.text(max_size=80).filter(lambda name: not set(name) & set("/\0")))
def test_any_name_of_a_file_is_read(name):
    asset, timeframe = read_name(Path("folder") / name)
    assert asset != ""
    assert timeframe is None or re.fullmatch(r"[1-9]\d*(s|m|h|d|w|mo)", timeframe)
