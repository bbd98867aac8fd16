"""Durations as traders write them: ``15m``, ``4h``, ``1d``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backtune.errors import SpecError

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PATTERN = re.compile(r"([1-9]\d*)([smhdw])")


@dataclass(frozen=True, order=True)
class Timeframe:
    """The length of a bar. Equal lengths are equal: ``60m`` is ``1h``."""

    seconds: int

    @classmethod
    def parse(cls, text: str, *, key: str = "timeframe") -> Timeframe:
        """Read ``15m``, ``4h``, ``1d`` and the like.

        Raises:
            SpecError: the text is not a whole number followed by one of s, m, h, d, w.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise SpecError(
                key,
                f"{text!r} is not a timeframe; write a whole number and a unit, as in 1m, 15m, 1h, 4h, 1d, 1w",
                value=text,
            )
        return cls(int(match[1]) * _UNIT_SECONDS[match[2]])

    @property
    def microseconds(self) -> int:
        return self.seconds * 1_000_000

    def __str__(self) -> str:
        unit, length = next(
            (u, s) for u, s in sorted(_UNIT_SECONDS.items(), key=lambda kv: -kv[1]) if self.seconds % s == 0
        )
        return f"{self.seconds // length}{unit}"
