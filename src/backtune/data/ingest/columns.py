"""The parts of a table that columns play: by the names that vendors give them, by position where there are none, or as chosen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from backtune.data.ingest.clocks import looks_like_clocks
from backtune.data.ingest.sheet import Sheet
from backtune.data.ingest.times import looks_like_dates
from backtune.data.schema import PRICES
from backtune.errors import BarsError, SpecError

# Names as `plain_name` makes them; where a file has several for one part, the first here is taken.
_TIMES: Final = (
    "timeperiodstart", "opentime", "timeopen", "windowstart", "candlebegintime", "barstart", "starttime", "begintime",
    "startedat", "begin", "start", "startdate", "unix", "unixtimestamp", "unixtime", "epoch", "epochms", "timestamp",
    "timestampms", "timestamputc", "tsevent", "ts", "bartime", "datetime", "dateandtime", "datetimeutc", "utcdatetime",
    "gmttime", "utctime", "timeutc", "dateutc", "localtime", "time", "date", "dtyyyymmdd", "yyyymmdd", "day", "tradedate",
    "tradingdate", "trddt", "pricedate", "quotedate", "sessiondate", "asof", "period", "dt", "t", "dates", "datum", "zeit",
    "fecha", "data", "tarih", "дата", "日期", "时间", "日時", "日付", "日付け", "날짜", "indexlevel0", "index", "unnamed0", "",
)  # fmt: skip
_END_TIMES: Final = (
    "closetime",
    "timeclose",
    "endtime",
    "end",
    "enddate",
    "tsclose",
    "barend",
    "timeperiodend",
)
_DATES: Final = (
    "date", "dtyyyymmdd", "yyyymmdd", "day", "tradedate", "tradingdate", "datum", "fecha", "data", "trddt", "dates", "tarih", "дата",
)  # fmt: skip
_CLOCKS: Final = (
    "time", "hhmmss", "hhmm", "clock", "timeofday", "hour", "hours", "zeit", "uhrzeit", "hora", "ora", "heure", "times",
)  # fmt: skip
_PRICES: Final[Mapping[str, tuple[str, ...]]] = {
    "open": (
        "open", "o", "openprice", "opening", "openingprice", "priceopen", "first", "eroffnung", "offnung",
        "eroffnungskurs", "eroffn", "erster", "ouverture", "ouv", "apertura", "abertura", "otwarcie", "开盘", "开盘价", "始値", "시가", "오픈", "pxopen", "откр", "acilis",
    ),
    "high": (
        "high", "h", "highprice", "pricehigh", "max", "highest", "hoch", "tageshoch", "haut", "plushaut", "maximo",
        "maxima", "massimo", "najwyzszy", "最高", "最高价", "高値", "고가", "高", "pxhigh", "макс", "yuksek", "hoog",
    ),
    "low": (
        "low", "l", "lowprice", "pricelow", "min", "lowest", "tief", "tagestief", "bas", "plusbas", "minimo", "minima",
        "najnizszy", "最低", "最低价", "安値", "저가", "低", "pxlow", "мин", "dusuk", "laag",
    ),
    "close": (
        "close", "c", "closeprice", "closing", "closingprice", "priceclose", "closelast", "last", "lastprice", "price",
        "settle", "settlement", "schluss", "schlusskurs", "letzter", "zuletzt", "cloture", "fermeture", "dernier", "cierre", "ultimo",
        "chiusura", "fechamento", "zamkniecie", "收盘", "收盘价", "終値", "종가", "pxlast", "цена", "simdi", "laatste", "ostatnio",
    ),
}  # fmt: skip
_VOLUMES: Final = (
    "volume", "vol", "v", "basevolume", "volumebase", "tradedvolume", "totaltradedquantity", "tottrdqty", "qty",
    "tickvolume", "tickvol", "ticks", "tickqty", "realvolume", "vols", "shares", "volumen", "umsatz", "stuck", "成交量",
    "出来高", "거래량", "wolumen", "wol", "hac", "объем", "交易量", "pxvolume",
)  # fmt: skip
_ADJUSTED_CLOSES: Final = (
    "adjclose",
    "adjustedclose",
    "closeadjusted",
    "closeadj",
    "adjustedcloseprice",
    "adjcloseprice",
)
_SPLITS: Final = ("splitfactor", "splitcoefficient", "stocksplits", "splitratio", "splits", "split")
_DIVIDENDS: Final = ("divcash", "dividendamount", "dividends", "dividend", "exdividend", "cashdividend")
_SYMBOLS: Final = (
    "symbol", "ticker", "sym", "tic", "instrument", "instrumentid", "contract", "pair", "secid", "code", "tscode",
    "actsymbol", "stock", "asset", "coin", "isin", "name",
)  # fmt: skip
_VOLUME_PARTS: Final = (("up", "down"), ("buyvolume", "sellvolume"), ("upvolume", "downvolume"))
_ZONES: Final = ("timezone", "tz", "zone", "exchangetimezone", "offset", "utcoffset", "gmtoffset", "tzoffset")
# These vendors give prices as they were traded beside the dividends.
_RAW_DIVIDENDS: Final = ("divcash", "dividendamount")
# Words that make an indicator of a volume.
_INDICATOR = re.compile(r"(?i)\b(?:ma|sma|ema|avg|average|mean|std|ratio)\b|(?:_|-)(?:ma|sma|ema|avg|std)\b")
_PERIODS: Final = ("per", "interval", "timeframe", "resolution", "granularity", "barsize")
_RATES: Final = ("fundingrate", "rate", "lastfundingrate", "funding")
_FUNDING_TIMES: Final = ("fundingtime", "calctime", "fundingratetimestamp")

_ZONE_IN_NAME = re.compile(r"\s*\((?:UTC|GMT|[A-Z]{2,5}|[A-Za-z]+/[A-Za-z_]+|[+-]\d{1,2}:?\d{0,2})\)\s*$")
# Sides of a quote, the best stand-in for traded prices first.
_SIDES: Final = ("mid", "bid", "ask")
_ORDERS_WITHOUT_NAMES: Final = (
    ("open, high, low, close", (0, 1, 2, 3)),
    ("low, high, open, close", (2, 1, 0, 3)),
    ("open, close, high, low", (0, 2, 3, 1)),
)
PARTS: Final = ("time", "open", "high", "low", "close", "volume", "symbol")


@dataclass(frozen=True)
class Columns:
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
                "columns", f"{entry.strip()!r} does not name a column; write time=NAME, or time=DATE+CLOCK for two of them",
                value=entry, allowed=PARTS,
            )  # fmt: skip
        chosen[part] = name
    return chosen


def find_columns(sheet: Sheet, chosen: Mapping[str, str] | None = None) -> Columns:
    """Tell the parts of a sheet's columns.

    Args:
        chosen: Columns by the part that the user gives them, as :func:`parse_columns` reads them.

    Raises:
        BarsError: A column is missing; names the columns that there are.
    """
    if chosen:
        return _as_chosen(sheet, chosen)
    return _by_name(_Header(sheet)) if sheet.has_header else _by_position(sheet)


def find_rate_columns(sheet: Sheet) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Tell the candidates for the time, and the column of the rate, of a sheet of funding payments.

    Raises:
        BarsError: A column is missing; names the columns that there are.
    """
    header = _Header(sheet)
    return header.times(_FUNDING_TIMES), header.find("rate", _RATES)


def find_clock_beside(sheet: Sheet, at: tuple[int, ...]) -> int | None:
    """Return the column of times of day beside those that are read for the time, None where there is none."""
    return _Header(sheet).clock_beside(at)


def plain_name(name: str) -> str:
    """Return ``<OPEN>``, ``Open Price``, ``1. open`` and ``Öffnung`` as ``open``, ``openprice``, ``open`` and ``offnung``."""
    text = re.sub(r"^\s*\d+[a-z]?\.\s+", "", name.lower())
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", text))


class _Header:
    """The named columns of a sheet."""

    def __init__(self, sheet: Sheet) -> None:
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
        for name in (*first, *_TIMES):
            at = self.positions.get(name)
            if at is not None and (at,) not in found and not self._counts_rows(name, at):
                found.append((at,))
        if not found:
            self.find("timestamp", ())
        return tuple(found)

    def _date_and_clock(self) -> tuple[int, int] | None:
        date, clock = self.get(_DATES), self.get(_CLOCKS)
        if date is None or clock is None or date == clock:
            return None
        frame = self.sheet.frame
        both = looks_like_dates(frame.to_series(date)) and looks_like_clocks(frame.to_series(clock))
        return (date, clock) if both else None

    def clock_beside(self, at: tuple[int, ...]) -> int | None:
        """Return the column of times of day beside a column of dates, where it is not one of those read."""
        clock = self.get(_CLOCKS)
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


def _by_name(header: _Header) -> Columns:
    notes: list[str] = []
    prices = tuple(header.get(names) for names in _PRICES.values())
    if any(at is None for at in prices):
        prices = _with_affix(header, notes) or tuple(
            header.find(part, names) for part, names in _PRICES.items()
        )
    adjusted = tuple(header.get((f"adj{part}", f"adjusted{part}", f"{part}adj")) for part in PRICES)
    adjusted_close = header.get(_ADJUSTED_CLOSES)
    ends = [header.positions[name] for name in _END_TIMES if name in header.positions]
    only_ends = bool(ends) and not any(name in header.positions for name in _TIMES if name)
    return Columns(
        times=((ends[0],),) if only_ends else header.times(),
        prices=prices,  # type: ignore[arg-type]
        volumes=_volumes(header),
        adjusted=adjusted if None not in adjusted else () if adjusted_close is None else (adjusted_close,),  # type: ignore[arg-type]
        adjusted_volume=header.get(("adjvolume", "adjustedvolume")),
        split=header.get(_SPLITS),
        dividend=header.get(_DIVIDENDS),
        symbol=header.get(_SYMBOLS),
        period=header.get(_PERIODS),
        zone=header.get(_ZONES),
        volume_parts=_volume_parts(header),
        is_raw=any(name in header.positions for name in _RAW_DIVIDENDS),
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
        for name in _VOLUMES
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
        and not _INDICATOR.search(name)
    )


def _volume_parts(header: _Header) -> tuple[int, ...]:
    for names in _VOLUME_PARTS:
        if all(name in header.positions for name in names):
            return tuple(header.positions[name] for name in names)
    return ()


def _by_position(sheet: Sheet) -> Columns:
    """Tell the layout of a table without names: names of assets, a time or a date and a clock, four prices, a volume."""
    frame = sheet.frame
    columns = [frame.to_series(i) for i in range(frame.width)]
    at = 0
    while at < min(3, len(columns)) and _is_word(columns[at]):
        at += 1
    symbol = 0 if at > 0 else None
    rest = columns[at:]
    split = len(rest) >= 6 and looks_like_dates(rest[0]) and looks_like_clocks(rest[1])
    # Whole prices of up to four digits look like clocks too, but then high and low enclose them.
    split = split and (_encloses(rest[2:6]) or not _encloses(rest[1:5]))
    first = at + (2 if split else 1)
    if len(columns) < first + 4 or not all(_is_number(column) for column in columns[first : first + 4]):
        row = [str(value) for value in frame.row(0)]
        raise BarsError(
            f"has no header, and its first row {row} is not time, open, high, low, close, volume; "
            "put a line with the columns' names on top, or number them with --columns time=1,open=2,high=3,low=4,close=5",
            source=sheet.source,
        )
    order, prices = _order_of_prices(columns[first : first + 4])
    # Kraken's eight columns have the average price before the volume.
    volume = first + (5 if _is_average_price(columns, first) else 4)
    return Columns(
        times=((at, at + 1),) if split else ((at,),),
        prices=tuple(first + i for i in prices),
        volumes=(volume,) if len(columns) > volume and _is_number(columns[volume]) else (),
        symbol=symbol,
        end_time=first + 5 if len(columns) == first + 11 else None,  # klines of Binance
        notes=() if prices == (0, 1, 2, 3) else (f"prices stand in the order {order}",),
    )


def _is_average_price(columns: Sequence[pl.Series], first: int) -> bool:
    """Return True for time, prices, average price, volume and count: the first of the last three lies within high and low."""
    if len(columns) != first + 7 or not all(_is_number(column) for column in columns[first:]):
        return False
    values = [c.cast(pl.Float64, strict=False).fill_null(0.0).to_numpy() for c in columns[first : first + 5]]
    lowest, highest = np.min(values[:4], axis=0), np.max(values[:4], axis=0)
    average = values[4]
    traded = average != 0
    return bool(traded.any()) and bool(
        np.all((average[traded] >= lowest[traded]) & (average[traded] <= highest[traded]))
    )


def _is_word(column: pl.Series) -> bool:
    text = column.drop_nulls().head(100)
    if text.dtype != pl.String or text.is_empty():
        return False
    return bool(text.str.contains(r"^[A-Za-z^][A-Za-z0-9./_=^ -]*$").all()) and not looks_like_dates(text)


def _is_number(column: pl.Series) -> bool:
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    return bool(
        column.drop_nulls()
        .head(100)
        .str.contains(r"^\s*[-+$]?[\d.,]+(?:[eE][-+]?\d+)?\s*$|^\s*(?i:nan|null|)\s*$")
        .all()
    )


def _encloses(columns: Sequence[pl.Series]) -> bool:
    return _find_order(columns) is not None


def _order_of_prices(columns: Sequence[pl.Series]) -> tuple[str, tuple[int, ...]]:
    return _find_order(columns) or _ORDERS_WITHOUT_NAMES[0]


def _find_order(columns: Sequence[pl.Series]) -> tuple[str, tuple[int, ...]] | None:
    """Return the first order of four columns in which high and low enclose open and close in nearly every row."""
    if not all(column.dtype == pl.String or column.dtype.is_numeric() for column in columns):
        return None
    text = [c.str.replace(",", ".", literal=True) if c.dtype == pl.String else c for c in columns]
    numbers = [c.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy() for c in text]
    values = np.column_stack(numbers)
    is_absent = np.isnan(values).any(axis=1)
    if is_absent.all():
        return None
    for order, (open_, high, low, close) in _ORDERS_WITHOUT_NAMES:
        is_inside = (values[:, low] <= np.minimum(values[:, open_], values[:, close])) & (
            values[:, high] >= np.maximum(values[:, open_], values[:, close])
        )
        if np.mean(is_inside | is_absent) > 0.99:
            return order, (open_, high, low, close)
    return None


def _as_chosen(sheet: Sheet, chosen: Mapping[str, str]) -> Columns:
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
        base[part] if part in base else header.find(part, names) for part, names in _PRICES.items()
    )
    return Columns(
        times=(time,) if time is not None else header.times(),
        prices=prices,
        volumes=(base["volume"],) if "volume" in base else _volumes(header),
        symbol=base.get("symbol", header.get(_SYMBOLS)),
    )
