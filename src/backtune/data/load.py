"""Bars out of a catalog: the one reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from backtune.data.bars import Bars
from backtune.data.cache import ByteCache
from backtune.data.catalog import Catalog
from backtune.data.funding import RATES, rates_at_opens
from backtune.data.manifest import Partition
from backtune.data.parquet import decode
from backtune.data.resample import resample
from backtune.data.schema import COLUMNS, check_bars
from backtune.data.window import Moment, Window, iso, to_microseconds
from backtune.errors import BarsError, CatalogError, FingerprintError
from backtune.timeframe import Timeframe

CACHE_BYTES: Final = 2**30
_SOURCE_BYTES: Final = 192 * 2**20


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
    target = Timeframe.parse(str(timeframe))
    return _load(catalog, asset, target, window, calendar, funding=funding, keep=False)


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
        target = Timeframe.parse(str(timeframe))
        bars = _load(catalog, asset, target, window, calendar, funding=funding, keep=True)
        _CACHE.put(key, bars)
    return bars


def _n_bytes(bars: Bars) -> int:
    columns = (*(getattr(bars, name) for name in COLUMNS), bars.funding)
    return sum(column.nbytes for column in columns if column is not None)


_CACHE: Final = ByteCache(CACHE_BYTES, _n_bytes)
# What is stored of the latest assets: every timeframe of an asset is built from the same bars.
_SOURCES: Final = ByteCache[pl.DataFrame](_SOURCE_BYTES, lambda frame: int(frame.estimated_size()))


def _load(
    catalog: Catalog,
    asset: str,
    target: Timeframe,
    window: Window,
    calendar: str,
    *,
    funding: bool,
    keep: bool,
) -> Bars:
    source = catalog.source_timeframe(asset, target)
    opens = window.opens(target, source)
    read = _kept if keep else _stored
    frame = read(catalog, asset, source, opens)
    if frame.is_empty():
        first, end = (iso(to_microseconds(moment)) for moment in catalog.span(asset, source))
        raise CatalogError(
            f"{catalog.store.describe()}: {asset} has no whole bars of {target} in {window}; there are bars of "
            f"{source} from {first} to {end}"
        )
    if target != source:
        frame = resample(frame, target)
    bars = Bars.from_checked(check_bars(frame, source=asset), target, calendar=calendar, asset=asset)
    return replace(bars, funding=_funding(catalog, bars)) if funding else bars


def _kept(catalog: Catalog, asset: str, source: Timeframe, opens: Window) -> pl.DataFrame:
    """The stored bars of a window, from this process's cache where they are."""
    partitions = catalog.partitions_in(asset, source, opens)
    key = (catalog.store.describe(), str(opens), *(f"{p.path} {p.sha256}" for p in partitions))
    frame = _SOURCES.get(key)
    if frame is None:
        frame = _stored(catalog, asset, source, opens)
        _SOURCES.put(key, frame)
    return frame


def _stored(catalog: Catalog, asset: str, source: Timeframe, opens: Window) -> pl.DataFrame:
    """The stored bars of a window. Columns: timestamp, open, high, low, close, volume."""
    frames = [_rows_of(catalog, p, opens) for p in catalog.partitions_in(asset, source, opens)]
    return pl.concat(frames, rechunk=True) if frames else pl.DataFrame()


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
