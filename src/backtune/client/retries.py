"""The errors of failed calls, and the pauses before the next try.

The back-off is backtune's own: stamina would write every retry to standard output through structlog, goes past its total
time by one pause, and cannot start counting anew when a socket has brought news.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from secrets import SystemRandom
from typing import Any, Final

from backtune.client.http_messages import Answer, Failure, GatewayRequest
from backtune.errors import AccessError, BusyError, GatewayError, RefusedError, UnreachableError

_BUSY: Final = (429, 503)
_LOST_ON_THE_WAY: Final = (502, 504)


@dataclass(frozen=True)
class RetryLimits:
    """The number of tries of a request, and the pauses between them.

    Attributes:
        tries: Number of tries of one call, the first one included.
        first_seconds: Pause after the first try; every further pause is twice as long.
        longest_seconds: Upper limit of one pause, unless the gateway asks for a longer one.
        total_seconds: Upper limit of the sum of all pauses of one call.
    """

    tries: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 20.0
    total_seconds: float = 120.0


class Backoff:
    """The pauses between the tries of one call, or between the connections of one outage."""

    def __init__(self, retries: RetryLimits) -> None:
        self._retries = retries
        self._n_failures = 0
        self._waited = 0.0

    def pause_after(self, error: GatewayError) -> float:
        """Return the seconds until the next try; at least as many as the gateway asked for.

        Half of a pause is random, so that clients that were turned away together do not come back together.

        Raises:
            GatewayError: The error that was given, where no try or no time is left.
        """
        self._n_failures += 1
        doubled = self._retries.first_seconds * 2.0 ** (self._n_failures - 1)
        pause = min(doubled, self._retries.longest_seconds) * SystemRandom().uniform(0.5, 1.0)
        if error.retry_after:
            pause = max(pause, error.retry_after + pause / 4)
        if self._n_failures >= self._retries.tries or self._waited + pause > self._retries.total_seconds:
            raise error
        self._waited += pause
        return pause


def may_be_repeated(request: GatewayRequest, outcome: Answer | Failure) -> bool:
    """Return whether a request that failed may be sent again, and may then succeed."""
    if isinstance(outcome, Failure):
        return request.is_repeatable or not outcome.was_sent
    return outcome.status in _BUSY or (outcome.status in _LOST_ON_THE_WAY and request.is_repeatable)


def error_of_outcome(outcome: Answer | Failure) -> GatewayError:
    """Return the error of a call that failed, with the problem that the gateway described."""
    if isinstance(outcome, Failure):
        return UnreachableError(outcome.message)
    try:
        content = outcome.json()
    except UnreachableError:
        content = None
    problem = content if isinstance(content, dict) else {}
    detail = str(problem.get("detail") or f"HTTP status {outcome.status}")
    if not 400 <= outcome.status < 500 and outcome.status not in _BUSY:
        detail = f"the gateway failed: {detail}"
    details = {name: problem.get(name) for name in ("where", "value", "allowed", "error_id")}
    return error_of_status(outcome.status, detail, retry_after=_read_retry_after(outcome), **details)


def error_of_status(status: int, detail: str, **details: Any) -> GatewayError:
    """Return the kind of error that an HTTP status stands for."""
    if status in (401, 403):
        kind: type[GatewayError] = AccessError
    elif status in _BUSY:
        kind = BusyError
    elif 400 <= status < 500:
        kind = RefusedError
    else:
        kind = UnreachableError
    return kind(detail, status=status, **details)


def _read_retry_after(answer: Answer) -> float | None:
    """Return the pause that the header Retry-After asks for, in seconds; None where it is missing or unreadable."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
