"""The local time at which days begin, and with them the bars that are built: ``09:15 Asia/Kolkata``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from backtune.errors import SpecError

_PATTERN: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9]) (\S+)")
_UTC_NAMES: Final = ("UTC", "Etc/UTC", "Z")
_EVENING: Final = 16 * 60


@dataclass(frozen=True)
class Origin:
    """A time of day in a time zone.

    Attributes:
        minutes: The minutes since local midnight, below 1,440.
        zone: The name of the zone in the IANA time zone database.
    """

    minutes: int = 0
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str, *, key: str = "origin") -> Origin:
        """Read ``09:15 Asia/Kolkata``, ``17:00 America/New_York`` or ``00:00 UTC``.

        Raises:
            SpecError: The text is not a time and a time zone.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise SpecError(
                key,
                f"{text!r} is not a time of day and a time zone, as in '09:15 Asia/Kolkata' or '00:00 UTC'",
                value=text,
            )
        zone = "UTC" if match[3] in _UTC_NAMES else match[3]
        if not _is_zone(zone):
            raise SpecError(
                key,
                f"{zone!r} is not a time zone; write its IANA name, as in Asia/Kolkata, America/New_York or UTC",
                value=text,
            )
        return cls(int(match[1]) * 60 + int(match[2]), zone)

    @property
    def opens_the_evening_before(self) -> bool:
        """True if a day opens on the evening before its date, from 16:00 on: Monday's FX trade opens on Sunday at 17:00."""
        return self.minutes >= _EVENING

    def __str__(self) -> str:
        return f"{self.minutes // 60:02d}:{self.minutes % 60:02d} {self.zone}"


UTC_MIDNIGHT: Final = Origin()


@lru_cache(maxsize=64)
def _is_zone(zone: str) -> bool:
    if zone == "UTC":
        return True
    import polars as pl

    # Asked of the library that converts, whose list of zones does not depend on the machine.
    try:
        pl.Series([0]).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    except pl.exceptions.PolarsError:
        return False
    return True
