"""The numbers of a sheet: its marks, its volume, and what adjusts its prices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from backtune.data.ingest.columns import ColumnRoles
from backtune.data.ingest.numbers import (
    Convention,
    Decimal,
    find_convention,
    is_explicitly_none,
    read_numbers,
)
from backtune.data.ingest.sheet import SourceRows
from backtune.data.schema import PRICES

# A second volume is taken for the first where it has so many fewer empty bars, as a share of all.
_FEWER_ZEROS: Final = 0.01


@dataclass(frozen=True)
class NumberReader:
    """The reader of a sheet's number columns."""

    sheet: SourceRows
    convention: Convention

    def read(self, at: int, role: str) -> pl.Series:
        return read_numbers(
            self.sheet.frame.to_series(at), self.convention, source=self.sheet.source, role=role
        )


def find_sheet_convention(sheet: SourceRows, columns: ColumnRoles, chosen: Decimal | None) -> Convention:
    """Decide the marks of the numbers from prices and volumes together, see :func:`find_convention`."""
    prices = [sheet.frame.to_series(at) for at in dict.fromkeys(columns.prices)]
    volumes = [sheet.frame.to_series(at) for at in columns.volumes]
    return find_convention(prices, volumes, source=sheet.source, chosen=chosen)


def read_volume(
    sheet: SourceRows, columns: ColumnRoles, numbers: NumberReader
) -> tuple[pl.Series, str, tuple[str, ...]]:
    """Return the volume with the fewest empty bars, what it is, and remarks.

    Cells that say that there is no volume, and columns without any, are 0; other empty cells stay null.
    """
    if not columns.volumes and columns.volume_parts:
        first, second = (numbers.read(at, "volume") for at in columns.volume_parts)
        return first + second, " + ".join(sheet.name_of(at) for at in columns.volume_parts), ()
    if not columns.volumes:
        zeros = pl.zeros(sheet.frame.height, dtype=pl.Float64, eager=True)
        return zeros, "none in the file: 0", ()
    read = [numbers.read(at, "volume") for at in columns.volumes]
    none = [is_explicitly_none(sheet.frame.to_series(at)) for at in columns.volumes]
    empty = [float((v.fill_null(0.0) == 0).mean() or 0.0) for v in read]  # type: ignore[arg-type]
    best = 0
    for i in range(1, len(read)):
        if empty[i] < empty[best] - _FEWER_ZEROS:
            best = i
    volume, name = read[best], sheet.name_of(columns.volumes[best])
    said = name
    if len(read) > 1:
        others = [
            f"{sheet.name_of(at)} ({empty[i]:.0%})" for i, at in enumerate(columns.volumes) if i != best
        ]
        said = f"{name} (empty in {empty[best]:.0%} of the bars) rather than {' or '.join(others)}"
    if volume.is_null().all():
        return volume.fill_null(0.0), f"{name} is empty: 0", ()
    explicit = int((none[best] & volume.is_null()).sum())
    if explicit:
        volume = pl.select(pl.when(none[best]).then(volume.fill_null(0.0)).otherwise(volume)).to_series()
        return volume, said, (f"{explicit} bars without a volume, as the file says: 0",)
    return volume, said, ()


def read_actions(columns: ColumnRoles, numbers: NumberReader) -> Iterator[pl.Series]:
    """Yield the columns that adjust prices, as ``_adjusted_open`` and so on, ``_adjusted_volume``, ``_split`` and ``_dividend``."""
    parts = PRICES if len(columns.adjusted) > 1 else ("close",)
    named = [
        *zip(columns.adjusted, (f"_adjusted_{part}" for part in parts), strict=False),
        (columns.adjusted_volume, "_adjusted_volume"),
        (columns.split, "_split"),
        (columns.dividend, "_dividend"),
    ]
    for at, name in named:
        if at is None:
            continue
        values = numbers.sheet.frame.to_series(at)
        if name == "_split" and values.dtype == pl.String:
            values = _ratios_from_text(values)
        role = numbers.sheet.names[at]
        yield read_numbers(values, numbers.convention, source=numbers.sheet.source, role=role).alias(name)


def _ratios_from_text(values: pl.Series) -> pl.Series:
    """Write ``4:1`` and ``4/1`` as their quotient."""
    parts = values.str.extract_groups(r"^\s*([\d.]+)\s*[:/]\s*([\d.]+)\s*$").struct.unnest().cast(pl.Float64)
    quotient = (parts.to_series(0) / parts.to_series(1)).cast(pl.String)
    return pl.select(pl.coalesce(quotient, values)).to_series()
