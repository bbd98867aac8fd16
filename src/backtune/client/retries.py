"""When to try again, and after how long."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from backtune.client.calls import Answer, Call
from backtune.errors import AccessError, BusyError, GatewayError, RefusedError, UnreachableError

_BUSY: Final = (429, 503)
_ON_THE_WAY: Final = (502, 504)
_ACCESS: Final = (401, 403)
_MEMBERS: Final = ("where", "value", "allowed", "error_id")


@dataclass(frozen=True)
class Failure:
    """There was no answer.

    Attributes:
        was_sent: whether the gateway may have got the request.
    """

    message: str
    was_sent: bool


@dataclass(frozen=True)
class Retries:
    """How patient a client is.

    Attributes:
        tries: of one call, the first among them.
        first_seconds: the pause after the first try; it doubles from then on.
        longest_seconds: of one pause, unless the gateway asks for more.
        total_seconds: of all pauses of a call.
    """

    tries: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 20.0
    total_seconds: float = 120.0


class Patience:
    """The pauses of one call, or of one outage."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._n_tries = 0
        self._waited = 0.0

    def pause(self, least_seconds: float = 0.0) -> float | None:
        """Seconds until the next try; None when it is enough.

        Half of it is by chance, so that clients that were sent away together do not come back together.

        Args:
            least_seconds: as the gateway asked for.
        """
        self._n_tries += 1
        doubled = self._retries.first_seconds * 2.0 ** (self._n_tries - 1)
        own = min(doubled, self._retries.longest_seconds) * (0.5 + 0.5 * _chance())
        seconds = max(own, least_seconds + own / 4 if least_seconds else 0.0)
        if self._n_tries >= self._retries.tries or self._waited + seconds > self._retries.total_seconds:
            return None
        self._waited += seconds
        return seconds


def settle(call: Call[Any], outcome: Answer | Failure, patience: Patience) -> Answer | float:
    """The answer where it is a good one, else the seconds until the call is to be tried again.

    Raises:
        GatewayError: of the kind that fits, where another try makes no sense or patience is at its end.
    """
    if isinstance(outcome, Answer) and outcome.status < 300:
        return outcome
    pause = None
    if _may_be_tried_again(call, outcome):
        wanted = retry_after(outcome) if isinstance(outcome, Answer) else None
        pause = patience.pause(wanted or 0.0)
    if pause is None:
        raise error_of(outcome)
    return pause


def retry_after(answer: Answer) -> float | None:
    """What the header of that name asks for, in seconds from now; None where it is not there or cannot be read."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def error_of(outcome: Answer | Failure) -> GatewayError:
    """Why a call failed, as the kind of error that fits."""
    if isinstance(outcome, Failure):
        return UnreachableError(outcome.message)
    problem = _problem(outcome)
    detail = str(problem.get("detail") or f"HTTP status {outcome.status}")
    more = {name: problem.get(name) for name in _MEMBERS}
    status = outcome.status
    if status in _ACCESS:
        return AccessError(detail, status=status, **more)
    if status in _BUSY:
        return BusyError(detail, status=status, retry_after=retry_after(outcome), **more)
    if 400 <= status < 500:
        return RefusedError(detail, status=status, **more)
    return UnreachableError(f"the gateway failed: {detail}", status=status, **more)


def _may_be_tried_again(call: Call[Any], outcome: Answer | Failure) -> bool:
    if isinstance(outcome, Failure):
        return call.is_repeatable or not outcome.was_sent
    return outcome.status in _BUSY or (outcome.status in _ON_THE_WAY and call.is_repeatable)


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        content = answer.json()
    except UnreachableError:
        return {}
    return content if isinstance(content, dict) else {}


def _chance() -> float:
    """A number from 0 to 1."""
    return secrets.randbelow(1 << 20) / (1 << 20)
