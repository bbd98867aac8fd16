from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backtune.data.bars import Bars
from backtune.data.catalog import Catalog
from backtune.data.load import BarsRef, load_bars, load_planned_bars
from backtune.data.manifest import MANIFEST, Manifest, Partition, partition_path
from backtune.data.parquet import encode
from backtune.errors import BarsError, CatalogError, FingerprintError, SpecError
from backtune.spec.origin import Origin
from backtune.spec.timeframe import Timeframe


@pytest.fixture
def root(tmp_path, make_frame) -> Path:
    catalog = Catalog.open_or_create(tmp_path / "market")
    catalog.write("BTCUSD", "1m", make_frame(range(-60, 180)))  # 2017-12-31 23:00 to 2018-01-01 03:00
    return tmp_path / "market"


def _span(bars: Bars) -> tuple[str, str]:
    times = bars.to_frame()["timestamp"]
    return f"{times[0]:%d %H:%M}", f"{times[-1]:%d %H:%M}"


@pytest.mark.parametrize(
    ("timeframe", "start", "end", "n", "first", "last"),
    [
        ("1m", None, None, 240, "31 23:00", "01 02:59"),
        ("1m", "2018-01-01", None, 180, "01 00:00", "01 02:59"),
        ("1m", None, "2018-01-01", 60, "31 23:00", "31 23:59"),
        ("1m", "2017-12-31T23:30", "2018-01-01T00:30", 60, "31 23:30", "01 00:29"),
        ("1h", None, None, 4, "31 23:00", "01 02:00"),
        ("1h", "2017-12-31T23:01", "2018-01-01T02:59", 2, "01 00:00", "01 01:00"),
        ("2h", None, None, 3, "31 22:00", "01 02:00"),
        ("1m", "2018-01-01T02:59", "2030-01-01", 1, "01 02:59", "01 02:59"),
    ],
)
def test_window(root, timeframe, start, end, n, first, last):
    bars = load_bars(root, "BTCUSD", timeframe, start, end)
    assert (len(bars), *_span(bars)) == (n, first, last)
    assert str(bars.timeframe) == timeframe
    assert bars.asset == "BTCUSD"


def test_built_over_the_turn_of_the_year(root):
    bars = load_bars(root, "BTCUSD", "4h")
    assert _span(bars) == ("31 20:00", "01 00:00")
    assert bars.open.tolist() == [100.0, 160.0]
    assert bars.close.tolist() == [160.0, 340.0]
    assert bars.volume.tolist() == [60.0, 180.0]


def test_calendar_sets_bars_per_year(root):
    assert load_bars(root, "BTCUSD", "1h").bars_per_year == 365.25 * 24
    assert load_bars(root, "BTCUSD", "1m", calendar="sessions-252").bars_per_year == 252 * 120
    with pytest.raises(SpecError, match="calendar"):
        load_bars(root, "BTCUSD", "1h", calendar="9-to-5")


@pytest.mark.parametrize(
    ("start", "end"), [("2018-02-01", None), (None, "2017-01-01"), ("2018-01-01T00:10", "2018-01-01T00:50")]
)
def test_empty_window_says_what_there_is(root, start, end):
    with pytest.raises(
        CatalogError,
        match=r"BTCUSD has no whole bars of 1h in .* to .*; there are bars of 1m "
        "from 2017-12-31T23:00:00Z to 2018-01-01T03:00:00Z",
    ):
        load_bars(root, "BTCUSD", "1h", start, end)


def _smuggle(root: Path, frame: pl.DataFrame, content: bytes | None = None) -> str:
    """Put bars into a catalog past all checks, with a manifest that vouches for them."""
    path = partition_path("BAD", Timeframe(60), 2018)
    content = encode(frame) if content is None else content
    (root / path).parent.mkdir(parents=True)
    (root / path).write_bytes(content)
    partition = Partition.of(path, frame, content)
    (root / MANIFEST).write_bytes(Manifest({path: partition}).to_bytes())
    return str(root / path)


def test_broken_bar_is_named_by_its_row_in_the_file(tmp_path, make_frame):
    frame = make_frame(range(100)).with_columns(
        low=pl.when(pl.int_range(pl.len()) == 70).then(-1.0).otherwise(pl.col("low"))
    )
    path = _smuggle(tmp_path, frame)
    with pytest.raises(BarsError, match="a price must be above 0") as caught:
        load_bars(tmp_path, "BAD", "1m", "2018-01-01T01:00")
    assert (caught.value.source, caught.value.row, caught.value.column) == (path, 70, "low")
    assert len(load_bars(tmp_path, "BAD", "1m", None, "2018-01-01T01:00")) == 60


def test_missing_time_is_found_in_any_window(tmp_path, make_frame):
    frame = make_frame(range(100))
    times = frame["timestamp"].to_list()
    times[3] = None
    _smuggle(tmp_path, frame.with_columns(pl.Series("timestamp", times, dtype=frame.schema["timestamp"])))
    with pytest.raises(BarsError, match="the time is missing") as caught:
        load_bars(tmp_path, "BAD", "1m", "2018-01-01T01:00")
    assert caught.value.row == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("volume"), "column 'volume': is missing"),
        (
            lambda f: f.with_columns(pl.col("open").cast(pl.Float32)),
            "column 'open': is Float32; it has to be",
        ),
        (
            lambda f: f.with_columns(pl.col("timestamp").dt.replace_time_zone(None)),
            "column 'timestamp': is Date",
        ),
    ],
)
def test_other_schema_is_refused(tmp_path, make_frame, change, message):
    frame = make_frame(range(10))
    file = tmp_path / "x.parquet"
    change(frame).write_parquet(file)
    _smuggle(tmp_path, frame, file.read_bytes())
    with pytest.raises(BarsError, match=message):
        load_bars(tmp_path, "BAD", "1m")


@pytest.mark.parametrize("keep", [0, 10, 500, -8])
def test_bytes_that_are_no_parquet_are_refused(tmp_path, make_frame, keep):
    frame = make_frame(range(1000))
    _smuggle(tmp_path, frame, encode(frame)[:keep])
    with pytest.raises(BarsError, match="cannot be read as Parquet"):
        load_bars(tmp_path, "BAD", "1m")


def _months(make_frame, *months: str) -> pl.DataFrame:
    """A bar for each of some months; opens 100, 101 and so on."""
    times = pl.Series(months).str.to_datetime("%Y-%m", time_unit="us", time_zone="UTC")
    return make_frame(range(len(months))).with_columns(timestamp=times)


def test_stored_months(tmp_path, make_frame):
    catalog = Catalog.open_or_create(tmp_path)
    months = [f"{year}-{month:02d}" for year in (2019, 2020) for month in range(1, 13)]
    catalog.write("X", "1M", _months(make_frame, *months))
    assert (tmp_path / "asset=X" / "timeframe=1mo" / "year=2020" / "bars.parquet").is_file()
    catalog = Catalog.open(tmp_path)
    assert [f"{moment:%Y-%m-%d}" for moment in catalog.span("X", "1mo")] == ["2019-01-01", "2021-01-01"]
    assert (catalog.rows("X", "1mo"), catalog.rows("X", "1y"), catalog.rows("X", "3mo")) == (24, 2, 8)
    bars = load_bars(tmp_path, "X", "1mo", "2019-12-15", "2020-04-01")
    assert [f"{t:%Y-%m}" for t in bars.to_frame()["timestamp"]] == ["2020-01", "2020-02", "2020-03"]
    assert str(bars.timeframe) == "1mo"
    years = load_bars(tmp_path, "X", "1y")
    assert (years.open.tolist(), years.close.tolist(), years.volume.tolist()) == (
        [100, 112],
        [112, 124],
        [12, 12],
    )
    # Counted from January 1970, as 588 is that of 2019.
    assert load_bars(tmp_path, "X", "5mo").open.tolist() == [100.0, 102.0, 107.0, 112.0, 117.0, 122.0]
    for text in ("1w", "1d", "365d"):
        with pytest.raises(
            CatalogError, match=f"X has no bars of {text}, and they cannot be built; stored: 1mo"
        ):
            load_bars(tmp_path, "X", text)


def test_months_are_built_from_days_and_not_from_weeks(tmp_path, make_frame):
    day = 1440
    catalog = Catalog.open_or_create(tmp_path)
    catalog.write("D", "1d", make_frame([day * k for k in range(366)], first="2020-01-01"))
    catalog.write("W", "1w", make_frame([7 * day * k for k in range(52)], first="2020-01-06"))
    assert load_bars(tmp_path, "D", "1mo").volume.tolist() == [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert load_bars(tmp_path, "D", "3mo", "2020-01-02").volume.tolist() == [91, 92, 92]
    assert load_bars(tmp_path, "D", "1y").volume.tolist() == [366]
    with pytest.raises(
        CatalogError, match="stored: 1w; months can be built from bars that divide a day, or from months"
    ):
        load_bars(tmp_path, "W", "1mo")


def test_months_that_overlap_are_refused(tmp_path, make_frame):
    catalog = Catalog.open_or_create(tmp_path)
    with pytest.raises(BarsError, match="so these are not bars of 1mo"):
        catalog.write("X", "1mo", make_frame([0, 1440 * 7]))
    catalog.write("X", "1mo", _months(make_frame, "2020-01", "2020-02"))
    with pytest.raises(BarsError, match="so these are not bars of 1mo"):
        catalog.write("X", "1mo", make_frame([0], first="2020-02-03"))


def test_origin(root):
    # One-minute bars from 23:00 to 03:00 UTC, of 60 volumes an hour.
    day = load_bars(root, "BTCUSD", "1d", origin="01:30 UTC")
    assert (_span(day), day.volume.tolist()) == (("31 01:30", "01 01:30"), [150.0, 90.0])
    paris = load_bars(root, "BTCUSD", "1h", origin="00:30 Europe/Paris")
    assert (_span(paris), paris.volume.tolist()) == (("31 22:30", "01 02:30"), [30.0, 60.0, 60.0, 60.0, 30.0])
    inside = load_bars(root, "BTCUSD", "1h", "2018-01-01", "2018-01-01T03:00", origin="00:30 Europe/Paris")
    assert _span(inside) == ("01 00:30", "01 01:30")
    with pytest.raises(SpecError, match="'dawn' is not a time of day and a time zone"):
        load_bars(root, "BTCUSD", "1d", origin="dawn")
    assert (
        load_bars(root, "BTCUSD", "1m", origin="01:30 UTC").close.tolist()
        == load_bars(root, "BTCUSD", "1m").close.tolist()
    )


def test_an_origin_that_cuts_through_stored_bars_is_refused(tmp_path, make_frame):
    catalog = Catalog.open_or_create(tmp_path)
    catalog.write("H", "1h", make_frame([60 * k for k in range(48)]))
    catalog.write("D", "1d", make_frame([1440 * k for k in range(48)]))
    message = (
        "the bar of 1h that opens at 2018-01-01T03:00:00Z is cut by data.origin 09:15 Asia/Kolkata, where a bar of 1d opens at "
        "2018-01-01T03:45:00Z"
    )
    with pytest.raises(BarsError, match=message):
        load_bars(tmp_path, "H", "1d", origin="09:15 Asia/Kolkata")
    with pytest.raises(BarsError, match=r"the bar of 1d that opens at .* is cut by data\.origin"):
        load_bars(tmp_path, "D", "1mo", origin="09:15 Asia/Kolkata")
    assert len(load_bars(tmp_path, "H", "1d", origin="17:00 America/New_York")) == 3
    # A session that ends before the cut is not cut by it.
    catalog.write("S", "1h", make_frame([60 * k + 24 * 60 * d for d in range(3) for k in range(14, 20)]))
    assert load_bars(tmp_path, "S", "1d", origin="09:15 Asia/Kolkata").volume.tolist() == [6.0, 6.0, 6.0]


def test_stored_days_of_a_zone_make_its_weeks_over_a_change_of_clocks(tmp_path, make_frame):
    # Midnights of New York from Monday, 4 March 2024, the last week an hour earlier.
    days = [5 * 60 + 1440 * k - (60 if k >= 7 else 0) for k in range(14)]
    Catalog.open_or_create(tmp_path).write("NY", "1d", make_frame(days, first="2024-03-04"))
    weeks = load_bars(tmp_path, "NY", "1w", origin="00:00 America/New_York")
    assert [f"{t:%m-%d %H:%M}" for t in weeks.to_frame()["timestamp"]] == ["03-04 05:00", "03-11 04:00"]
    assert weeks.volume.tolist() == [7.0, 7.0]


class TestCache:
    @pytest.fixture(autouse=True)
    def empty_cache(self):
        load_planned_bars.cache_clear()

    @pytest.fixture
    def ask(self, root):
        fingerprint = Catalog.open(root).fingerprint("BTCUSD", "15m")
        return BarsRef(str(root), "BTCUSD", "15m", None, None, "24/7", fingerprint).load

    def test_second_time_is_the_same_object_and_reads_nothing(self, ask, root):
        first = ask()
        for file in root.rglob("*.parquet"):
            file.unlink()
        assert ask() is first
        with pytest.raises(ValueError, match="read-only"):
            first.close[0] = 1.0

    def test_another_origin_is_another_entry(self, ask, root):
        catalog, origin = Catalog.open(root), "00:05 UTC"
        shifted = catalog.fingerprint("BTCUSD", "15m", origin=Origin.parse(origin))
        assert shifted != catalog.fingerprint("BTCUSD", "15m")
        bars = BarsRef(str(root), "BTCUSD", "15m", None, None, "24/7", shifted, origin=origin).load()
        assert _span(bars) == ("31 22:50", "01 02:50")
        assert _span(ask()) == ("31 23:00", "01 02:45")

    def test_a_stored_timeframe_has_one_fingerprint_whatever_the_origin(self, root):
        catalog = Catalog.open(root)
        assert catalog.fingerprint("BTCUSD", "1m", origin=Origin.parse("00:05 UTC")) == catalog.fingerprint(
            "BTCUSD", "1m"
        )

    def test_other_data_than_planned_is_refused(self, ask, root, make_frame):
        Catalog.open(root).write("BTCUSD", "1m", make_frame([500]))
        with pytest.raises(
            FingerprintError, match=r"the data changed meanwhile, or this machine sees other data"
        ):
            ask()

    def test_threads_agree(self, ask):
        results: list[Bars] = []
        threads = [threading.Thread(target=lambda: results.append(ask())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 8
        assert all(bars is results[0] for bars in results)
        assert load_planned_bars.cache.currsize == 48 * len(results[0])


def test_real_minutes(market, tmp_path):
    """Bars of 4 hours, by numpy from the file itself."""
    frame = pl.read_parquet(market / "bars_1m" / "BTCUSD_1m_2018_2019.parquet")
    Catalog.open_or_create(tmp_path).write("BTCUSD", "1m", frame)
    bars = load_bars(tmp_path, "BTCUSD", "4h", "2018-01-01", "2020-01-01")
    stamp = frame["timestamp"].to_physical().to_numpy() // (4 * 3600 * 10**6)
    starts = np.flatnonzero(np.diff(stamp, prepend=-1))
    np.testing.assert_array_equal(bars.timestamp, stamp[starts] * 4 * 3600 * 10**6)
    np.testing.assert_array_equal(bars.open, frame["open"].to_numpy()[starts])
    np.testing.assert_array_equal(bars.high, np.maximum.reduceat(frame["high"].to_numpy(), starts))
    np.testing.assert_array_equal(bars.low, np.minimum.reduceat(frame["low"].to_numpy(), starts))
    np.testing.assert_array_equal(
        bars.close, frame["close"].to_numpy()[np.append(starts[1:], len(stamp)) - 1]
    )
    np.testing.assert_allclose(bars.volume, np.add.reduceat(frame["volume"].to_numpy(), starts), rtol=1e-12)
    assert (len(bars), bars.open[0], bars.close[-1]) == (4380, 13763.0, 7208.3)
