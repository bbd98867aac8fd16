"""A check of a catalog: its files against the manifest and the schema, and a judgement of its bars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from backtune.data.catalog import Catalog
from backtune.data.gaps import find_gaps
from backtune.data.manifest import MANIFEST, Partition
from backtune.data.merge import check_spacing
from backtune.data.parquet import decode
from backtune.data.quality import Extremes, judge_bars, measure_extremes
from backtune.data.quality.finding import Finding
from backtune.data.window import to_datetime
from backtune.errors import DataError
from backtune.spec.timeframe import Timeframe


@dataclass(frozen=True)
class FileReport:
    """The result of the check of one file.

    Attributes:
        path: below the catalog's root.
        start, end: open time of the first bar and end of the last, or times of the first and the last
            payment, as the manifest says.
        gaps, longest_gap_seconds: places where bars are absent, and the longest time without one.
        absent: share of the bars of a full grid that are absent, in [0, 1).
        problem: why the file cannot be used, or None.
        extremes: the largest step and range, absent volume and equal closes; None where the file holds no bars.
        findings: The suspicions about sound bars. The series of all files is judged; a finding stands with the file
            that holds its first bar.
    """

    path: str
    rows: int = 0
    start: datetime | None = None
    end: datetime | None = None
    gaps: int = 0
    longest_gap_seconds: int = 0
    absent: float = 0.0
    problem: str | None = None
    extremes: Extremes | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_suspect(self) -> bool:
        """A finding is certain or likely."""
        return any(finding.confidence != "possible" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; times in ISO."""
        return vars(self) | {
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "extremes": self.extremes and self.extremes.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
        }


def check_catalog(root: str | Path) -> list[FileReport]:
    """Read every file of the manifest, check it and judge its bars, then name the files that the manifest does not know.

    Raises:
        CatalogError: there is no catalog, or its manifest cannot be read.
    """
    catalog = Catalog.open(root)
    partitions = catalog.all_partitions()
    known = {MANIFEST, *(partition.path for partition in partitions)}
    strays = [path for path in catalog.storage.list_files() if path not in known]
    reports: list[FileReport] = []
    for (_, timeframe), series in groupby(partitions, key=lambda p: (p.asset, p.timeframe)):
        checked = [_check(catalog, partition) for partition in series]
        reports += [report for report, _ in checked] if timeframe is None else _judge(checked, timeframe)
    problem = "is not in the manifest and is never read; import it, or remove it"
    return reports + [
        FileReport(path, problem=f"{catalog.storage.describe(path)}: {problem}") for path in strays
    ]


def _judge(
    checked: Iterable[tuple[FileReport, pl.DataFrame | None]], timeframe: Timeframe
) -> list[FileReport]:
    """Judge the bars of neighbouring sound files as one series; a file that cannot be used parts it in two."""
    reports: list[FileReport] = []
    for _, part in groupby(checked, key=lambda pair: pair[1] is None):
        files = list(part)
        frames = [frame for _, frame in files if frame is not None]
        findings = judge_bars(pl.concat(frames), timeframe) if frames else ()
        for report, frame in files:
            if frame is None:
                reports.append(report)
                continue
            first, last = frame["timestamp"][0], frame["timestamp"][-1]
            own = tuple(finding for finding in findings if first <= finding.first <= last)
            reports.append(replace(report, extremes=measure_extremes(frame), findings=own))
    return reports


def _check(catalog: Catalog, partition: Partition) -> tuple[FileReport, pl.DataFrame | None]:
    """The report of a file without a judgement, and its rows where it can be used."""
    name = catalog.storage.describe(partition.path)
    report = FileReport(
        partition.path, partition.rows, to_datetime(partition.start), to_datetime(partition.end)
    )
    try:
        content = catalog.read_partition(partition)
        frame = partition.check(decode(content, partition.schema, source=name), source=name)
        if partition.timeframe is not None:
            check_spacing(frame, partition.timeframe, source=name)
    except DataError as error:
        return replace(report, problem=str(error)), None
    if partition.timeframe is None:
        return report, frame
    gaps = find_gaps(frame, partition.timeframe)
    report = replace(
        report, gaps=gaps.count, longest_gap_seconds=gaps.longest_seconds, absent=round(gaps.absent, 6)
    )
    return report, frame
