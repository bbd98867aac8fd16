"""The stored rows of one series, and fetched rows on their way to them."""

from __future__ import annotations

import time
from typing import Final, final

import numpy as np
import polars as pl

from backtune.data.catalog import Catalog
from backtune.data.download.absent import Span
from backtune.data.download.pages import Series
from backtune.data.manifest import Provenance
from backtune.data.parquet import decode
from backtune.data.window import TimeRange
from backtune.errors import DataError
from backtune.spec.timeframe import Timeframe

# Rows are stored after a second, and writing takes a twentieth of the time at most: a year's file is written whole.
_SECONDS_PER_BATCH: Final = 1.0
_BATCH_SECONDS_PER_WRITE_SECOND: Final = 20.0
_ROWS_PER_BATCH: Final = 100_000


@final
class StoredRows:
    """The rows of one series in a catalog."""

    def __init__(self, catalog: Catalog, asset: str, timeframe: Timeframe | None) -> None:
        self.catalog = catalog
        self.asset = asset
        self.timeframe = timeframe

    def times(self, span: Span) -> np.ndarray:
        """Return the times of the rows that lie wholly in a span, (n_rows,) int64."""
        latest = self.timeframe.latest_open(span.end) if self.timeframe else span.end - 1
        inside = TimeRange(span.start, latest + 1)
        times = [frame["timestamp"].to_physical().to_numpy() for frame in self._read_frames(inside)]
        return np.concatenate([np.empty(0, dtype=np.int64), *times])

    def rows(self, span: Span) -> list[pl.DataFrame]:
        """Return the rows with a time in a span, file by file."""
        return self._read_frames(TimeRange(span.start, span.end))

    def goes_on_after(self, moment: int) -> bool:
        """Return true if there are rows later than a moment."""
        return any(p.end > moment for p in self.catalog.partitions(self.asset, self.timeframe))

    def write(self, frame: pl.DataFrame, *, replace: bool, provenance: Provenance) -> None:
        """Merge rows into the catalog."""
        self.catalog.write(
            self.asset,
            self.timeframe,
            frame,
            replace=replace,
            source=provenance.name,
            provenance=provenance,
        )

    def _read_frames(self, window: TimeRange) -> list[pl.DataFrame]:
        return [
            decode(
                self.catalog.read_partition(partition),
                partition.schema,
                source=self.catalog.storage.describe(partition.path),
                where=window.contains("timestamp"),
            )
            for partition in self.catalog.partitions(self.asset, self.timeframe, window)
        ]


@final
class Batch:
    """Rows that have come and are not stored yet."""

    def __init__(self, stored: StoredRows, series: Series, *, replace: bool) -> None:
        self.stored = stored
        self.new = 0
        self.changed = 0
        self.n_differing = 0
        self.first_difference: str | None = None
        self._series = series
        self._replace = replace
        self._held = np.empty(0, dtype=np.int64)
        self._frames: list[pl.DataFrame] = []
        self._n_rows = 0
        self._written_at = time.monotonic()
        self._pause_seconds = _SECONDS_PER_BATCH

    def begin(self, span: Span) -> np.ndarray:
        """Return the times that the catalog holds of a span. Damaged files hold none where they are to be replaced."""
        try:
            self._held = self.stored.times(span)
        except DataError:
            if not self._replace:
                raise
        return self._held

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows, and store what has come where it is time."""
        if frame.height:
            self._frames.append(frame)
            self._n_rows += frame.height
        is_due = time.monotonic() - self._written_at >= self._pause_seconds
        if is_due or self._n_rows >= _ROWS_PER_BATCH:
            self.flush()

    def flush(self) -> None:
        """Store what has come."""
        if not self._frames:
            return
        began = time.monotonic()
        frame = pl.concat(self._frames).sort("timestamp")
        self._frames, self._n_rows = [], 0
        frame, n_new, n_changed = self._compared(frame)
        if frame.height:
            self.stored.write(frame, replace=self._replace, provenance=self._series.provenance)
        self.new += n_new
        self.changed += n_changed
        self._written_at = time.monotonic()
        self._pause_seconds = max(
            _SECONDS_PER_BATCH, _BATCH_SECONDS_PER_WRITE_SECOND * (self._written_at - began)
        )

    def _compared(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
        """Return the rows to write, and how many of them are new and how many replace others. Differences are noted."""
        times = frame["timestamp"].to_physical().to_numpy()
        # Other programs' times may have the fraction of a second that payments come with.
        if not np.isin(times, self._held // 1_000_000 * 1_000_000).any():
            return frame, frame.height, 0
        stored = pl.concat(
            [
                self._series.schema.to_frame(),
                *self.stored.rows(Span(int(times[0]), int(times[-1]) + 1_000_000)),
            ]
        )
        values = self._series.schema.names()[1:]
        # columns: second, timestamp_stored, and the values as *_stored
        theirs = stored.select(
            pl.col("timestamp").dt.truncate("1s").alias("second"), pl.all().name.suffix("_stored")
        ).unique("second", keep="first", maintain_order=True)
        both = frame.join(theirs, left_on="timestamp", right_on="second", how="left", maintain_order="left")
        is_stored = pl.col("timestamp_stored").is_not_null()
        differs = is_stored & pl.any_horizontal(pl.col(v) != pl.col(f"{v}_stored") for v in values)
        different = both.filter(differs)
        if different.height:
            self.n_differing += different.height
            row = different.row(0, named=True)
            name = next(v for v in values if row[v] != row[f"{v}_stored"])
            moment = row["timestamp"].isoformat().replace("+00:00", "Z")
            first = f"{name} is {row[name]} at {moment}, the catalog had {row[f'{name}_stored']}"
            self.first_difference = self.first_difference or first
        wanted = both.filter(~is_stored | differs) if self._replace else both.filter(~is_stored)
        n_new = both.filter(~is_stored).height
        rows = wanted.select(pl.coalesce("timestamp_stored", "timestamp").alias("timestamp"), *values)
        return rows, n_new, rows.height - n_new
