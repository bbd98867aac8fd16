"""The sources of the rows of a series, and the assumptions under which they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backtune.spec.timeframe import Timeframe


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
        return cls(
            name=entry["name"],
            rows=entry.get("rows"),
            start=entry.get("start"),
            end=entry.get("end"),
            sha256=entry.get("sha256"),
            assumed=dict(entry.get("assumed", {})),
            notes=tuple(entry.get("notes", ())),
        )


def series_key(asset: str, timeframe: Timeframe | None) -> str:
    """Return the key of a series in the manifest; without a timeframe that of its funding payments."""
    return f"asset={asset}/{'funding' if timeframe is None else f'timeframe={timeframe}'}"


def add_source(sources: Sequence[Provenance], new: Provenance) -> tuple[Provenance, ...]:
    """Return the sources with a new one, in place of an older one of the same name."""
    return (*(source for source in sources if source.name != new.name), new)
