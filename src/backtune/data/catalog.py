"""The catalog: market data as Parquet files in a fixed layout, with a manifest that vouches for each.

::

    <root>/manifest.json
    <root>/asset=BTCUSD/timeframe=1m/year=2018/bars.parquet
    <root>/asset=BTCUSD/funding/year=2018/rates.parquet        where funding was imported
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from backtune.data.bar_grid import BarGrid
from backtune.data.funding import RATES, check_rates
from backtune.data.manifest import (
    MANIFEST,
    Manifest,
    Partition,
    Provenance,
    add_source,
    digest,
    partition_path,
    series_key,
)
from backtune.data.merge import check_spacing, merge
from backtune.data.parquet import decode, encode
from backtune.data.schema import SCHEMA, check_bars
from backtune.data.window import ALL_TIME, Moment, TimeRange, iso, to_datetime, to_microseconds
from backtune.errors import CatalogError, FingerprintError
from backtune.spec import hash_content
from backtune.spec.origin import UTC_MIDNIGHT, Origin
from backtune.spec.timeframe import Timeframe
from backtune.storage.storage import Storage, open_storage

_MEND: Final = "restore it from a copy, or import its source again with --replace"


@dataclass(frozen=True)
class StoredBars:
    """Stored bars beside new ones.

    Attributes:
        frame: the stored bars of the years that the new ones are of, in the schema.
        first, last: the open time of the first stored bar of all years, and the end of the last.
    """

    frame: pl.DataFrame
    first: datetime
    last: datetime


class Catalog:
    """The market data below one root.

    What it answers comes from the manifest as it was when the catalog was opened; only ``read_partition``
    and ``write`` touch other files.
    """

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self.storage = storage
        self._take(manifest)

    @classmethod
    def open(cls, root: str | Path) -> Catalog:
        """Open what is there.

        Raises:
            CatalogError: there is no manifest, or it cannot be read.
        """
        storage = open_storage(root)
        manifest = _read_manifest(storage)
        if manifest is None:
            raise CatalogError(
                f"{storage.describe()}: holds no market data (no {MANIFEST}); bring some in with "
                f"`backtune data import FILE --root {root}`, or make a synthetic market with "
                f"`backtune data make --root {root}`"
            )
        return cls(storage, manifest)

    @classmethod
    def open_or_create(cls, root: str | Path) -> Catalog:
        """Open what is there, or an empty catalog to write to. Nothing is created before the first write."""
        storage = open_storage(root)
        return cls(storage, _read_manifest(storage) or Manifest())

    def assets(self) -> list[str]:
        """Names of those with bars, sorted."""
        return sorted(asset for asset, series in self._series.items() if set(series) != {None})

    def assets_with_funding(self) -> list[str]:
        """Names of those with funding payments, sorted."""
        return sorted(asset for asset, series in self._series.items() if None in series)

    def timeframes(self, asset: str) -> list[Timeframe]:
        """The stored timeframes of an asset, finest first.

        Raises:
            CatalogError: the asset is not there.
        """
        stored = [timeframe for timeframe in self._series.get(asset, {}) if timeframe is not None]
        if not stored:
            close = difflib.get_close_matches(asset, self.assets(), n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            known = ", ".join(self.assets()) or "none"
            raise CatalogError(f"{self.storage.describe()}: no asset {asset!r}{hint}; there are: {known}")
        return sorted(stored)

    def source_timeframe(self, asset: str, timeframe: Timeframe | str) -> Timeframe:
        """The stored timeframe to read for ``timeframe``: itself, or the finest one that divides it.

        Raises:
            CatalogError: no stored timeframe divides it, or the asset is not there.
        """
        target = Timeframe.parse(timeframe)
        stored = self.timeframes(asset)
        if target in stored:
            return target
        for candidate in stored:
            if candidate.divides(target):
                return candidate
        possible = "whole multiples of these can be built"
        if target.months:
            possible = "months can be built from bars that divide a day, or from months that divide them"
        raise CatalogError(
            f"{self.storage.describe()}: {asset} has no bars of {target}, and they cannot be built; stored: "
            f"{', '.join(map(str, stored))}; {possible}"
        )

    def partitions(
        self, asset: str, timeframe: Timeframe | None, window: TimeRange = ALL_TIME
    ) -> list[Partition]:
        """Return the files of a stored timeframe, or without one of the funding payments, that have rows in the window.

        They are in time order; there are none where nothing is stored.
        """
        # A payment is a moment, so that the last one lies at the very end of its file.
        last = 1 if timeframe is None else 0
        series = self._series.get(asset, {}).get(timeframe, [])
        return [p for p in series if window.overlaps(p.start, p.end + last)]

    def funding(self, asset: str) -> list[Partition]:
        """The files of an asset's funding payments, in time order.

        Raises:
            CatalogError: there are none.
        """
        found = self.partitions(asset, None)
        if not found:
            root = self.storage.describe()
            raise CatalogError(
                f"{root}: {asset} has no funding payments; bring some in with "
                f"`backtune data import FILE --funding --asset {asset} --root {root}`"
            )
        return found

    def funding_in(self, asset: str, window: TimeRange) -> list[Partition]:
        """The files of an asset's funding payments in the window, in time order; none if it lies between two payments.

        Raises:
            CatalogError: there are no payments, or the window lies before the first or after the last.
        """
        series = self.funding(asset)
        if not window.overlaps(series[0].start, series[-1].end + 1):
            raise CatalogError(
                f"{self.storage.describe()}: {asset} has no funding payments in {window}; there are some from "
                f"{iso(series[0].start)} to {iso(series[-1].end)}"
            )
        return self.partitions(asset, None, window)

    def sources(self, asset: str, timeframe: Timeframe | None) -> tuple[Provenance, ...]:
        """Return the sources of the rows of a stored timeframe, or without one of the funding payments; the oldest import first."""
        return self._sources.get(series_key(asset, timeframe), ())

    def stored_bars(self, asset: str, timeframe: Timeframe, frame: pl.DataFrame) -> StoredBars | None:
        """The stored bars of the years of ``frame``, None where nothing is stored; damaged files are left out."""
        partitions = self.partitions(asset, timeframe)
        if not partitions:
            return None
        paths = {partition_path(asset, timeframe, year) for year in frame["timestamp"].dt.year().unique()}
        frames = [SCHEMA.to_frame()]
        for partition in partitions:
            if partition.path in paths:
                with contextlib.suppress(CatalogError, FingerprintError):
                    frames.append(decode(self.read_partition(partition), source=partition.path))
        return StoredBars(
            pl.concat(frames), to_datetime(partitions[0].start), to_datetime(max(p.end for p in partitions))
        )

    def all_partitions(self) -> list[Partition]:
        """Every file of the catalog, by path."""
        return sorted(self._partitions.values(), key=lambda partition: partition.path)

    def fingerprint(
        self,
        asset: str,
        timeframe: Timeframe | str,
        start: Moment = None,
        end: Moment = None,
        *,
        funding: bool = False,
        origin: Origin = UTC_MIDNIGHT,
    ) -> str:
        """SHA-256 over the files that a window needs, with ``funding`` those of the payments too, and the timeframe
        that the bars are read in; where they are built from another origin than the default, over that too.

        The same for the same data under any root. Bars added outside of the window's years do not change it.
        """
        target, source = Timeframe.parse(timeframe), self.source_timeframe(asset, timeframe)
        window = TimeRange.of(start, end).opens(target, source, origin)
        needed = self.partitions(asset, source, window)
        content: dict[str, object] = {
            "source_timeframe": str(source),
            "files": {p.path: p.sha256 for p in needed},
        }
        if target != source and origin != UTC_MIDNIGHT:
            content["origin"] = str(origin)
        if funding:
            content["funding"] = {p.path: p.sha256 for p in self.funding_in(asset, window)}
        return hash_content(content)

    def span(self, asset: str, timeframe: Timeframe | str) -> tuple[datetime, datetime]:
        """Open time of the first stored bar that serves ``timeframe``, and the end of the last."""
        partitions = self.partitions(asset, self.source_timeframe(asset, timeframe))
        return to_datetime(partitions[0].start), to_datetime(max(p.end for p in partitions))

    def span_of_bars(
        self, asset: str, timeframe: Timeframe | str, origin: Origin = UTC_MIDNIGHT
    ) -> tuple[datetime, datetime]:
        """Open of the first bar of ``timeframe`` and end of the last, where both may be built from a part of their time.

        A window with these bounds has the bars that one without bounds has.
        """
        target, source = Timeframe.parse(timeframe), self.source_timeframe(asset, timeframe)
        first, end = self.span(asset, source)
        if target == source:
            return first, end
        grid = BarGrid(target, origin)
        return to_datetime(grid.floor(to_microseconds(first))), to_datetime(grid.ceil(to_microseconds(end)))

    def rows(self, asset: str, timeframe: Timeframe | str, start: Moment = None, end: Moment = None) -> int:
        """About how many bars of ``timeframe`` a window has, for planning; reads no file.

        Exact where bars are stored without gaps; where bars are built over gaps it is an upper bound.
        """
        target, source = Timeframe.parse(timeframe), self.source_timeframe(asset, timeframe)
        window = TimeRange.of(start, end)
        partitions = self.partitions(asset, source, window)
        total = 0.0
        for i, p in enumerate(partitions):
            first, last = window.clip(p.start, p.end)
            stored = p.rows * (last - first) / (p.end - p.start)
            if target != source:
                # Where the data begins or ends within a bar, the bar counts whole.
                grid = BarGrid(target)
                opens_at = grid.floor(first) if i == 0 else first
                ends_at = grid.ceil(last) if i == len(partitions) - 1 else last
                first, last = window.clip(opens_at, ends_at)
            total += min(stored, (last - first) / target.microseconds)
        return round(total)

    def read_partition(self, partition: Partition) -> bytes:
        """The content of a file, verified against the manifest.

        Raises:
            FingerprintError: the file is not the one that the manifest describes.
            CatalogError: the file is not there, or cannot be read.
        """
        name = self.storage.describe(partition.path)
        content = self.storage.read(partition.path)
        if content is None:
            raise CatalogError(f"{name}: is in the manifest but not there; {_MEND}")
        found = digest(content)
        if found != partition.sha256:
            raise FingerprintError(
                f"{name}: SHA-256 is {found[:12]}, the manifest says {partition.sha256[:12]}: the file was "
                f"changed or damaged; {_MEND}"
            )
        return content

    def write(
        self,
        asset: str,
        timeframe: Timeframe | str | None,
        frame: pl.DataFrame,
        *,
        replace: bool = False,
        source: str = "the new rows",
        provenance: Provenance | None = None,
    ) -> list[Partition]:
        """Merge rows into the files of their years, and return the files that changed.

        Rows that are there already with the same values change nothing.

        Args:
            timeframe: The length of the bars; None for funding payments.
            frame: The rows, sorted, in the columns of the schema of bars, or in those of ``RATES``.
            replace: True to take the new values where a row is there with other values, and to write anew a file that
                is damaged or lost.
            source: The name of the frame in messages.
            provenance: The source of the rows, kept in the manifest if they change anything.

        Raises:
            BarsError: A row breaks the schema, bars overlap, or (without ``replace``) a row is there with other values.
            CatalogError: The asset's name is not usable, or the storage cannot be written.
            FingerprintError: A file to merge into is damaged.
        """
        length = None if timeframe is None else Timeframe.parse(timeframe)
        if length is None:
            schema = RATES
            check_rates(frame, source=source)
        else:
            schema = SCHEMA
            check_spacing(check_bars(frame, source=source), length, source=source)
        new = frame.select(schema.names())
        year_of = new["timestamp"].dt.year()
        with self.storage.lock():
            self._settle()
            contents: dict[Partition, bytes] = {}
            for year in year_of.unique().sort():
                path = partition_path(asset, length, year)
                stored = self._stored(path, replace=replace)
                merged = merge(stored, new.filter(year_of == year), replace=replace, source=source)
                if length is not None:
                    check_spacing(merged, length, source=self.storage.describe(path))
                if stored is None or not merged.equals(stored):
                    content = encode(merged, schema)
                    contents[Partition.of(path, merged, content)] = content
            if contents and provenance is not None:
                key = series_key(asset, length)
                self._sources[key] = add_source(self._sources.get(key, ()), provenance)
            self._commit(contents)
        return list(contents)

    def settle(self) -> None:
        """Finish in the manifest what an interrupted write left, and remove its temporary files."""
        if self.storage.exists(MANIFEST):
            with self.storage.lock():
                self._settle()

    def _settle(self) -> None:
        self.storage.remove_leftovers()
        manifest = _stored_manifest(self.storage) or Manifest()
        settled = _sorted_out(self.storage, manifest)
        self._take(settled)
        for path in manifest.pending:
            self.storage.remove_leftovers(path.rpartition("/")[0])
        if manifest.pending:
            self.storage.write(MANIFEST, settled.to_bytes(), is_durable=True)

    def _stored(self, path: str, *, replace: bool) -> pl.DataFrame | None:
        """The rows to merge with; a damaged file has none worth keeping when it is being replaced."""
        partition = self._partitions.get(path)
        if partition is None:
            return None
        try:
            return decode(
                self.read_partition(partition), partition.schema, source=self.storage.describe(path)
            )
        except (CatalogError, FingerprintError):
            if replace:
                return None
            raise

    def _commit(self, contents: Mapping[Partition, bytes]) -> None:
        """Announce in the manifest, write the files, then record them as done.

        Cut off at any point, each file is either as before or as announced, and ``_read_manifest`` tells which.
        """
        if not contents:
            return
        pending = {partition.path: partition for partition in contents}
        self.storage.write(
            MANIFEST, Manifest(self._partitions, pending, self._sources).to_bytes(), is_durable=True
        )
        for partition, content in contents.items():
            self.storage.write(partition.path, content, is_durable=True)
        done = Manifest({**self._partitions, **pending}, {}, self._sources)
        self._take(done)
        self.storage.write(MANIFEST, done.to_bytes(), is_durable=True)

    def _take(self, manifest: Manifest) -> None:
        """Keep the files of the catalog, by path, and by asset and timeframe in time order."""
        partitions = manifest.files
        self._partitions = dict(partitions)
        self._sources = dict(manifest.sources)
        self._series: dict[str, dict[Timeframe | None, list[Partition]]] = {}
        for partition in sorted(partitions.values(), key=lambda partition: partition.start):
            self._series.setdefault(partition.asset, {}).setdefault(partition.timeframe, []).append(partition)


def _read_manifest(storage: Storage) -> Manifest | None:
    """The manifest of the catalog, or None without one. What an interrupted write left is sorted out."""
    manifest = _stored_manifest(storage)
    return None if manifest is None else _sorted_out(storage, manifest)


def _stored_manifest(storage: Storage) -> Manifest | None:
    content = storage.read(MANIFEST)
    return None if content is None else Manifest.from_bytes(content, source=storage.describe(MANIFEST))


def _sorted_out(storage: Storage, manifest: Manifest) -> Manifest:
    """The manifest with the files as they are: those of a write that was cut off are as before, or as it announced them."""
    partitions = dict(manifest.files)
    for path, announced in manifest.pending.items():
        written = storage.read(path)
        if written is not None and digest(written) == announced.sha256:
            partitions[path] = announced
    return Manifest(partitions, {}, manifest.sources)
