"""Parts of vendors' file names: lengths of bars, periods, and words that are not the asset."""

from __future__ import annotations

import re
from typing import Final

from backtune.spec.timeframe import Timeframe

SEPARATOR: Final = r"[-_ ,]"

_UNITS: Final = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "wk", "wks", "week", "weeks"),
    "mo": ("mo", "mon", "mn", "mth", "month", "months"),
}
_UNIT_OF: Final = {word: unit for unit, words in _UNITS.items() for word in words}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
# Beyond these, a number and a unit say how much the file holds (`30d`, `52w`), not how long a bar is.
_LARGEST_COUNT: Final = {"s": 86_400, "m": 10_080, "h": 24, "d": 7, "w": 4, "mo": 12}
_WORDS: Final = {
    "minute": "1m",
    "minutely": "1m",
    "hour": "1h",
    "hourly": "1h",
    "day": "1d",
    "daily": "1d",
    "week": "1w",
    "weekly": "1w",
    "month": "1mo",
    "monthly": "1mo",
    "mn": "1mo",
}
_LETTERS: Final = {"h": "1h", "H": "1h", "d": "1d", "D": "1d", "w": "1w", "W": "1w", "M": "1mo"}
_METATRADER_COUNTS: Final = {
    "s": (1, 2, 5, 10, 15, 30),
    "m": (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30),
    "h": (1, 2, 3, 4, 6, 8, 12),
    "d": (1,),
    "w": (1,),
    "mn": (1,),
}
_METATRADER_MONTH_IN_MINUTES: Final = 43_200

_GLUED = re.compile(r"(\d{1,5})([A-Za-z]+)")
_METATRADER = re.compile(r"(mn|[smhdw])(\d{1,2})", re.IGNORECASE)

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_FORMS: Final = (
    rf"{_YEAR}{_MONTH}{_DAY}\d{{4}}(?:\d\d)?",
    *(rf"{_YEAR}{dash}{_MONTH}{dash}{_DAY}" for dash in ("-", "_", r"\.")),
    *(rf"(?:{_DAY}{dash}{_MONTH}|{_MONTH}{dash}{_DAY}){dash}{_YEAR}" for dash in ("-", "_", r"\.")),
    rf"{_YEAR}{_MONTH}{_DAY}",
    *(rf"{_YEAR}{dash}{_MONTH}" for dash in ("-", "_", "")),
    rf"{_YEAR}[-_]?Q[1-4]",
    _YEAR,
)
_JOIN: Final = r"(?:[-_ ]+to[-_ ]+| ?[-_\u2013]+ ?)"
_SPANS: Final = "|".join(f"{form}{_JOIN}{form}" for form in _FORMS)
_PERIODS: Final = f"(?:{_SPANS}|{'|'.join(_FORMS)})"
_PERIOD = re.compile(_PERIODS)
_SPAN_AT_END = re.compile(rf"{SEPARATOR}+(?:{_SPANS})$")
_PERIOD_AT_END = re.compile(rf"{SEPARATOR}+({_PERIODS})$")
_PERIOD_BETWEEN = re.compile(rf"(?:^|\.|{SEPARATOR})+{_PERIODS}(?=$|{SEPARATOR})")
# As often the end of a name: Russell 2000, and contracts that are called after a day of delivery (200925).
_NOT_ALONE_A_PERIOD = re.compile(rf"2000|20{_MONTH}{_DAY}")


def read_length(token: str) -> str | None:
    """Read ``15m``, ``1min``, ``M15``, ``1D``, ``1M`` (a month), ``MN1`` or ``daily``, as in ``15m`` or ``1mo``."""
    if (word := token.lower()) in _WORDS:
        return _WORDS[word]
    if match := _GLUED.fullmatch(token):
        return _length(int(match[1]), match[2])
    if (match := _METATRADER.fullmatch(token)) and int(match[2]) in _METATRADER_COUNTS[match[1].lower()]:
        return _length(int(match[2]), match[1].lower())
    return None


def read_letter(token: str) -> str | None:
    """Read ``D``, ``W``, ``H`` or ``M`` (a month); a small ``m`` alone is said of months and of minutes alike."""
    return _LETTERS.get(token)


def read_minutes(token: str) -> str | None:
    """Read a plain number of minutes, as MetaTrader, Kraken and TradingView write it."""
    if not token.isdecimal() or not int(token):
        return None
    minutes = int(token)
    return "1mo" if minutes == _METATRADER_MONTH_IN_MINUTES else str(Timeframe(minutes * 60))


def is_period(text: str) -> bool:
    """Tell whether the whole text is a date, a year, a month, or a span of these."""
    return _PERIOD.fullmatch(text) is not None


def cut_period(text: str) -> str:
    """Cut the period that ends ``BTCUSD_2018_2019``, where it cannot be a part of the asset's name."""
    match = _PERIOD_AT_END.search(text)
    if match is None or _NOT_ALONE_A_PERIOD.fullmatch(match[1]):
        return text
    return text[: match.start()]


def cut_span(text: str) -> str:
    """Cut a period with a start and an end alone, as in ``BTCUSD_2018_2019``, and no single date."""
    return _SPAN_AT_END.sub("", text)


def cut_periods(text: str) -> str:
    """Cut every period, wherever it stands between separators."""
    return _PERIOD_BETWEEN.sub("", text)


def _length(count: int, unit_word: str) -> str | None:
    # Months are counted by divisors of a year; `15M` and `5M` are written for minutes.
    is_month = unit_word == "M" and count and 12 % count == 0
    unit = "mo" if is_month else _UNIT_OF.get(unit_word.lower())
    if unit is None or not 0 < count <= _LARGEST_COUNT[unit]:
        return None
    return f"{count}mo" if unit == "mo" else str(Timeframe(count * _SECONDS[unit]))
