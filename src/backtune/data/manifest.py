"""The manifest: the content and the SHA-256 of a catalog's files, and the sources of their rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

from backtune.data.funding import RATES, check_rates
from backtune.data.schema import SCHEMA, check_bars
from backtune.data.window import iso, to_microseconds
from backtune.errors import CatalogError
from backtune.spec.timeframe import Timeframe

MANIFEST: Final = "manifest.json"
_VERSION: Final = 1
_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_BARS: Final = r"timeframe=([1-9]\d*(?:mo|[smhdwy]))/year=\d{4}/bars\.parquet"
_RATES: Final = r"funding/year=\d{4}/rates\.parquet"
_PATH = re.compile(rf"asset=({_NAME})/(?:{_BARS}|{_RATES})")


@dataclass(frozen=True)
class Partition:
    """One file of a catalog: the bars of an asset in a timeframe that open in one year, or its funding payments.

    Attributes:
        path: below the catalog's root.
        start: open time of the first bar, or time of the first payment; microseconds since the epoch.
        end: The end of the last bar, or the time of the last payment.
        sha256, n_bytes: The digest and the size of the file's content.
    """

    path: str
    rows: int
    start: int
    end: int
    sha256: str
    n_bytes: int

    @classmethod
    def of(cls, path: str, frame: pl.DataFrame, content: bytes) -> Partition:
        """The entry for ``frame`` (sorted, not empty) written as ``content``."""
        opens, timeframe = frame["timestamp"].to_physical(), _timeframe_in(path)
        last = int(opens[-1])
        return cls(
            path,
            rows=frame.height,
            start=int(opens[0]),
            end=timeframe.end_of(last) if timeframe else last,
            sha256=digest(content),
            n_bytes=len(content),
        )

    @property
    def asset(self) -> str:
        return _match(self.path)[1]

    @property
    def timeframe(self) -> Timeframe | None:
        """Return the timeframe of the bars; None for funding payments."""
        return _timeframe_in(self.path)

    @property
    def schema(self) -> pl.Schema:
        """Return the schema of the file."""
        return RATES if self.timeframe is None else SCHEMA

    def check(self, frame: pl.DataFrame, *, source: str) -> pl.DataFrame:
        """Return rows of the file unchanged if they obey the rules.

        Raises:
            BarsError: names the first violation's row and column.
        """
        return (check_rates if self.timeframe is None else check_bars)(frame, source=source)

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "start": iso(self.start),
            "end": iso(self.end),
            "sha256": self.sha256,
            "bytes": self.n_bytes,
        }

    @classmethod
    def from_json(cls, path: str, entry: Mapping[str, Any]) -> Partition:
        _match(path)
        start, end = (to_microseconds(datetime.fromisoformat(entry[key])) for key in ("start", "end"))
        return cls(path, int(entry["rows"]), start, end, str(entry["sha256"]), int(entry["bytes"]))


@dataclass(frozen=True)
class Provenance:
    """One file, or one download, that gave rows to a series.

    Attributes:
        name: The name of the file without its folder, or of the exchange, symbol and timeframe.
        sha256: The SHA-256 of the file's bytes, None where there is no file.
        rows: The number of rows that it holds, None for a download, which comes in parts.
        start, end: The times of its first and its last row, in ISO; None for a download.
        assumed: The assumptions under which it was read, by subject.
        notes: Remarks on how it was read and what was mended.
    """

    name: str
    rows: int | None = None
    start: str | None = None
    end: str | None = None
    sha256: str | None = None
    assumed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data for the manifest, without what is empty."""
        plain = {**vars(self), "assumed": dict(self.assumed), "notes": list(self.notes)}
        return {key: value for key, value in plain.items() if value not in (None, {}, [])}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Provenance:
        """Read what :meth:`to_json` wrote."""
        return cls(**{**entry, "notes": tuple(entry.get("notes", ()))})


@dataclass(frozen=True)
class Manifest:
    """The files of a catalog by path.

    Attributes:
        files: The files as they were when the last write ended.
        pending: The files as a write that has begun will leave them. Both are recorded before a file changes, so that
            a crash at any moment leaves files that match one of the two.
        sources: The sources of the rows of each series, by :func:`series_key`.
    """

    files: Mapping[str, Partition] = field(default_factory=dict)
    pending: Mapping[str, Partition] = field(default_factory=dict)
    sources: Mapping[str, tuple[Provenance, ...]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        document: dict[str, Any] = {"version": _VERSION, "files": _entries(self.files)}
        if self.pending:
            document["pending"] = _entries(self.pending)
        if self.sources:
            document["sources"] = {
                key: [source.to_json() for source in self.sources[key]] for key in sorted(self.sources)
            }
        return (json.dumps(document, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes, *, source: str) -> Manifest:
        """Read a manifest.

        Raises:
            CatalogError: it is not one, or of another version.
        """
        try:
            document = json.loads(content)
            if document["version"] != _VERSION:
                raise CatalogError(
                    f"{source}: is of version {document['version']}, this backtune reads {_VERSION}; "
                    "import the data again into a new folder"
                )
            sections = (document["files"], document.get("pending", {}))
            files, pending = (
                {path: Partition.from_json(path, entry) for path, entry in section.items()}
                for section in sections
            )
            sources = {
                key: tuple(Provenance.from_json(entry) for entry in entries)
                for key, entries in document.get("sources", {}).items()
            }
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise CatalogError(
                f"{source}: is not a manifest ({type(error).__name__}: {error}); "
                "restore it from a copy, or remove it and import the data again"
            ) from error
        return cls(files, pending, sources)


def is_asset_name(text: str) -> bool:
    """Tell whether an asset can have this name in a catalog."""
    return re.fullmatch(_NAME, text) is not None


def partition_path(asset: str, timeframe: Timeframe | None, year: int) -> str:
    """Return the path, below a catalog's root, of the bars of a year, or without a timeframe of its funding payments.

    Raises:
        CatalogError: the name cannot be that of an asset.
    """
    if not is_asset_name(asset):
        raise CatalogError(
            f"{asset!r} cannot name an asset; use up to 64 letters, digits, '.', '_' and '-', as in BTCUSD"
        )
    if timeframe is None:
        return f"asset={asset}/funding/year={year:04d}/rates.parquet"
    return f"asset={asset}/timeframe={timeframe}/year={year:04d}/bars.parquet"


def series_key(asset: str, timeframe: Timeframe | None) -> str:
    """Return the key of a series in the manifest; without a timeframe that of its funding payments."""
    return f"asset={asset}/{'funding' if timeframe is None else f'timeframe={timeframe}'}"


def add_source(sources: Sequence[Provenance], new: Provenance) -> tuple[Provenance, ...]:
    """Return the sources with a new one, in place of an older one of the same name."""
    return (*(source for source in sources if source.name != new.name), new)


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _entries(partitions: Mapping[str, Partition]) -> dict[str, Any]:
    return {path: partitions[path].to_json() for path in sorted(partitions)}


def _timeframe_in(path: str) -> Timeframe | None:
    text = _match(path)[2]
    return None if text is None else Timeframe.parse(text)


def _match(path: str) -> re.Match[str]:
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"{path!r} is not the path of a partition")
    return match
