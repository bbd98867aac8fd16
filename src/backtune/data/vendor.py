"""How vendors lay out bars and funding: the names of their columns, and layouts without names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backtune.data.bars import PRICES
from backtune.errors import BarsError

# Names as `_plain` makes them; where a file has several for one role, the first here is taken.
_TIMES: Final = (
    "unix", "unix_timestamp", "unixtime", "epoch", "timestamp", "ts", "open_time", "opentime", "time_open",
    "datetime", "date_time", "gmt_time", "utc_time", "time_utc", "date_utc", "local_time", "time", "date", "day",
    "t", "index_level_0",
)  # fmt: skip
_PRICES: Final = {
    "open": ("open", "o", "open_price", "opening"),
    "high": ("high", "h", "high_price", "max"),
    "low": ("low", "l", "low_price", "min"),
    "close": ("close", "c", "close_price", "closing", "close_last", "last", "price"),
}
_VOLUMES: Final = (
    "volume", "vol", "v", "base_volume", "volume_base", "tick_volume", "tickvolume", "tickvol", "real_volume",
)  # fmt: skip

_RATES: Final = ("funding_rate", "fundingrate", "rate", "last_funding_rate", "funding")
_FUNDING_TIMES: Final = (
    "funding_time",
    "fundingtime",
    "calc_time",
    "funding_rate_timestamp",
    "fundingratetimestamp",
)

_CLOCK = re.compile(r"\d{1,2}:\d{2}.*")
_COMPACT_DATE = re.compile(r"\d{8}")
_COMPACT_CLOCK = re.compile(r"\d{4}|\d{6}")


@dataclass(frozen=True)
class Columns:
    """Which of a file's columns hold what, by position.

    Attributes:
        time: one column, or the date's and the time of day's.
        prices: those of open, high, low and close.
        volumes: candidates, the best first.
    """

    time: tuple[int, ...]
    prices: tuple[int, ...]
    volumes: tuple[int, ...]


@dataclass(frozen=True)
class _Unnamed:
    """A layout without a header: told by its width and the form of its first fields."""

    names: tuple[str, ...]
    first_fields: tuple[re.Pattern[str], ...]
    width: range


_OHLC = (*PRICES, "volume")
_LAYOUTS_WITHOUT_HEADER: Final = (
    # MetaTrader 4: 2012.11.16,05:00,1.2786,1.2790,1.2781,1.2788,1032
    _Unnamed(
        ("date", "time", *_OHLC),
        (re.compile(r"\d{4}[./-]\d{2}[./-]\d{2}|\d{8}"), re.compile(r"\d{1,2}:\d{2}(:\d{2})?|\d{6}")),
        range(6, 9),
    ),
    # Binance klines, Kraken, HistData and the like: one time, four prices, volume, then anything
    _Unnamed(("time", *_OHLC), (re.compile(r".*\d{4}.*"),), range(5, 14)),
)


def columns_without_header(first_row: Sequence[str], source: str | Path) -> Columns:
    """Tell the layout of a file without a header.

    Raises:
        BarsError: it is none that is known.
    """
    for layout in _LAYOUTS_WITHOUT_HEADER:
        fits = all(form.fullmatch(field) for form, field in zip(layout.first_fields, first_row, strict=False))
        if len(first_row) in layout.width and fits:
            return columns_by_name(layout.names[: len(first_row)], first_row, source)
    raise BarsError(
        f"has no header, and its first row {list(first_row)} is not time, open, high, low, close, volume; "
        "put a line with the columns' names on top",
        source=source,
    )


def columns_by_name(names: Sequence[str], first_row: Sequence[str], source: str | Path) -> Columns:
    """Tell the columns by their names.

    Args:
        first_row: the first row's values as text, for telling a split date and time.

    Raises:
        BarsError: a column is missing; names the columns that there are.
    """
    header = _Header(names, source)
    return Columns(
        time=_date_and_time(header.positions, first_row) or (header.find("timestamp", _TIMES),),
        prices=tuple(header.find(role, aliases) for role, aliases in _PRICES.items()),
        volumes=_volumes(header.positions),
    )


def rate_columns(
    names: Sequence[str], first_row: Sequence[str], source: str | Path
) -> tuple[tuple[int, ...], int]:
    """The columns of the time (one, or the date's and the time of day's) and of the rate of funding payments.

    Raises:
        BarsError: a column is missing; names the columns that there are.
    """
    header = _Header(names, source)
    split = _date_and_time(header.positions, first_row)
    time = split or (header.find("timestamp", (*_FUNDING_TIMES, *_TIMES)),)
    return time, header.find("rate", _RATES)


class _Header:
    def __init__(self, names: Sequence[str], source: str | Path) -> None:
        self.positions: dict[str, int] = {}
        self._names = names
        self._source = source
        for position, name in enumerate(names):
            self.positions.setdefault(_plain(name), position)

    def find(self, role: str, aliases: Sequence[str]) -> int:
        for alias in aliases:
            if alias in self.positions:
                return self.positions[alias]
        raise BarsError(
            f"no column for {role} among {', '.join(map(repr, self._names))}; rename one to {role!r}",
            source=self._source,
            column=role,
        )


def _date_and_time(positions: dict[str, int], first_row: Sequence[str]) -> tuple[int, int] | None:
    if "date" not in positions or "time" not in positions:
        return None
    date, clock = (first_row[positions[name]].strip() for name in ("date", "time"))
    compact = _COMPACT_DATE.fullmatch(date) and _COMPACT_CLOCK.fullmatch(clock)
    return (positions["date"], positions["time"]) if _CLOCK.fullmatch(clock) or compact else None


def _volumes(positions: dict[str, int]) -> tuple[int, ...]:
    """Exact names first, then ``Volume BTC`` and the like in the file's order (the base asset's comes first)."""
    known = [positions[alias] for alias in _VOLUMES if alias in positions]
    in_currency = [
        at
        for name, at in positions.items()
        if re.fullmatch(r"vol(ume)?_[a-z]{2,6}", name) and at not in known
    ]
    return (*known, *in_currency)


def _plain(name: str) -> str:
    """``<OPEN>``, ``Open Time``, ``1. open`` as ``open``, ``open_time``, ``open``."""
    text = re.sub(r"^\s*\d+[a-z]?\.\s+", "", name.lower())
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")
