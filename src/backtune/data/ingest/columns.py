"""The parts that the columns of a table play."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from backtune.errors import SpecError

PARTS: Final = ("time", "open", "high", "low", "close", "volume", "symbol")


@dataclass(frozen=True)
class ColumnRoles:
    """The columns of a sheet by the part that they play; numbers are positions.

    Attributes:
        times: Candidates for the time, the best first: one column, or those of the date and the time of day.
        prices: The columns of open, high, low and close.
        volumes: Candidates for the volume, the best first.
        adjusted: The columns of the adjusted open, high, low and close, or of the close alone, or none.
        adjusted_volume: The column of the adjusted volume.
        split, dividend: The columns of split ratios and of cash dividends.
        symbol: The column of the asset's name.
        period: The column of the bars' length.
        zone: The column of zones or offsets.
        volume_parts: The columns whose sum is the volume.
        is_raw: True if the prices beside dividends are as they were traded.
        is_fixed_point: True if prices are whole numbers of billionths, as Databento writes them.
        end_time: The column of the bars' ends.
        stamps_are_ends: True if the times are those at which bars end.
        notes: Remarks on choices that were not plain.
    """

    times: tuple[tuple[int, ...], ...]
    prices: tuple[int, ...]
    volumes: tuple[int, ...] = ()
    adjusted: tuple[int, ...] = ()
    adjusted_volume: int | None = None
    split: int | None = None
    dividend: int | None = None
    symbol: int | None = None
    period: int | None = None
    zone: int | None = None
    volume_parts: tuple[int, ...] = ()
    is_raw: bool = False
    is_fixed_point: bool = False
    end_time: int | None = None
    stamps_are_ends: bool = False
    notes: tuple[str, ...] = field(default=())


def parse_columns(text: str) -> dict[str, str]:
    """Read ``time=Date,open=First``: parts, and the name or the number (from 1) of their columns.

    Raises:
        SpecError: An entry is not of that form, or names a part that there is not.
    """
    chosen: dict[str, str] = {}
    for entry in text.split(","):
        part, equals, name = (piece.strip() for piece in entry.partition("="))
        if not equals or not name or part not in PARTS:
            raise SpecError(
                "columns",
                f"{entry.strip()!r} does not name a column; write time=NAME, or time=DATE+CLOCK for two of them",
                value=entry,
                allowed=PARTS,
            )
        chosen[part] = name
    return chosen
