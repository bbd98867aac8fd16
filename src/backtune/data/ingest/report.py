"""The report of an import: one entry a file, or a part of it that holds one asset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from backtune.data.gaps import find_gaps
from backtune.data.quality.finding import Finding
from backtune.data.window import to_datetime
from backtune.spec.timeframe import Timeframe


@dataclass(frozen=True)
class ImportReport:
    """The outcome for one file, or for one asset of a file that holds several.

    Attributes:
        source: The file; a member of an archive stands behind the archive's name.
        asset: The asset's name in the catalog.
        timeframe: The length of the bars, or ``funding``.
        rows: The number of bars or payments of the file that are now in the catalog, or would be.
        start, end: The open time of the first bar and the end of the last, or the times of the first and the last payment.
        gaps, longest_gap_seconds: The number of places where bars are absent, and the longest time without one.
        assumed: The assumptions under which the file was read, by subject, such as ``zone``.
        notes: Remarks on what was not plain, and what was mended.
        findings: The faults that the bars show for sure or likely, the surest first.
        error: The reason why nothing of the file was imported, or None.
        unread: The reason why a file in a folder was not read at all, or None.
        preview: The first bars, and the last, of a dry run.
    """

    source: str
    asset: str | None = None
    timeframe: str | None = None
    rows: int = 0
    start: datetime | None = None
    end: datetime | None = None
    gaps: int = 0
    longest_gap_seconds: int = 0
    assumed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    unread: str | None = None
    preview: pl.DataFrame | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON, with times in ISO."""
        plain: dict[str, Any] = {**vars(self), "assumed": dict(self.assumed), "notes": list(self.notes)}
        plain["findings"] = [finding.to_json() for finding in self.findings]
        del plain["preview"]
        if self.preview is not None:
            rows = self.preview.with_columns(pl.col("timestamp").dt.to_string("iso:strict"))
            plain["preview"] = rows.rows(named=True)
        return plain | {key: plain[key] and plain[key].isoformat() for key in ("start", "end")}


def describe_bars(report: ImportReport, frame: pl.DataFrame, timeframe: Timeframe) -> ImportReport:
    """Return the report with the span and the gaps of bars, which are sorted and not empty."""
    gaps = find_gaps(frame, timeframe)
    opens = frame["timestamp"].to_physical()
    return replace(
        report,
        rows=frame.height,
        start=to_datetime(int(opens[0])),
        end=to_datetime(timeframe.end_of(int(opens[-1]))),
        gaps=gaps.count,
        longest_gap_seconds=gaps.longest_seconds,
    )


def describe_rates(report: ImportReport, frame: pl.DataFrame) -> ImportReport:
    """Return the report with the span of funding payments, which are sorted and not empty."""
    times = frame["timestamp"].to_physical()
    return replace(
        report, rows=frame.height, start=to_datetime(int(times[0])), end=to_datetime(int(times[-1]))
    )
