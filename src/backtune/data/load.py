"""Bars out of a catalog: the one reader."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from backtune.data.bars import COLUMNS, Bars
from backtune.data.catalog import Catalog
from backtune.data.funding import RATES, rates_at_opens
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
    *,
    funding: bool = False,
) -> Bars:
    """The bars of an asset that lie wholly in [start, end).

    Args:
        root: a catalog's folder, or ``s3://bucket/prefix``.
        timeframe: such as ``15m``; built from the finest stored one that divides it where it is not stored.
        start, end: dates, datetimes or ISO text, UTC where no offset is given; None for no bound. A built bar
            that sticks out of the window is left out; at the ends of the data it is built from what there is.
        calendar: ``24/7`` or ``sessions-N``, see :func:`backtune.data.bars.bars_per_year`.
        funding: attach the asset's funding payments, see :func:`backtune.data.funding.rates_at_opens`.

    Raises:
        CatalogError: the catalog, the asset, the timeframe or its funding is not there, or the window has no bars,
            or all of it lies before the first funding payment or after the last.
        FingerprintError: a file is not the one that the manifest describes.
        BarsError: a file cannot be read, or a bar breaks the schema.
        SpecError: a time, the timeframe or the calendar is not one.
    """
    window = Window.of(start, end)
    catalog = Catalog.open(root)
    return _load(catalog, asset, Timeframe.parse(str(timeframe)), window, calendar, funding=funding)


def cached_bars(
    root: str | Path,
    asset: str,
    timeframe: str | Timeframe,
    start: Moment,
    end: Moment,
    calendar: str,
    fingerprint: str,
    *,
    funding: bool = False,
) -> Bars:
    """As :func:`load_bars`, kept in this process up to ``CACHE_BYTES``, the least used given up first.

    Args:
        fingerprint: what :meth:`Catalog.fingerprint` said for this window when the work was planned.

    Raises:
        FingerprintError: the catalog holds other data now than the fingerprint stands for.
    """
    key = (str(root), asset, str(timeframe), str(start), str(end), calendar, fingerprint, str(funding))
    bars = _CACHE.get(key)
    if bars is None:
        catalog = Catalog.open(root)
        found = catalog.fingerprint(asset, timeframe, start, end, funding=funding)
        if found != fingerprint:
            raise FingerprintError(
                f"{catalog.store.describe()}: the bars of {asset} {timeframe} have fingerprint {found[:12]}, "
                f"the work was planned with {fingerprint[:12]}: the data changed meanwhile, or this machine "
                "sees other data; bring the same data here, or start the sweep again"
            )
        window = Window.of(start, end)
        bars = _load(catalog, asset, Timeframe.parse(str(timeframe)), window, calendar, funding=funding)
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


def _load(
    catalog: Catalog, asset: str, target: Timeframe, window: Window, calendar: str, *, funding: bool
) -> Bars:
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
    bars = Bars.from_frame(frame, timeframe=target, calendar=calendar, asset=asset)
    return replace(bars, funding=_funding(catalog, bars)) if funding else bars


def _funding(catalog: Catalog, bars: Bars) -> np.ndarray:
    window = Window(int(bars.timestamp[0]), int(bars.timestamp[-1]) + 1)
    frames = [_rows_of(catalog, p, window) for p in catalog.funding_in(bars.asset, window)]
    # columns: timestamp, rate
    return rates_at_opens(pl.concat([RATES.to_frame(), *frames]), bars.timestamp)


def _rows_of(catalog: Catalog, partition: Partition, window: Window) -> pl.DataFrame:
    name = catalog.store.describe(partition.path)
    content = catalog.read_partition(partition)
    frame = decode(content, partition.schema, source=name, where=window.contains("timestamp"))
    try:
        return partition.check(frame, source=name)
    except BarsError:
        partition.check(
            decode(content, partition.schema, source=name), source=name
        )  # names the row in the file, not in the window
        raise


def _n_bytes(bars: Bars) -> int:
    columns = (*(getattr(bars, name) for name in COLUMNS), bars.funding)
    return sum(column.nbytes for column in columns if column is not None)
