from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backtune.data import load
from backtune.data.bars import Bars
from backtune.data.cache import ByteCache
from backtune.data.catalog import Catalog
from backtune.data.load import cached_bars, load_bars
from backtune.data.manifest import MANIFEST, Manifest, Partition, partition_path
from backtune.data.parquet import encode
from backtune.data.synthetic import make_market
from backtune.errors import BarsError, CatalogError, FingerprintError, SpecError
from backtune.timeframe import Timeframe


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


class TestCache:
    @pytest.fixture(autouse=True)
    def own_cache(self, monkeypatch):
        monkeypatch.setattr(load, "_CACHE", ByteCache(10**6, load._n_bytes))

    @pytest.fixture
    def ask(self, root):
        fingerprint = Catalog.open(root).fingerprint("BTCUSD", "15m")
        return lambda: cached_bars(root, "BTCUSD", "15m", None, None, "24/7", fingerprint)

    def test_second_time_is_the_same_object_and_reads_nothing(self, ask, root):
        first = ask()
        for file in root.rglob("*.parquet"):
            file.unlink()
        assert ask() is first
        with pytest.raises(ValueError, match="read-only"):
            first.close[0] = 1.0

    def test_other_data_than_planned_is_refused(self, ask, root, make_frame):
        Catalog.open(root).write("BTCUSD", "1m", make_frame([500]))
        with pytest.raises(
            FingerprintError, match=r"the data changed meanwhile, or this machine sees other data"
        ):
            ask()

    def test_least_used_is_given_up(self, make_frame):
        bars = Bars.from_frame(make_frame(range(100)))  # 4,800 bytes
        cache = ByteCache(10_000, load._n_bytes)
        cache.put(("a",), bars)
        cache.put(("b",), bars)
        assert cache.get(("a",)) is bars
        cache.put(("c",), bars)
        assert [cache.get((key,)) is not None for key in "abc"] == [True, False, True]
        assert cache.n_bytes == 9_600
        cache.put(("d",), Bars.from_frame(make_frame(range(1000))))
        assert cache.get(("d",)) is None
        cache.clear()
        assert cache.n_bytes == 0

    def test_threads_agree(self, ask):
        results: list[Bars] = []
        threads = [threading.Thread(target=lambda: results.append(ask())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 8
        assert load._CACHE.n_bytes == 48 * len(results[0])


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


def test_synthetic_market_loads(tmp_path):
    make_market(tmp_path, assets=["X"], timeframe="15m", start="2018-01-01", end="2018-02-01", seed=1)
    assert len(load_bars(tmp_path, "X", "1d")) == 31
