from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from backtune.data.catalog import Catalog
from backtune.data.load import load_bars
from backtune.data.manifest import MANIFEST, Manifest
from backtune.data.window import TimeRange
from backtune.errors import BarsError, CatalogError, FingerprintError
from backtune.spec.timeframe import Timeframe
from backtune.storage.local_folder import LocalFolder

PATH_2018 = "asset=BTCUSD/timeframe=1m/year=2018/bars.parquet"
YEAR_END = range(525_600 - 60, 525_600 + 60)  # an hour before and one after the end of 2018


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "market"


@pytest.fixture
def catalog(root, make_frame) -> Catalog:
    catalog = Catalog.open_or_create(root)
    catalog.write("BTCUSD", "1m", make_frame(YEAR_END))
    return catalog


def test_layout_and_manifest(catalog, root):
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert files == [PATH_2018, PATH_2018.replace("2018", "2019"), MANIFEST]
    document = json.loads((root / MANIFEST).read_text())
    assert document["version"] == 1
    assert "pending" not in document
    entry = document["files"][PATH_2018]
    assert entry["rows"] == 60
    assert entry["start"] == "2018-12-31T23:00:00Z"
    assert entry["end"] == "2019-01-01T00:00:00Z"
    assert entry["bytes"] == (root / PATH_2018).stat().st_size


def test_what_is_there(catalog, make_frame):
    catalog.write("ETHUSD", "1h", make_frame([0, 60, 120]))
    catalog.write("BTCUSD", "1h", make_frame([0, 60, 120]))
    assert catalog.assets() == ["BTCUSD", "ETHUSD"]
    assert [str(timeframe) for timeframe in catalog.timeframes("BTCUSD")] == ["1m", "1h"]
    assert catalog.span("ETHUSD", "4h") == (
        datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 1, 1, 3, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("timeframe", "source"),
    [("1m", "1m"), ("60s", "1m"), ("5m", "1m"), ("1h", "1h"), ("4h", "1m"), ("90m", "1m"), ("1w", "1m")],
)
def test_source_is_the_stored_one_or_the_finest_that_divides(catalog, make_frame, timeframe, source):
    catalog.write("BTCUSD", "1h", make_frame([0, 60, 120]))
    assert str(catalog.source_timeframe("BTCUSD", timeframe)) == source


def test_what_cannot_be_built_is_said(catalog):
    with pytest.raises(CatalogError, match=r"BTCUSD has no bars of 90s.*stored: 1m"):
        catalog.source_timeframe("BTCUSD", "90s")
    with pytest.raises(
        CatalogError, match=r"no asset 'BTCUSDT' \(did you mean 'BTCUSD'\?\); there are: BTCUSD"
    ):
        catalog.source_timeframe("BTCUSDT", "1m")


@pytest.mark.parametrize(
    ("start", "end", "years"),
    [
        (None, None, [2018, 2019]),
        ("2018-12-31T23:30", None, [2018, 2019]),
        ("2019-01-01", None, [2019]),
        (None, "2019-01-01", [2018]),
        ("2019-01-01T01:00", None, []),
    ],
)
def test_only_the_files_of_the_window(catalog, start, end, years):
    found = catalog.partitions("BTCUSD", Timeframe(60), TimeRange.of(start, end))
    assert [int(p.path.split("year=")[1][:4]) for p in found] == years


def test_rows_are_estimated_without_reading(catalog, root):
    shutil.rmtree(root)
    assert catalog.rows("BTCUSD", "1m") == 120
    assert catalog.rows("BTCUSD", "15m") == 8
    assert catalog.rows("BTCUSD", "1m", "2018-12-31T23:30", "2019-01-01T00:15") == 45
    assert catalog.rows("BTCUSD", "1m", "2020-01-01") == 0


def test_fingerprint_follows_the_data_and_not_the_root(catalog, root, tmp_path, make_frame):
    before = catalog.fingerprint("BTCUSD", "15m", "2018-01-01", "2019-01-01")
    shutil.copytree(root, tmp_path / "moved")
    assert Catalog.open(tmp_path / "moved").fingerprint("BTCUSD", "15m", "2018-01-01", "2019-01-01") == before
    assert catalog.fingerprint("BTCUSD", "15m") != before
    catalog.write("BTCUSD", "1m", make_frame(range(10), first="2019-06-01"))
    assert catalog.fingerprint("BTCUSD", "15m", "2018-01-01", "2019-01-01") == before
    catalog.write("BTCUSD", "1m", make_frame(range(10), first="2018-06-01"))
    assert catalog.fingerprint("BTCUSD", "15m", "2018-01-01", "2019-01-01") != before


@pytest.mark.parametrize("name", ["", "a/b", "a=b", "BTC USD", "x" * 65, "bücher"])
def test_names_that_cannot_be_paths(catalog, make_frame, name):
    with pytest.raises(CatalogError, match="cannot name an asset"):
        catalog.write(name, "1m", make_frame(range(3)))


def test_absent_manifest_says_the_way_out(tmp_path):
    with pytest.raises(CatalogError, match=r"holds no market data.*backtune data import.*backtune data make"):
        Catalog.open(tmp_path / "nothing")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 1, "files": {"../../etc/passwd": {}}}',
        f'{{"version": 1, "files": {{"{PATH_2018}": {{"rows": 1}}}}}}',
        f'{{"version": 1, "files": {{"{PATH_2018}": null}}}}',
    ],
)
def test_manifest_that_is_none(tmp_path, content):
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(CatalogError, match=r"manifest\.json: is not a manifest"):
        Catalog.open(tmp_path)


def test_manifest_of_another_version(tmp_path):
    (tmp_path / MANIFEST).write_text('{"version": 2, "files": {}}')
    with pytest.raises(CatalogError, match="is of version 2, this backtune reads 1"):
        Catalog.open(tmp_path)


class TestWrite:
    def test_same_bars_change_nothing(self, catalog, root, make_frame):
        before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
        assert catalog.write("BTCUSD", "1m", make_frame(YEAR_END)[30:90]) == []
        assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before

    def test_new_rows_are_merged_in_order(self, catalog, root, make_frame):
        base = make_frame(range(525_600 - 120, 525_600 + 120))
        catalog.write("X", "1m", base[::2])
        changed = catalog.write("X", "1m", base[1::2])
        assert len(changed) == 2
        assert load_bars(root, "X", "1m").to_frame().equals(base)

    def test_other_values_are_refused_or_replaced(self, catalog, root, make_frame):
        other = make_frame(YEAR_END).with_columns(volume=pl.lit(7.0))[10:20]
        with pytest.raises(
            BarsError,
            match=r"column 'volume': is 7\.0 at 2018-12-31T23:10:00Z, the catalog has 1\.0 \(10 rows",
        ):
            catalog.write("BTCUSD", "1m", other)
        assert load_bars(root, "BTCUSD", "1m").volume.sum() == 120
        catalog.write("BTCUSD", "1m", other, replace=True)
        assert load_bars(root, "BTCUSD", "1m").volume.sum() == 110 + 70

    def test_overlapping_bars_are_refused(self, catalog, make_frame):
        with pytest.raises(
            BarsError, match="opens 0:01:00 after the bar before it, so these are not bars of 5m"
        ):
            catalog.write("BTCUSD", "5m", make_frame(range(10)))
        catalog.write("BTCUSD", "1h", make_frame([0, 60, 120]))
        with pytest.raises(BarsError, match="opens 0:30:00 after the bar before"):
            catalog.write("BTCUSD", "1h", make_frame([30, 90]))

    def test_broken_bars_are_refused(self, catalog, make_frame):
        with pytest.raises(BarsError, match="high is below low"):
            catalog.write("BTCUSD", "1m", make_frame(range(5)).with_columns(high=pl.lit(1.0)))

    def test_two_writers_do_not_lose_each_other(self, root, make_frame):
        first, second = Catalog.open_or_create(root), Catalog.open_or_create(root)
        first.write("A", "1m", make_frame(range(5)))
        second.write("B", "1m", make_frame(range(5)))
        assert Catalog.open(root).assets() == ["A", "B"]


class TestDamage:
    def test_flipped_bit_is_refused_and_mended_by_replacing(self, catalog, root, make_frame):
        file = root / PATH_2018
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        with pytest.raises(FingerprintError, match=r"SHA-256 is \w{12}, the manifest says \w{12}.*--replace"):
            load_bars(root, "BTCUSD", "1m")
        assert len(load_bars(root, "BTCUSD", "1m", "2019-01-01")) == 60
        with pytest.raises(FingerprintError):
            catalog.write("BTCUSD", "1m", make_frame(YEAR_END))
        catalog.write("BTCUSD", "1m", make_frame(YEAR_END), replace=True)
        assert len(load_bars(root, "BTCUSD", "1m")) == 120

    def test_lost_file_is_named(self, catalog, root, make_frame):
        (root / PATH_2018).unlink()
        with pytest.raises(CatalogError, match=r"year=2018.*is in the manifest but not there"):
            load_bars(root, "BTCUSD", "1m")
        catalog.write("BTCUSD", "1m", make_frame(YEAR_END), replace=True)
        assert len(load_bars(root, "BTCUSD", "1m")) == 120


class _PowerCutError(Exception):
    pass


@pytest.mark.parametrize("writes_that_succeed", range(5))
@pytest.mark.parametrize("fresh", [True, False])
def test_power_cut_leaves_a_catalog_that_reads(monkeypatch, root, make_frame, writes_that_succeed, fresh):
    """A write over two years is four writes: the announcement, two files, the record."""
    new = make_frame(YEAR_END).with_columns(volume=pl.lit(2.0))
    if not fresh:
        Catalog.open_or_create(root).write("BTCUSD", "1m", make_frame(YEAR_END))
    writes, write = [], LocalFolder.write

    def failing(self: LocalFolder, path: str, content: bytes, **options: bool) -> None:
        writes.append(path)
        if len(writes) > writes_that_succeed:
            raise _PowerCutError
        write(self, path, content, **options)

    monkeypatch.setattr(LocalFolder, "write", failing)
    if writes_that_succeed < 4:
        with pytest.raises(_PowerCutError):
            Catalog.open_or_create(root).write("BTCUSD", "1m", new, replace=True)
    else:
        Catalog.open_or_create(root).write("BTCUSD", "1m", new, replace=True)
    monkeypatch.undo()

    n_new = min(max(writes_that_succeed - 1, 0), 2)
    if fresh and n_new == 0:
        assert Catalog.open_or_create(root).assets() == []
    else:
        volume = load_bars(root, "BTCUSD", "1m").volume
        assert volume.sum() == 120 * n_new + (0 if fresh else 60 * (2 - n_new))
    Catalog.open_or_create(root).write("BTCUSD", "1m", new, replace=True)
    assert load_bars(root, "BTCUSD", "1m").volume.sum() == 240


def test_what_a_kill_left_is_settled(monkeypatch, root, tmp_path, make_frame):
    whole = make_frame(YEAR_END)
    Catalog.open_or_create(tmp_path / "at once").write("BTCUSD", "1m", whole)
    write = LocalFolder.write

    def killed_at_the_record(self: LocalFolder, path: str, content: bytes, **options: bool) -> None:
        if path == MANIFEST and b"pending" not in content:
            raise _PowerCutError
        write(self, path, content, **options)

    monkeypatch.setattr(LocalFolder, "write", killed_at_the_record)
    with pytest.raises(_PowerCutError):
        Catalog.open_or_create(root).write("BTCUSD", "1m", whole)
    monkeypatch.undo()
    half_written = [
        root / ".0123.part",
        *(f.with_name(".0123.part") for f in root.rglob("bars.parquet")),
    ]
    for file in half_written:
        file.write_bytes(b"half")
    catalog = Catalog.open(root)
    catalog.settle()
    assert not [file for file in half_written if file.exists()]
    assert (root / MANIFEST).read_bytes() == (tmp_path / "at once" / MANIFEST).read_bytes()
    assert catalog.assets() == ["BTCUSD"]


def test_settling_nothing_makes_nothing(root):
    Catalog.open_or_create(root / "absent").settle()
    assert not (root / "absent").exists()


def test_manifest_survives_the_round_trip(catalog, root):
    content = (root / MANIFEST).read_bytes()
    assert Manifest.from_bytes(content, source="x").to_bytes() == content
