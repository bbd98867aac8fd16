from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from backtune.data.catalog import Catalog
from backtune.data.check import check_catalog
from backtune.data.manifest import MANIFEST, Manifest, Partition, partition_path
from backtune.data.parquet import encode
from backtune.data.schema import SCHEMA
from backtune.spec.timeframe import Timeframe


@pytest.fixture
def root(tmp_path, make_frame) -> Path:
    catalog = Catalog.open_or_create(tmp_path)
    catalog.write("A", "1m", make_frame([0, 1, 2, 5, 6, 9]))
    catalog.write("B", "1m", make_frame(range(10)))
    return tmp_path


def test_sound_files_and_their_gaps(root):
    first, second = check_catalog(root)
    assert (first.rows, first.gaps, first.longest_gap_seconds, first.absent) == (6, 2, 120, 0.4)
    assert (second.rows, second.gaps, second.longest_gap_seconds, second.absent) == (10, 0, 0, 0.0)
    assert first.problem is second.problem is None
    assert first.to_json()["start"] == "2018-01-01T00:00:00+00:00"


def _daily(first: str, closes: list[float]) -> pl.DataFrame:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    prices = {
        "open": closes, "high": [x * 1.01 for x in closes], "low": [x * 0.99 for x in closes], "close": closes,
    }  # fmt: skip
    times = [start + timedelta(days=i) for i in range(len(closes))]
    return pl.DataFrame({"timestamp": times, **prices, "volume": [5.0] * len(closes)}, schema=SCHEMA)


WAVE = [100 + 2 * ((i * 7) % 5) for i in range(60)]


@pytest.fixture
def split_at_new_year(tmp_path) -> Path:
    closes = [4 * x for x in WAVE[:20]] + WAVE[20:]
    Catalog.open_or_create(tmp_path).write("A", "1d", _daily("2018-12-12", closes))
    return tmp_path


def test_a_series_is_judged_across_its_files(split_at_new_year):
    first, second = check_catalog(split_at_new_year)
    assert (first.findings, first.is_suspect, second.is_suspect) == ((), False, True)
    (split,) = second.findings
    assert (split.kind, split.first) == ("split", datetime(2019, 1, 1, tzinfo=UTC))
    assert second.to_json()["findings"] == [split.to_json()]
    assert first.extremes is not None
    assert first.extremes.largest_step == pytest.approx(100 / 106 - 1)
    assert first.to_json()["extremes"]["largest_step_at"] == "2018-12-17T00:00:00+00:00"


def test_a_file_that_cannot_be_used_parts_a_series(split_at_new_year):
    catalog = Catalog.open(split_at_new_year)
    catalog.write("A", "1d", _daily("2022-01-01", WAVE))
    (split_at_new_year / partition_path("A", Timeframe(86_400), 2019)).unlink()
    first, damaged, last = check_catalog(split_at_new_year)
    assert damaged.problem is not None
    assert (first.findings, damaged.findings, last.findings) == ((), (), ())


def test_every_kind_of_trouble_is_named(root):
    (root / partition_path("A", Timeframe(60), 2018)).unlink()
    damaged = root / partition_path("B", Timeframe(60), 2018)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (root / "asset=B" / ".bars.parquet.0.tmp").touch()
    problems = [report.problem or "" for report in check_catalog(root)]
    for problem, expected in zip(problems, ("not there", "SHA-256", "not in the manifest"), strict=True):
        assert expected in problem
        assert str(root) in problem


def test_broken_bars_under_a_right_manifest(tmp_path, make_frame):
    for timeframe, change, expected in (
        ("1m", pl.lit(-1.0).alias("volume"), "a volume must not be negative"),
        ("1h", pl.col("volume"), "opens 0:01:00 after the bar before it"),
    ):
        frame = make_frame(range(5)).with_columns(change)
        path, content = partition_path("A", Timeframe.parse(timeframe), 2018), encode(frame)
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(content)
        manifest = Manifest({path: Partition.of(path, frame, content)})
        (tmp_path / MANIFEST).write_bytes(manifest.to_bytes())
        assert expected in (check_catalog(tmp_path)[0].problem or "")
