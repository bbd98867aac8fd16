"""Pauses before an exchange is asked again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class RetryPolicy:
    """The patience of a download with an exchange that fails, or asks to wait.

    Attributes:
        tries: number of tries of one request, the first among them.
        first_seconds: the pause after the first try; it doubles from then on.
        longest_seconds: the longest such pause.
        longest_asked_seconds: the longest pause that the exchange may ask for; a longer one ends the download.
    """

    tries: int = 8
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    longest_asked_seconds: float = 300.0

    def pause(self, n_failed: int, asked_seconds: float | None) -> float | None:
        """Return the seconds until the next try, or None when it is enough.

        Half of it is by chance, so that programs that were sent away together do not come back together.
        """
        if n_failed >= self.tries or (asked_seconds or 0) > self.longest_asked_seconds:
            return None
        doubled = min(self.first_seconds * 2.0 ** (n_failed - 1), self.longest_seconds)
        own = doubled * (0.5 + 0.5 * secrets.randbelow(1_000_001) / 1_000_000)
        return own if asked_seconds is None else asked_seconds + own / 4


def parse_retry_after(text: str | None) -> float | None:
    """Read a header Retry-After, which holds seconds or a time; None where it holds neither."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
