"""The asset and the timeframe that a vendor's file name tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from backtune.data.ingest.name_parts import (
    SEPARATOR,
    cut_period,
    cut_periods,
    cut_span,
    is_period,
    read_length,
    read_letter,
    read_minutes,
)
from backtune.data.manifest import is_asset_name
from backtune.errors import CatalogError

_SUFFIXES: Final = frozenset(
    """
    .csv .tsv .txt .dat .prn .hst .parquet .pq .json .jsonl .ndjson .feather .arrow .ipc .xls .xlsx .dbn
    .gz .zip .bz2 .xz .zst
    """.split()
)

_FILE_WORDS: Final = frozenset(
    """
    bar bars candle candles candlestick candlesticks chart data dataset download export hist historical
    historicaldata historicalprices historicalquotes history intraday kline klines ohlc ohlcv price
    prices quotes
    """.split()
)
_UNMISTAKABLE: Final = frozenset({"ohlc", "ohlcv", "kline", "klines", "candles", "candlesticks"})
# Said of the rows rather than of the asset, where they follow its name.
_REMARKS: Final = frozenset(
    """
    adj adjsplit adjsplitdiv adjusted ask bid continuous firstratedata full mid sample spot unadjusted
    utc
    """.split()
)
_VENUES: Final = frozenset(
    """
    binance bitfinex bitmex bitstamp bittrex bybit coinbase deribit dukascopy forexcom ftx fxcm gateio
    gemini hitbtc huobi kraken kucoin mexc oanda okex okx poloniex
    """.split()
)
# With these behind it, a venue's name is a part of the asset's: Binance Coin, Gemini Dollar.
_NOT_A_SYMBOL: Final = frozenset({"coin", "dollar", "eur", "global", "shares", "token", "usd"})

_COPY = re.compile(r"(?: ?\(\d{1,3}\)| - (?:Copy|Kopie|Copie|Copia)| copy(?: \d{1,3})?)+$", re.IGNORECASE)
_COPY_OF = re.compile(r"Copy of ", re.IGNORECASE)
_FUNDING = re.compile(r"[-_ ]*funding[-_ ]*(?:rates?|history)?(?![a-z])", re.IGNORECASE)
_QUOTES: Final = (
    "USDT|USDC|USD|EUR|GBP|JPY|CHF|AUD|CAD|NZD|SEK|NOK|DKK|PLN|HUF|CZK|TRY|ZAR|MXN|SGD|HKD|CNH|CNY|INR|KRW|BRL|THB|ILS|"
    "RUB|XBT|BTC|ETH|BNB|DAI"
)
_PAIR: Final = rf"(?P<asset>[A-Za-z0-9]{{2,}}?(?:{_QUOTES}))"
_KRAKEN = re.compile(rf"(.*?){_PAIR}_(?P<length>1|5|15|30|60|240|720|1440|10080|21600)", re.IGNORECASE)
_WORD = re.compile(rf"(?:(?<=^)|(?<={SEPARATOR})|(?<=[^0-9]\.)(?=\d))[A-Za-z0-9]+(?=$|\.|{SEPARATOR})")
# A usual number before a unit that is written out, as in `1-min`; not a year or a ticker, as in `2018_minute`.
_COUNT_BEFORE = re.compile(r"(?<![A-Za-z0-9])([1-6]|8|10|12|15|20|30|45|60|90|120|240|1440)[-_ ]$")


class Named(NamedTuple):
    """The asset and the timeframe that a name tells; None where it does not tell.

    Attributes:
        asset: The name as it is written, with blanks as ``_``; :func:`require_asset` says whether it can be used.
        timeframe: The timeframe, such as ``15m``, or ``1mo`` for a month.
    """

    asset: str | None
    timeframe: str | None


def read_name(path: Path) -> Named:
    """Read names such as ``BTCUSD_1m_2018_2019.parquet``, ``BTCUSDT-15m-2020-01.csv``, ``GBPUSDh1.csv``,
    ``EURUSD60.csv`` or ``Binance_BTCUSDT_d.csv``.

    A date or a number is cut only where it is the period of the file, at the end of the name or after the timeframe:
    ``BTCUSDT_240329-1h-2024-01.csv`` holds bars of ``BTCUSDT_240329``, and ``2015.HK.csv`` those of ``2015.HK``.
    """
    return _read(stem_of(path))


def asset_of_funding(path: Path) -> str | None:
    """Read names such as ``BTCUSD_funding.csv`` or ``BTCUSDT-fundingRate-2020-01.csv``."""
    return _read(_FUNDING.sub("_", stem_of(path)).strip("-_ ")).asset


def require_asset(asset: str | None, path: Path | str) -> str:
    """Return ``asset``, the name that a file or an option tells, if the catalog can use it.

    Raises:
        CatalogError: there is none, or it has characters that no asset's name has; names the file.
    """
    if asset is None:
        raise CatalogError(f"{path}: the file's name does not tell the asset; pass --asset")
    if not is_asset_name(asset):
        usable = re.sub(r"[^A-Za-z0-9._-]+", "-", asset).strip("-")[:64] or "BTCUSD"
        raise CatalogError(
            f"{path}: {asset!r} cannot name an asset; use up to 64 letters, digits, '.', '_' and '-': rename the "
            f"file, or import it alone with --asset, as in --asset {usable}"
        )
    return asset


def stem_of(path: Path) -> str:
    """The name without the suffixes of formats (a ticker may have a dot), and without the mark of a copy."""
    name = path.name
    while (cut := Path(name).suffix.lower()) in _SUFFIXES:
        name = name[: -len(cut)]
    return _COPY_OF.sub("", _COPY.sub("", name)).strip("-_, ")


def _read(stem: str) -> Named:
    for layout in _LAYOUTS:
        if match := layout.pattern.fullmatch(stem):
            length = layout.read_length(match["length"]) if "length" in layout.pattern.groupindex else None
            return Named(_asset(match["asset"] or ""), length)
    return _read_words(_strip_end(stem, cut_period))


def _read_words(stem: str) -> Named:
    """Read names of words between separators. The timeframe is the last word that can be one."""
    if stem.isalpha() and (len(stem) == 1 or stem.isupper()):
        return Named(_asset(stem), None)  # the ticker of Dominion Energy is D, of Dayforce DAY
    if found := _find_length(stem):
        start, end, timeframe = found
        return Named(_around(stem[:start], stem[end:]), timeframe)
    head, _, letter = _rpartition(stem, "[_ ,]")
    if head and (length := read_letter(letter)):
        return Named(_asset(_strip_end(head, cut_period)), length)
    if match := _KRAKEN.fullmatch(stem):
        return Named(_asset(match[1] + match["asset"]), read_minutes(match["length"]))
    return Named(_asset(stem), None)


def _find_length(stem: str) -> tuple[int, int, str] | None:
    """Return where the last word or words that can be a timeframe start and end, and which it is."""
    found = None
    for word in _WORD.finditer(stem):
        count = _COUNT_BEFORE.search(stem[: word.start()]) if len(word[0]) > 2 and word[0].isalpha() else None
        if count and (length := read_length(count[1] + word[0])):
            found = count.start(), word.end(), length
        elif length := read_length(word[0]):
            found = word.start(), word.end(), length
    return found


def _around(head: str, tail: str) -> str | None:
    """The asset that stands around a timeframe: before it, with what follows and is neither a period nor a remark."""
    head = head.strip("-_, ").rstrip(".")
    asset = _asset(_strip_end(head, cut_span))
    if asset is None:
        return _asset(_strip_end(_strip_start(tail.lstrip("."), _is_remark), cut_period))
    if _strip_venue(head) != head:
        asset = _asset(cut_period(_strip_end(head, cut_span))) or asset
    # The third part of BTC_USDT_USDT says already that it is a future.
    says_future = asset.count("_") == 2
    kept = [
        separator + word
        for separator, word in re.findall(r"([-_ ,.]+)([^-_ ,.]+)", cut_periods(tail))
        if not _is_file_word(word)
        and not _is_remark(word)
        and not (says_future and word.lower() == "futures")
    ]
    return _spelled(asset + "".join(kept))


def _asset(text: str) -> str | None:
    """The asset in a text without a timeframe; None where it has none but words about files, or dates."""
    text = _strip_venue(_strip_start(_strip_venue(text), _is_file_word))
    text = _strip_end(text).strip("-_, ").rstrip(".")
    is_stamp = text.isdecimal() and len(text) >= 10  # nasdaq.com puts the time of the download into the name
    return None if is_stamp or is_period(text) else _spelled(text) or None


def _strip_end(text: str, cut: Callable[[str], str] = str) -> str:
    """Cut words about files, remarks and what ``cut`` cuts from the end, for as long as there are any."""
    while True:
        shorter = cut(text.rstrip("-_, "))
        head, _, word = _rpartition(shorter, SEPARATOR)
        if _is_file_word(word) or (head and _is_remark(word)):
            shorter = head
        if shorter == text:
            return text
        text = shorter


def _is_file_word(word: str) -> bool:
    """A word in capitals is a ticker (DATA is one), unless it cannot be any."""
    lower = word.lower()
    return lower in _FILE_WORDS and (not word.isupper() or lower in _UNMISTAKABLE)


def _is_remark(word: str) -> bool:
    return word.lower() in _REMARKS | _VENUES


def _strip_start(text: str, is_cut: Callable[[str], bool]) -> str:
    """Cut words from the start for as long as ``is_cut`` says so."""
    words = re.compile(rf"{SEPARATOR}*([^-_ ,]*){SEPARATOR}*")
    while (match := words.match(text)) and match[0] and is_cut(match[1]):
        text = text[match.end() :]
    return text


def _strip_venue(text: str) -> str:
    match = re.match(rf"([A-Za-z]+)({SEPARATOR}+)(?=.)", text)
    if match is None or match[1].lower() not in _VENUES:
        return text
    symbol = text[match.end() :]
    is_symbol = symbol.lower() not in _NOT_A_SYMBOL and (match[2] == "_" or symbol.isupper())
    return symbol if is_symbol else text


def _spelled(text: str) -> str:
    return re.sub(r"[ ,]+", "_", text)


def _rpartition(text: str, separator: str) -> tuple[str, str, str]:
    match = re.search(rf"({separator}+)((?:(?!{separator}).)*)$", text)
    return (text[: match.start()], match[1], match[2]) if match else ("", "", text)


def _read_dukascopy(text: str) -> str | None:
    """``1_M`` is one minute there, and ``4_Hours`` four hours."""
    count, _, unit = text.rpartition("_")
    return read_length(count + ("m" if unit == "M" else unit))


class _Layout(NamedTuple):
    """A vendor's own way to put a name together; groups ``asset`` and ``length``."""

    pattern: re.Pattern[str]
    read_length: Callable[[str], str | None] = read_length


_LAYOUTS: Final = (
    # Databento: glbx-mdp3-20240101-20240131.ohlcv-1m, with the symbol at the end where files are split by it
    _Layout(re.compile(r"[a-z]{4}-[a-z0-9]+-\d{8}(?:-\d{8})?\.ohlcv-(?P<length>\w+)(?:\.(?P<asset>.+))?")),
    # Dukascopy: EURUSD_Candlestick_1_M_BID_01.01.2020-31.12.2020
    _Layout(
        re.compile(r"(?P<asset>.+)_Candlestick_(?P<length>(?:\d+_)?[A-Za-z]+)(?:_(?:BID|ASK).*)?"),
        _read_dukascopy,
    ),
    # HistData names a file DAT_ASCII_EURUSD_M1_2022, and the archive around it HISTDATA_COM_ASCII_EURUSD_M12022
    _Layout(
        re.compile(
            r"(?:DAT|HISTDATA_COM)_(?:ASCII|MT|MS|NT|XLSX)_(?P<asset>[A-Za-z]+)_(?P<length>M1|T)[^0-9]*\d{4,6}"
        )
    ),
    # TradingView: BINANCE_BTCUSDT, 60 and NASDAQ_AAPL, 1D_4f3a2. Venues beside these stay: NEO_AAPL is another share.
    _Layout(
        re.compile(
            r"(?:(?:AMEX|ARCA|BATS|FX_IDC|FX|NASDAQ|NYSE)_)?"
            r"(?P<asset>.+), (?P<length>\d{1,5}[SHDWM]?|[DWM])(?:_[0-9a-f]{4,8})?"
        ),
        lambda text: read_minutes(text) or read_letter(text) or read_length(text),
    ),
    # Investing.com: Russell 2000 Historical Data; the name has neither venue nor period
    _Layout(re.compile(r"(?P<asset>.+) Historical Data(?: - Investing\.com.*)?")),
    # NSE: Quote-Equity-ACME-EQ-01-01-2023-to-31-12-2023
    _Layout(re.compile(r"Quote-Equity-(?P<asset>.+?)-[A-Z]{2}-\d\d-\d\d-\d{4}-to-\d\d-\d\d-\d{4}")),
    # MetaTrader: EURUSD60 and GBPUSDh1, of pairs alone: ESH24 is a contract of March
    _Layout(
        re.compile(
            rf"{_PAIR}(?P<length>1|5|15|30|60|240|1440|10080|43200|M[1-6]|M1[025]|M[23]0|H[1-468]|H12|D1|W1|MN1?"
            r"|\d{1,3}(?:min|[mhdw]))",
            re.IGNORECASE,
        ),
        lambda text: read_minutes(text) or read_length(text),
    ),
)
