from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from backtune.data.catalog import Catalog
from backtune.data.check import check_catalog
from backtune.data.manifest import MANIFEST, Manifest, Partition, partition_path
from backtune.data.parquet import encode
from backtune.timeframe import Timeframe


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
