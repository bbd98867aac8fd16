"""Which jobs are watched over a socket, and what of them was told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from backtune.client.address import Address
from backtune.client.answers import FINAL, JobUpdate
from backtune.errors import AccessError, BusyError, GatewayError, RefusedError, SpecError, UnreachableError

# Close codes of the gateway's own are a status of HTTP and 4000.
_OWN_CODES: Final = 4000
_AGAIN: Final = (408, 429, 503)


class Watch:
    """One look after some jobs, over as many connections as it takes; it sends and receives nothing itself.

    Raises:
        SpecError: no job is named.
    """

    def __init__(self, address: Address, job_ids: Sequence[str]) -> None:
        if not job_ids:
            raise SpecError("job_ids", "name at least one job")
        self._address = address
        self._told: dict[str, JobUpdate | None] = dict.fromkeys(job_ids)

    @property
    def is_over(self) -> bool:
        """Whether every job has ended."""
        return all(told is not None and told["status"] in FINAL for told in self._told.values())

    def opening(self) -> list[str]:
        """What to send on a new connection: the key, and what is to be watched still."""
        watched = [
            job_id for job_id, told in self._told.items() if told is None or told["status"] not in FINAL
        ]
        subscriptions = [{"type": "subscribe", "job_id": job_id} for job_id in watched]
        return [json.dumps(message) for message in (self._address.first_message(), *subscriptions)]

    def take(self, text: str) -> JobUpdate | None:
        """What a message tells that is new; None where that is nothing.

        Raises:
            GatewayError: the gateway refuses the key or a job; nothing that another try would mend.
        """
        message: dict[str, Any] = json.loads(text)
        if message.get("type") == "error":
            error = error_of(int(message["status"]), str(message["detail"]))
            if isinstance(error, BusyError):
                return None
            raise error
        if message.get("type") != "job_update":
            return None
        update = cast("JobUpdate", message)
        if self._told.get(update["job_id"]) == update:
            return None
        self._told[update["job_id"]] = update
        return update


def error_of(status: int, detail: str) -> GatewayError:
    """The kind that fits; a BusyError where another try may help."""
    if status in (401, 403):
        return AccessError(detail, status=status)
    if status in _AGAIN:
        return BusyError(detail, status=status)
    if 400 <= status < 500:
        return RefusedError(detail, status=status)
    return UnreachableError(detail, status=status)


def error_of_close(code: int | None, reason: str) -> GatewayError:
    """Why the gateway closed the socket."""
    status = (code or 0) - _OWN_CODES
    if 400 <= status < 600:
        return error_of(status, reason)
    return UnreachableError(reason or "the connection was lost")
