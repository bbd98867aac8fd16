"""The columns of a sheet, read: its times in the zone that the file or the user states, its volume, and what adjusts its prices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from backtune.data.ingest.clocks import join_date_and_clock
from backtune.data.ingest.columns import ColumnRoles
from backtune.data.ingest.named_columns import find_clock_beside
from backtune.data.ingest.numbers import (
    Convention,
    Decimal,
    find_convention,
    is_explicitly_none,
    read_numbers,
)
from backtune.data.ingest.sheet import SourceRows
from backtune.data.ingest.times import DateOrder, read_times
from backtune.data.ingest.understood_times import Times
from backtune.data.ingest.zones import Zone
from backtune.data.schema import PRICES
from backtune.errors import BarsError, SpecError

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
            # 4:1 and 4/1 are written as their quotient.
            ratio = (
                values.str.extract_groups(r"^\s*([\d.]+)\s*[:/]\s*([\d.]+)\s*$")
                .struct.unnest()
                .cast(pl.Float64)
            )
            quotient = (ratio.to_series(0) / ratio.to_series(1)).cast(pl.String)
            values = pl.select(pl.coalesce(quotient, values)).to_series()
        role = numbers.sheet.names[at]
        yield read_numbers(values, numbers.convention, source=numbers.sheet.source, role=role).alias(name)


def read_first_times(
    sheet: SourceRows,
    candidates: Sequence[tuple[int, ...]],
    *,
    zone: Zone | None,
    zone_column: int | None = None,
    date_order: DateOrder | None = None,
) -> tuple[Times, dict[str, str]]:
    """Read the first candidate that holds times, and say what it is.

    Args:
        candidates: Columns that may hold times, the best first; two are a date and a time of day.
        zone: The zone that the user chose for times that carry none.
        zone_column: The column of zones or offsets.

    Returns:
        The times, and what is assumed of them by subject.

    Raises:
        BarsError: No candidate holds times; tells why of the first. Or a time of day beside a date is not understood.
    """
    first_error: BarsError | None = None
    zone = zone or _stated_zone(sheet, zone_column)
    for at in candidates:
        values = sheet.frame.to_series(at[0])
        try:
            if len(at) == 2:
                values = join_date_and_clock(values, sheet.frame.to_series(at[1]), source=sheet.source)
            times = read_times(values, source=sheet.source, zone=zone, date_order=date_order)
        except BarsError as error:
            first_error = first_error or error
        else:
            clock = find_clock_beside(sheet, at) if times.is_date and sheet.has_header else None
            if clock is not None and sheet.frame.to_series(clock).drop_nulls().n_unique() > 1:
                raise BarsError(
                    f"{sheet.name_of(at[0])} holds dates, and the times of day in {sheet.name_of(clock)} are not "
                    "understood; say which columns hold the time with --columns time=DATE+CLOCK",
                    source=sheet.source,
                    column=sheet.names[clock],
                )
            names = " and ".join(sheet.name_of(position) for position in at)
            return times, {"time": f"{names}, {times.form}", "zone": times.zone}
    assert first_error is not None  # noqa: S101
    raise first_error


def _stated_zone(sheet: SourceRows, at: int | None) -> Zone | None:
    """Return the zone that a file states beside its times: in a column, behind the name of a column, or in its head.

    Raises:
        BarsError: A column of zones or offsets has several, or one that is not known.
    """
    text = sheet.zone
    if at is not None:
        values = sheet.frame.to_series(at).drop_nulls().cast(pl.String).str.strip_chars().unique().sort()
        if len(values) > 1:
            raise BarsError(
                f"states several zones, {', '.join(map(repr, values.head(4)))}; write times with their offsets, or pass "
                "--timezone for all of them",
                source=sheet.source,
                column=sheet.names[at],
            )
        text = str(values[0]) if len(values) else text
    if text is None:
        return None
    try:
        return Zone.parse(re.sub(r"^(\d)", r"+\1", text))
    except SpecError as error:
        raise BarsError(
            f"states a zone that is not known; pass --timezone ({error})", source=sheet.source
        ) from None
