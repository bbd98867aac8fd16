"""What a vendor's file name tells: the asset and the timeframe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from backtune.timeframe import Timeframe

# What vendors put around the asset's name.
_NOT_AN_ASSET: Final = frozenset({
    "ask", "bid", "mid", "to", "ascii", "mt", "dat", "candlestick", "candles", "ohlcv", "ohlc", "klines", "bars",
    "data", "spot", "export", "binance", "bitfinex", "bitmex", "bitstamp", "bybit", "coinbase", "gemini", "kraken",
    "kucoin", "okx", "poloniex", "dukascopy",
})  # fmt: skip
_WORDS: Final = {
    "minute": "1m", "hour": "1h", "hourly": "1h", "d": "1d", "day": "1d", "daily": "1d", "week": "1w",
    "weekly": "1w",
}  # fmt: skip
_METATRADER_MINUTES: Final = (1, 5, 15, 30, 60, 240, 1440, 10080)

_LENGTH = re.compile(r"(\d+)[ _]?(s|m|h|d|w)(?:ec|in|inute|our|r|ay|eek)?s?", re.IGNORECASE)
_METATRADER = re.compile(r"(m|h|d|w)(\d+)", re.IGNORECASE)
_GLUED = re.compile(r"([A-Za-z]{6,}?)(?:(m|h|d|w)(\d{1,2})|(\d{1,5}))", re.IGNORECASE)
_SPACED = re.compile(r"(?<![^_-])(\d+)[-_](s|m|h|d|w|sec|min|hour|day|week)(?![^_-])", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(?:\d{2}\.\d{2}\.(?:19|20)\d{2}|(?:19|20)\d{2}(?:[-_.]?\d{2}){0,2})(?!\d)")


_FUNDING = re.compile(r"[-_ ]*funding[-_ ]*(?:rates?)?(?![a-z])", re.IGNORECASE)


class Named(NamedTuple):
    """What was found; None where the name does not tell."""

    asset: str | None
    timeframe: Timeframe | None


def read_name(path: Path) -> Named:
    """Read names such as ``BTCUSD_1m_2018_2019.parquet``, ``BTCUSDT-15m-2020-01.csv``, ``GBPUSDh1.csv``,
    ``EURUSD60.csv`` or ``Binance_BTCUSDT_d.csv``.
    """
    stem = _SPACED.sub(r"\1\2", _DATE.sub("", path.stem)).strip("-_., ")
    glued = _GLUED.fullmatch(stem)
    if glued is not None and (length := _glued_length(glued)) is not None:
        return Named(glued[1], length)
    tokens = [token for token in re.split(r"[_, ]+", _split_off_length(stem)) if token.strip("-.")]
    lengths = {token: _length(token) for token in tokens}
    names = [
        token.strip("-.")
        for token in tokens
        if lengths[token] is None and token.lower() not in _NOT_AN_ASSET and not token.isdigit()
    ]
    timeframe = next((length for length in lengths.values() if length is not None), None)
    return Named("_".join(names) or None, timeframe)


def asset_of_funding(path: Path) -> str | None:
    """Read names such as ``BTCUSD_funding.csv`` or ``BTCUSDT-fundingRate-2020-01.csv``."""
    return read_name(path.with_stem(_FUNDING.sub("_", path.stem))).asset


def _split_off_length(stem: str) -> str:
    """``BTC-USD-15m`` as ``BTC-USD_15m``: a dash belongs to the asset, except before a timeframe."""
    head, dash, tail = stem.rpartition("-")
    return f"{head}_{tail}" if dash and _length(tail) is not None else stem


def _length(token: str) -> Timeframe | None:
    if token.lower() in _WORDS:
        return Timeframe.parse(_WORDS[token.lower()])
    if match := _LENGTH.fullmatch(token):
        return _timeframe(match[1], match[2])
    if match := _METATRADER.fullmatch(token):
        return _timeframe(match[2], match[1])
    return None


def _glued_length(match: re.Match[str]) -> Timeframe | None:
    if match[2]:
        return _timeframe(match[3], match[2])
    minutes = int(match[4])
    return Timeframe(minutes * 60) if minutes in _METATRADER_MINUTES else None


def _timeframe(count: str, unit: str) -> Timeframe | None:
    return Timeframe.parse(f"{int(count)}{unit.lower()}") if int(count) else None
