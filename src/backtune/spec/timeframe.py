"""Lengths of bars as traders write them: ``15m``, ``4h``, ``1d``, ``1mo``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backtune.errors import SpecError

if TYPE_CHECKING:
    import numpy as np

_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
# Case tells a month from a minute where an exchange writes 1M; elsewhere it never does.
_UNIT_MONTHS: Final = {"mo": 1, "M": 1, "y": 12}
_PATTERN: Final = re.compile(r"([1-9][0-9]*)(mo|[smhdwMy])")
_DAY_SECONDS: Final = 86_400
_MEAN_MONTH_SECONDS: Final = 2_629_800  # 365.25 / 12 days
_LONGEST_MONTH_SECONDS: Final = 31 * _DAY_SECONDS
_SECOND: Final = 1_000_000
_HOUR: Final = 3_600 * _SECOND
_DAY: Final = _DAY_SECONDS * _SECOND
_HALF_MONTH: Final = 15 * _DAY


@dataclass(frozen=True, order=True)
class Timeframe:
    """The length of a bar: a number of seconds, or a number of calendar months.

    Equal lengths are equal: ``60m`` is ``1h``, and ``12mo`` is ``1y``. Written, no two differ by the case of a letter
    alone, so that each can name a folder on any file system.

    A bar of months ends where the one after it opens. It belongs to the month that begins nearest to its open, for vendors
    also stamp the evening before, as zones east of UTC do, or the first day of trade.

    Attributes:
        seconds: The length of a bar; of months their mean length, 365.25 / 12 days each, which orders and estimates.
        months: The number of calendar months; 0 for a length in seconds.
    """

    seconds: int
    months: int = 0

    @classmethod
    def of_months(cls, months: int) -> Timeframe:
        """Return the timeframe of a number of calendar months."""
        return cls(months * _MEAN_MONTH_SECONDS, months)

    @classmethod
    def parse(cls, text: str | Timeframe, *, key: str = "timeframe") -> Timeframe:
        """Read ``15m``, ``4h``, ``1d``, ``1mo`` (or ``1M``), ``1y`` and the like; a timeframe is returned as it is.

        Raises:
            SpecError: The text is not a whole number followed by one of s, m, h, d, w, mo, M, y.
        """
        if isinstance(text, Timeframe):
            return text
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise SpecError(
                key,
                f"{text!r} is not a timeframe; write a whole number and a unit, as in 1m, 15m, 1h, 4h, 1d, 1w, 1mo, 1y",
                value=text,
            )
        count, unit = int(match[1]), match[2]
        if unit in _UNIT_MONTHS:
            return cls.of_months(count * _UNIT_MONTHS[unit])
        return cls(count * _UNIT_SECONDS[unit])

    @property
    def microseconds(self) -> int:
        """The length in microseconds."""
        return self.seconds * _SECOND

    @property
    def longest_microseconds(self) -> int:
        """A length that no bar exceeds: months count 31 days each."""
        return (self.months * _LONGEST_MONTH_SECONDS or self.seconds) * _SECOND

    @property
    def is_whole_days(self) -> bool:
        """True if bars are days or a multiple of them, of which a change of clocks takes or adds an hour."""
        return not self.months and self.seconds % _DAY_SECONDS == 0

    def divides(self, longer: Timeframe) -> bool:
        """Return whether bars of ``longer`` can be built from bars of this length.

        Months can be built from what divides a day, and not from weeks.
        """
        if self.months:
            return longer.months % self.months == 0 and longer.months > 0
        return (_DAY_SECONDS if longer.months else longer.seconds) % self.seconds == 0

    def end_of(self, opens_at: int) -> int:
        """Return the end of the bar that opens at a moment; both in microseconds since the epoch."""
        if not self.months:
            return opens_at + self.microseconds
        import numpy as np

        return int(self.ends(np.array([opens_at]))[0])

    def ends(self, opens: np.ndarray) -> np.ndarray:
        """Return the (n,) ends of the bars that open at (n,) moments in microseconds since the epoch.

        A month that opens before midnight UTC ends as long before midnight, a day at most.
        """
        if not self.months:
            return self.shift(opens, 1)
        numbers = _nearest_months(opens)
        before_midnight = (opens - month_starts(numbers)).clip(-_DAY, 0)
        ends: np.ndarray = month_starts(numbers + self.months) + before_midnight
        return ends

    def latest_open(self, end: int) -> int:
        """Return the latest moment at which a bar can open that ends at or before ``end``, in microseconds since the epoch."""
        if not self.months:
            return end - self.microseconds
        import numpy as np

        month = month_numbers(np.array([end]))
        begin, following = (int(month_starts(month + k)[0]) for k in (1 - self.months, 1))
        # Bars of the month after begin a day before it at the earliest, and end as early.
        return begin + end - following if end >= following - _DAY else begin - _HALF_MONTH - 1

    def shift(self, opens: np.ndarray, n_bars: int | np.ndarray) -> np.ndarray:
        """Return the moments ``n_bars`` bars after (n,) moments in microseconds since the epoch."""
        moved: np.ndarray
        if self.months:
            numbers = _nearest_months(opens)
            moved = month_starts(numbers + n_bars * self.months) + (opens - month_starts(numbers))
        else:
            moved = opens + n_bars * self.microseconds
        return moved

    def steps(self, opens: np.ndarray) -> np.ndarray:
        """Return the distances between (n,) opens in bars, (n - 1,) floats.

        Below 1 the bars overlap, above 1 there is a gap. Days and multiples of them may be an hour shorter or longer, as days
        with a change of clocks are.
        """
        import numpy as np

        if self.months:
            return np.diff(_nearest_months(opens)) / self.months
        times = np.diff(opens)
        if self.is_whole_days:
            beyond = (times + self.microseconds // 2) % self.microseconds - self.microseconds // 2
            times = np.where(np.abs(beyond) <= _HOUR, times - beyond, times)
        return times / self.microseconds

    def __str__(self) -> str:
        if self.months:
            return f"{self.months // 12}y" if self.months % 12 == 0 else f"{self.months}mo"
        unit, length = next(
            (u, s) for u, s in sorted(_UNIT_SECONDS.items(), key=lambda kv: -kv[1]) if self.seconds % s == 0
        )
        return f"{self.seconds // length}{unit}"


def month_starts(numbers: np.ndarray) -> np.ndarray:
    """Return (n,) midnights UTC at which months begin, in microseconds since the epoch; months are counted from January 1970."""
    import numpy as np

    return np.asarray(numbers, np.int64).astype("M8[M]").astype("M8[us]").astype(np.int64)


def month_numbers(moments: np.ndarray) -> np.ndarray:
    """Return the (n,) months UTC that hold (n,) moments in microseconds since the epoch, counted from January 1970."""
    import numpy as np

    return np.asarray(moments, np.int64).astype("M8[us]").astype("M8[M]").astype(np.int64)


def _nearest_months(opens: np.ndarray) -> np.ndarray:
    return month_numbers(opens + _HALF_MONTH)
