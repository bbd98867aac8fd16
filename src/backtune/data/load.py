"""Bars out of a catalog: the one reader, and the references by which studies name their bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import polars as pl
from cachetools import LRUCache, cached

from backtune.data.bar_grid import BarGrid
from backtune.data.bars import Bars
from backtune.data.catalog import Catalog
from backtune.data.funding import RATES, rates_at_opens
from backtune.data.manifest import Partition
from backtune.data.parquet import decode
from backtune.data.permutation import Permutation
from backtune.data.resample import resample
from backtune.data.schema import COLUMNS, check_bars
from backtune.data.window import Moment, TimeRange, iso, to_microseconds
from backtune.errors import BarsError, CatalogError, FingerprintError
from backtune.spec.origin import UTC_MIDNIGHT, Origin
from backtune.spec.timeframe import Timeframe

CACHE_BYTES: Final = 2**30
_SOURCE_BYTES: Final = 192 * 2**20
_HOUR: Final = 3_600_000_000


def load_bars(
    root: str | Path,
    asset: str,
    timeframe: str | Timeframe,
    start: Moment = None,
    end: Moment = None,
    calendar: str = "auto",
    *,
    funding: bool = False,
    origin: str = str(UTC_MIDNIGHT),
) -> Bars:
    """The bars of an asset that lie wholly in [start, end).

    Args:
        root: a catalog's folder, or ``s3://bucket/prefix``.
        timeframe: such as ``15m``, ``1d`` or ``1mo``; built from the finest stored one that divides it where it is not stored.
        start, end: dates, datetimes or ISO text, UTC where no offset is given; None for no bound. A bar that sticks out
            of a bound is left out. Where the data begins or ends within a built bar, it is built from what there is.
        calendar: ``auto``, ``24/7`` or ``sessions-N``, see :func:`backtune.data.calendar.annualise`.
        funding: attach the asset's funding payments, see :func:`backtune.data.funding.rates_at_opens`.
        origin: the local time at which the days of built bars begin, such as ``09:15 Asia/Kolkata``, see
            :class:`backtune.data.bar_grid.BarGrid`. A stored timeframe is read as it is, whatever the origin.

    Raises:
        CatalogError: the catalog, the asset, the timeframe or its funding is not there, or the window has no bars,
            or all of it lies before the first funding payment or after the last.
        FingerprintError: a file is not the one that the manifest describes.
        BarsError: a file cannot be read, a bar breaks the schema, or the origin cuts through stored bars.
        SpecError: a time, the timeframe, the calendar or the origin is not one.
    """
    window = TimeRange.of(start, end)
    catalog = Catalog.open(root)
    target = Timeframe.parse(timeframe)
    loaded = _load(catalog, asset, target, window, Origin.parse(origin), calendar=calendar, keep=False)
    return _attach_funding(catalog, loaded) if funding else loaded


@dataclass(frozen=True)
class BarsRef:
    """Bars by name, so that a study is small and every worker reads its own partitions.

    Attributes:
        start, end: The bounds of the window: those of the spec, or those of the asset's bars where it has none, so that a
            window stays the same when bars are added to the catalog.
        fingerprint: The result of :meth:`Catalog.fingerprint` for this window when the work was planned.
        origin: The local time at which the days of built bars begin.
        permutation: The part of the bars that is wanted, and the order that it is put into; None for the bars as they are.
    """

    root: str
    asset: str
    timeframe: str
    start: datetime
    end: datetime
    calendar: str
    fingerprint: str
    funding: bool = False
    origin: str = str(UTC_MIDNIGHT)
    permutation: Permutation | None = None

    def load(self) -> Bars:
        """Return the bars, from this process's cache where they are; permuted ones are made anew each time.

        Raises:
            DataError: The bars are not those that the plan was made for, or cannot be read.
        """
        bars = load_planned_bars(replace(self, permutation=None))
        return bars if self.permutation is None else self.permutation.permute(bars)


def _count_bytes(bars: Bars) -> int:
    columns = (*(getattr(bars, name) for name in COLUMNS), bars.funding)
    return sum(column.nbytes for column in columns if column is not None)


@cached(LRUCache(CACHE_BYTES, getsizeof=_count_bytes), lock=Lock())
def load_planned_bars(ref: BarsRef) -> Bars:
    """Load bars through a cache of this process that keeps up to ``CACHE_BYTES`` of recently used bars.

    Raises:
        FingerprintError: The catalog holds other data now than the fingerprint stands for.
    """
    catalog, origin = Catalog.open(ref.root), Origin.parse(ref.origin)
    found = catalog.fingerprint(
        ref.asset, ref.timeframe, ref.start, ref.end, funding=ref.funding, origin=origin
    )
    if found != ref.fingerprint:
        raise FingerprintError(
            f"{catalog.storage.describe()}: the bars of {ref.asset} {ref.timeframe} have fingerprint {found[:12]}, "
            f"the work was planned with {ref.fingerprint[:12]}: the data changed meanwhile, or this machine "
            "sees other data; bring the same data here, or start the sweep again"
        )
    window, target = TimeRange.of(ref.start, ref.end), Timeframe.parse(ref.timeframe)
    bars = _load(catalog, ref.asset, target, window, origin, calendar=ref.calendar, keep=True)
    return _attach_funding(catalog, bars) if ref.funding else bars


def _load(
    catalog: Catalog,
    asset: str,
    target: Timeframe,
    window: TimeRange,
    origin: Origin,
    *,
    calendar: str,
    keep: bool,
) -> Bars:
    """Load bars without funding; with ``keep``, the stored bars that they are built from are kept for other timeframes."""
    source = catalog.source_timeframe(asset, target)
    opens = window.opens(target, source, origin)
    read = _read_stored_cached if keep else _read_stored
    frame = read(catalog, asset, source, opens)
    if frame.is_empty():
        first, end = (iso(to_microseconds(moment)) for moment in catalog.span(asset, source))
        raise CatalogError(
            f"{catalog.storage.describe()}: {asset} has no whole bars of {target} in {window}; there are bars of "
            f"{source} from {first} to {end}"
        )
    if target != source:
        if origin != UTC_MIDNIGHT:
            _check_not_cut(frame, source, BarGrid(target, origin), asset)
        frame = resample(frame, target, origin)
    table = check_bars(frame, source=asset)
    return Bars.from_checked(table, target, calendar=calendar, asset=asset)


def _check_not_cut(frame: pl.DataFrame, source: Timeframe, grid: BarGrid, asset: str) -> None:
    """Check that each stored bar lies in one bar of the grid, which an origin that somebody chose is expected to see to.

    Raises:
        BarsError: a bar ends after the bar of the grid in which it opens.
    """
    opens = frame["timestamp"].to_physical().to_numpy()
    # A bar that the next one cuts short ends there, and a day may be an hour shorter.
    ends = source.ends(opens) - (_HOUR if source.is_whole_days else 0)
    lasts = np.minimum(ends, np.append(opens[1:], np.iinfo(np.int64).max)) - 1
    cut = np.flatnonzero(grid.opens_of(lasts) != grid.opens_of(opens))
    if len(cut):
        row = int(cut[0])
        inside = iso(int(grid.opens_of(lasts[[row]])[0]))
        raise BarsError(
            f"the bar of {source} that opens at {iso(int(opens[row]))} is cut by data.origin {grid.origin}, where a bar of "
            f"{grid.timeframe} opens at {inside}; import bars short enough to end there, or leave data.origin out",
            source=asset,
            column="timestamp",
        )


def _read_stored(catalog: Catalog, asset: str, source: Timeframe, opens: TimeRange) -> pl.DataFrame:
    """The stored bars of a window. Columns: timestamp, open, high, low, close, volume."""
    frames = [_rows_of(catalog, p, opens) for p in catalog.partitions(asset, source, opens)]
    return pl.concat(frames, rechunk=True) if frames else pl.DataFrame()


def _identify_stored(catalog: Catalog, asset: str, source: Timeframe, opens: TimeRange) -> tuple[str, ...]:
    """Return the key under which the stored bars of a window are cached: their catalog, window and files."""
    partitions = catalog.partitions(asset, source, opens)
    return catalog.storage.describe(), str(opens), *(f"{p.path} {p.sha256}" for p in partitions)


# Every timeframe of an asset is built from the same stored bars, which are therefore kept for the latest assets.
_read_stored_cached = cached(
    LRUCache(_SOURCE_BYTES, getsizeof=lambda frame: int(frame.estimated_size())),
    key=_identify_stored,
    lock=Lock(),
)(_read_stored)


def _attach_funding(catalog: Catalog, bars: Bars) -> Bars:
    window = TimeRange(int(bars.timestamp[0]), int(bars.timestamp[-1]) + 1)
    frames = [_rows_of(catalog, p, window) for p in catalog.funding_in(bars.asset, window)]
    # columns: timestamp, rate
    rates = pl.concat([RATES.to_frame(), *frames])
    return replace(bars, funding=rates_at_opens(rates, bars.timestamp))


def _rows_of(catalog: Catalog, partition: Partition, window: TimeRange) -> pl.DataFrame:
    name = catalog.storage.describe(partition.path)
    content = catalog.read_partition(partition)
    frame = decode(content, partition.schema, source=name, where=window.contains("timestamp"))
    try:
        return partition.check(frame, source=name)
    except BarsError:
        partition.check(
            decode(content, partition.schema, source=name), source=name
        )  # names the row in the file, not in the window
        raise
