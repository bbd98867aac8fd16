"""Whether a catalog's files are what its manifest says, and sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from backtune.data.catalog import Catalog
from backtune.data.gaps import find_gaps
from backtune.data.manifest import MANIFEST, Partition
from backtune.data.merge import check_spacing
from backtune.data.parquet import decode
from backtune.data.window import to_datetime
from backtune.errors import DataError


@dataclass(frozen=True)
class FileReport:
    """What was found in one file.

    Attributes:
        path: below the catalog's root.
        start, end: open time of the first bar and end of the last, or times of the first and the last
            payment, as the manifest says.
        gaps, longest_gap_seconds: places where bars are absent, and the longest time without one.
        absent: share of the bars of a full grid that are absent, in [0, 1).
        problem: why the file cannot be used, or None.
    """

    path: str
    rows: int = 0
    start: datetime | None = None
    end: datetime | None = None
    gaps: int = 0
    longest_gap_seconds: int = 0
    absent: float = 0.0
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; times in ISO."""
        plain = dict(vars(self))
        return plain | {key: plain[key] and plain[key].isoformat() for key in ("start", "end")}


def check_catalog(root: str | Path) -> list[FileReport]:
    """Read every file of the manifest and check it, then name the files that the manifest does not know.

    Raises:
        CatalogError: there is no catalog, or its manifest cannot be read.
    """
    catalog = Catalog.open(root)
    partitions = catalog.all_partitions()
    known = {MANIFEST, *(partition.path for partition in partitions)}
    strays = [path for path in catalog.store.list() if path not in known]
    return [_check(catalog, partition) for partition in partitions] + [
        _stray(catalog, path) for path in strays
    ]


def _check(catalog: Catalog, partition: Partition) -> FileReport:
    name = catalog.store.describe(partition.path)
    report = FileReport(
        partition.path, partition.rows, to_datetime(partition.start), to_datetime(partition.end)
    )
    try:
        content = catalog.read_partition(partition)
        frame = partition.check(decode(content, partition.schema, source=name), source=name)
        if partition.timeframe is not None:
            check_spacing(frame, partition.timeframe, source=name)
    except DataError as error:
        return replace(report, problem=str(error))
    if partition.timeframe is None:
        return report
    gaps = find_gaps(frame, partition.timeframe)
    return replace(
        report, gaps=gaps.count, longest_gap_seconds=gaps.longest_seconds, absent=round(gaps.absent, 6)
    )


def _stray(catalog: Catalog, path: str) -> FileReport:
    problem = "is not in the manifest and is never read; import it, or remove it"
    return FileReport(path, problem=f"{catalog.store.describe(path)}: {problem}")
