"""Bars out of a catalog: the one reader."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

import polars as pl

from backtune.data.bars import COLUMNS, Bars, check_bars
from backtune.data.catalog import Catalog
from backtune.data.manifest import Partition
from backtune.data.parquet import decode
from backtune.data.resample import resample
from backtune.data.window import Moment, Window, iso, to_microseconds
from backtune.errors import BarsError, CatalogError, FingerprintError
from backtune.timeframe import Timeframe

CACHE_BYTES: Final = 2**30


def load_bars(
    root: str | Path,
    asset: str,
    timeframe: str | Timeframe,
    start: Moment = None,
    end: Moment = None,
    calendar: str = "24/7",
) -> Bars:
    """The bars of an asset that lie wholly in [start, end).

    Args:
        root: a catalog's folder, or ``s3://bucket/prefix``.
        timeframe: such as ``15m``; built from the finest stored one that divides it where it is not stored.
        start, end: dates, datetimes or ISO text, UTC where no offset is given; None for no bound. A built bar
            that sticks out of the window is left out; at the ends of the data it is built from what there is.
        calendar: ``24/7`` or ``sessions-N``, see :func:`backtune.data.bars.bars_per_year`.

    Raises:
        CatalogError: the catalog, the asset or the timeframe is not there, or the window has no bars.
        FingerprintError: a file is not the one that the manifest describes.
        BarsError: a file cannot be read, or a bar breaks the schema.
        SpecError: a time, the timeframe or the calendar is not one.
    """
    return _load(Catalog.open(root), asset, Timeframe.parse(str(timeframe)), Window.of(start, end), calendar)


def cached_bars(
    root: str | Path,
    asset: str,
    timeframe: str | Timeframe,
    start: Moment,
    end: Moment,
    calendar: str,
    fingerprint: str,
) -> Bars:
    """As :func:`load_bars`, kept in this process up to ``CACHE_BYTES``, the least used given up first.

    Args:
        fingerprint: what :meth:`Catalog.fingerprint` said for this window when the work was planned.

    Raises:
        FingerprintError: the catalog holds other data now than the fingerprint stands for.
    """
    key = (str(root), asset, str(timeframe), str(start), str(end), calendar, fingerprint)
    bars = _CACHE.get(key)
    if bars is None:
        catalog = Catalog.open(root)
        found = catalog.fingerprint(asset, timeframe, start, end)
        if found != fingerprint:
            raise FingerprintError(
                f"{catalog.store.describe()}: the bars of {asset} {timeframe} have fingerprint {found[:12]}, "
                f"the work was planned with {fingerprint[:12]}: the data changed meanwhile, or this machine "
                "sees other data; bring the same data here, or start the sweep again"
            )
        bars = _load(catalog, asset, Timeframe.parse(str(timeframe)), Window.of(start, end), calendar)
        _CACHE.put(key, bars)
    return bars


class BarsCache:
    """Bars by key, up to a number of bytes. Safe to use from several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._entries: OrderedDict[tuple[str, ...], Bars] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...]) -> Bars | None:
        """The bars under a key, which become the most recently used, or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: tuple[str, ...], bars: Bars) -> None:
        """Keep bars, unless they alone exceed the limit."""
        size = _n_bytes(bars)
        with self._lock:
            if key in self._entries or size > self._limit:
                return
            self._entries[key] = bars
            self._bytes += size
            while self._bytes > self._limit:
                _, given_up = self._entries.popitem(last=False)
                self._bytes -= _n_bytes(given_up)

    def clear(self) -> None:
        """Give up everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return self._bytes


_CACHE: Final = BarsCache(CACHE_BYTES)


def _load(catalog: Catalog, asset: str, target: Timeframe, window: Window, calendar: str) -> Bars:
    source = catalog.source_timeframe(asset, target)
    opens = window.opens(target, source)
    frames = [_rows_of(catalog, p, opens) for p in catalog.partitions_in(asset, source, opens)]
    if sum(frame.height for frame in frames) == 0:
        first, end = (iso(to_microseconds(moment)) for moment in catalog.span(asset, source))
        raise CatalogError(
            f"{catalog.store.describe()}: {asset} has no whole bars of {target} in {window}; there are bars of "
            f"{source} from {first} to {end}"
        )
    # columns: timestamp, open, high, low, close, volume
    frame = pl.concat(frames, rechunk=True)
    if target != source:
        frame = resample(frame, target)
    return Bars.from_frame(frame, timeframe=target, calendar=calendar, asset=asset)


def _rows_of(catalog: Catalog, partition: Partition, window: Window) -> pl.DataFrame:
    name = catalog.store.describe(partition.path)
    content = catalog.read_partition(partition)
    frame = decode(content, source=name, where=window.contains("timestamp"))
    try:
        return check_bars(frame, source=name)
    except BarsError:
        check_bars(decode(content, source=name), source=name)  # names the row in the file, not in the window
        raise


def _n_bytes(bars: Bars) -> int:
    return sum(getattr(bars, name).nbytes for name in COLUMNS)
