"""The parts of columns by the names that vendors give them, or as the user gives them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from backtune.data.ingest.clocks import looks_like_clocks
from backtune.data.ingest.column_names import (
    ADJUSTED_CLOSE_NAMES,
    CLOCK_NAMES,
    DATE_NAMES,
    DIVIDEND_NAMES,
    END_TIME_NAMES,
    FUNDING_TIME_NAMES,
    INDICATOR_WORDS,
    PERIOD_NAMES,
    PRICE_NAMES,
    RATE_NAMES,
    RAW_DIVIDEND_NAMES,
    SPLIT_NAMES,
    SYMBOL_NAMES,
    TIME_NAMES,
    VOLUME_NAMES,
    VOLUME_PART_NAMES,
    ZONE_NAMES,
)
from backtune.data.ingest.columns import PARTS, ColumnRoles
from backtune.data.ingest.sheet import SourceRows
from backtune.data.ingest.times import looks_like_dates
from backtune.data.schema import PRICES
from backtune.errors import BarsError

_ZONE_IN_NAME = re.compile(r"\s*\((?:UTC|GMT|[A-Z]{2,5}|[A-Za-z]+/[A-Za-z_]+|[+-]\d{1,2}:?\d{0,2})\)\s*$")
# Sides of a quote, the best stand-in for traded prices first.
_SIDES: Final = ("mid", "bid", "ask")


def find_rate_columns(sheet: SourceRows) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Tell the candidates for the time, and the column of the rate, of a sheet of funding payments.

    Raises:
        BarsError: A column is missing; names the columns that there are.
    """
    header = _Header(sheet)
    return header.times(FUNDING_TIME_NAMES), header.find("rate", RATE_NAMES)


def find_clock_beside(sheet: SourceRows, at: tuple[int, ...]) -> int | None:
    """Return the column of times of day beside those that are read for the time, None where there is none."""
    return _Header(sheet).clock_beside(at)


def find_named_columns(sheet: SourceRows) -> ColumnRoles:
    """Tell the parts of columns by their names.

    Raises:
        BarsError: A column is missing; names the columns that there are.
    """
    header = _Header(sheet)
    notes: list[str] = []
    prices = tuple(header.get(names) for names in PRICE_NAMES.values())
    if any(at is None for at in prices):
        prices = _with_affix(header, notes) or tuple(
            header.find(part, names) for part, names in PRICE_NAMES.items()
        )
    adjusted = tuple(header.get((f"adj{part}", f"adjusted{part}", f"{part}adj")) for part in PRICES)
    adjusted_close = header.get(ADJUSTED_CLOSE_NAMES)
    ends = [header.positions[name] for name in END_TIME_NAMES if name in header.positions]
    only_ends = bool(ends) and not any(name in header.positions for name in TIME_NAMES if name)
    return ColumnRoles(
        times=((ends[0],),) if only_ends else header.times(),
        prices=prices,  # type: ignore[arg-type]
        volumes=_volumes(header),
        adjusted=adjusted if None not in adjusted else () if adjusted_close is None else (adjusted_close,),  # type: ignore[arg-type]
        adjusted_volume=header.get(("adjvolume", "adjustedvolume")),
        split=header.get(SPLIT_NAMES),
        dividend=header.get(DIVIDEND_NAMES),
        symbol=header.get(SYMBOL_NAMES),
        period=header.get(PERIOD_NAMES),
        zone=header.get(ZONE_NAMES),
        volume_parts=_volume_parts(header),
        is_raw=any(name in header.positions for name in RAW_DIVIDEND_NAMES),
        is_fixed_point={"rtype", "publisherid"} <= header.positions.keys(),
        end_time=ends[0] if ends else None,
        stamps_are_ends=only_ends,
        notes=tuple(notes),
    )


def _with_affix(header: _Header, notes: list[str]) -> tuple[int, ...] | None:
    """Find prices that share a word, as in ``bidopen`` and ``Close_ACME``."""
    affixes: list[tuple[str, str]] = []
    for name in header.positions:
        before, found, after = name.partition("open")
        if found and before not in ("adj", "adjusted") and not (before or after).startswith("interest"):
            names = [before + part + after for part in PRICES]
            if all(n in header.positions for n in names):
                affixes.append((before, after))
    words = ["".join(affix) for affix in affixes]
    sides = [side for side in _SIDES for word in words if word == side]
    if not affixes or (len(affixes) > 1 and not sides):
        if len(affixes) > 1:
            raise BarsError(
                f"holds the prices of several assets side by side ({', '.join(map(repr, words))}); say which with "
                "--columns open=NAME,high=NAME,low=NAME,close=NAME and --asset, one asset at a time",
                source=header.sheet.source,
            )
        return None
    before, after = affixes[words.index(sides[0])] if sides else affixes[0]
    if len(affixes) > 1 or sides:
        notes.append(f"prices are those of {(before + after)!r}")
    return tuple(header.positions[before + part + after] for part in PRICES)


def _volumes(header: _Header) -> tuple[int, ...]:
    """Return exact names, or where there is none ``Volume BTC`` and the like in the file's order (the base asset's comes first).

    Beside a volume, ``vol`` is one where it is written ``<VOL>``, as MetaTrader does; elsewhere it may be the volatility.
    """
    known = [
        header.positions[name]
        for name in VOLUME_NAMES
        if name in header.positions
        and not (
            name == "vol"
            and "volume" in header.positions
            and "<" not in header.sheet.names[header.positions[name]]
        )
    ]
    if known:
        return tuple(known)
    return tuple(
        at
        for at, name in enumerate(header.sheet.names)
        if re.fullmatch(r"(?i)\s*vol(?:ume)?[ _]*\(?[a-z0-9]{2,10}\)?\s*", name)
        and plain_name(name) not in ("volumeadj", "volumeadjusted")
        and not INDICATOR_WORDS.search(name)
    )


def _volume_parts(header: _Header) -> tuple[int, ...]:
    for names in VOLUME_PART_NAMES:
        if all(name in header.positions for name in names):
            return tuple(header.positions[name] for name in names)
    return ()


def find_chosen_columns(sheet: SourceRows, chosen: Mapping[str, str]) -> ColumnRoles:
    """Tell the parts of columns as the user gives them, and of the others by their names.

    Raises:
        BarsError: A column is missing; names the columns that there are.
    """

    def find(name: str, part: str) -> int:
        text = name.strip()
        exact = [i for i, known in enumerate(sheet.names) if known.strip() == text]
        close = exact or [i for i, known in enumerate(sheet.names) if known.strip().lower() == text.lower()]
        if close:
            return close[0]
        if text.isdigit() and 1 <= int(text) <= len(sheet.names):
            return int(text) - 1
        raise BarsError(
            f"--columns names {name!r} for {part}, and there are {', '.join(map(repr, sheet.names))}",
            source=sheet.source,
            column=part,
        )

    header = _Header(sheet)
    base = {part: find(name, part) for part, name in chosen.items() if part != "time"}
    time = tuple(find(name, "time") for name in chosen["time"].split("+")) if "time" in chosen else None
    prices = tuple(
        base[part] if part in base else header.find(part, names) for part, names in PRICE_NAMES.items()
    )
    return ColumnRoles(
        times=(time,) if time is not None else header.times(),
        prices=prices,
        volumes=(base["volume"],) if "volume" in base else _volumes(header),
        symbol=base.get("symbol", header.get(SYMBOL_NAMES)),
    )


def plain_name(name: str) -> str:
    """Return ``<OPEN>``, ``Open Price``, ``1. open`` and ``Öffnung`` as ``open``, ``openprice``, ``open`` and ``offnung``."""
    text = re.sub(r"^\s*\d+[a-z]?\.\s+", "", name.lower())
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", text))


class _Header:
    """The named columns of a sheet."""

    def __init__(self, sheet: SourceRows) -> None:
        self.sheet = sheet
        self.positions: dict[str, int] = {}
        for position, name in enumerate(sheet.names):
            self.positions.setdefault(plain_name(_ZONE_IN_NAME.sub("", name)), position)

    def get(self, names: Sequence[str]) -> int | None:
        return next((self.positions[name] for name in names if name in self.positions), None)

    def find(self, part: str, names: Sequence[str]) -> int:
        found = self.get(names)
        if found is None:
            raise BarsError(
                f"no column for {part} among {', '.join(map(repr, self.sheet.names))}; rename one to {part!r}, "
                f"or say which with --columns {part if part in PARTS else 'time'}=NAME",
                source=self.sheet.source,
                column=part,
            )
        return found

    def times(self, first: Sequence[str] = ()) -> tuple[tuple[int, ...], ...]:
        """Return the candidates, a date beside a time of day before all others."""
        found: list[tuple[int, ...]] = []
        split = self._date_and_clock()
        if split is not None:
            found.append(split)
        for name in (*first, *TIME_NAMES):
            at = self.positions.get(name)
            if at is not None and (at,) not in found and not self._counts_rows(name, at):
                found.append((at,))
        if not found:
            self.find("timestamp", ())
        return tuple(found)

    def _date_and_clock(self) -> tuple[int, int] | None:
        date, clock = self.get(DATE_NAMES), self.get(CLOCK_NAMES)
        if date is None or clock is None or date == clock:
            return None
        frame = self.sheet.frame
        both = looks_like_dates(frame.to_series(date)) and looks_like_clocks(frame.to_series(clock))
        return (date, clock) if both else None

    def clock_beside(self, at: tuple[int, ...]) -> int | None:
        """Return the column of times of day beside a column of dates, where it is not one of those read."""
        clock = self.get(CLOCK_NAMES)
        return clock if clock is not None and clock not in at else None

    def _counts_rows(self, name: str, at: int) -> bool:
        """Return True for an index without a name of its own that merely counts rows."""
        if name not in ("", "index", "unnamed0", "indexlevel0"):
            return False
        column = self.sheet.frame.to_series(at)
        numbers = column.cast(pl.Float64, strict=False) if column.dtype == pl.String else column
        if not numbers.dtype.is_numeric() or numbers.null_count():
            return False
        return len(numbers) == 1 or bool((numbers.diff().drop_nulls().abs() == 1).all())
