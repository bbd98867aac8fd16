"""The state of a watch on some jobs, apart from the socket that it goes over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from backtune.client.address import Address
from backtune.client.retries import Backoff, RetryLimits, error_of_status
from backtune.errors import GatewayError, SpecError, UnreachableError
from backtune.wire.answers import FINAL, JobUpdate
from backtune.wire.protocol import STATUS_CLOSE_CODE

# Another connection may help after these.
_TEMPORARY: Final = (408, 429, 503)


class JobWatch:
    """The jobs that are watched, over as many connections as it takes, and the last update of each.

    Raises:
        SpecError: No job is named.
    """

    def __init__(self, address: Address, job_ids: Sequence[str], retries: RetryLimits) -> None:
        if not job_ids:
            raise SpecError("job_ids", "name at least one job")
        self._address = address
        self._retries = retries
        self._backoff = Backoff(retries)
        self._updates: dict[str, JobUpdate | None] = dict.fromkeys(job_ids)

    @property
    def is_over(self) -> bool:
        """Tell whether every job has ended."""
        return not self._open_jobs()

    def opening_messages(self) -> list[str]:
        """Return the first messages on a new connection: the key, and a subscription to every job that is open."""
        subscriptions = [{"type": "subscribe", "job_id": job_id} for job_id in self._open_jobs()]
        return [json.dumps(message) for message in (self._address.first_message(), *subscriptions)]

    def read_update(self, text: str) -> JobUpdate | None:
        """Return the update that a message brings; None where it brings none, or one that is known.

        An update ends an outage: the tries of the next one are counted anew.

        Raises:
            GatewayError: The gateway refuses the key or a job.
        """
        message: dict[str, Any] = json.loads(text)
        if message.get("type") == "error":
            error = error_of_status(int(message["status"]), str(message["detail"]))
            if error.status in _TEMPORARY:
                return None
            raise error
        if message.get("type") != "job_update":
            return None
        update = cast("JobUpdate", message)
        if self._updates.get(update["job_id"]) == update:
            return None
        self._updates[update["job_id"]] = update
        self._backoff = Backoff(self._retries)
        return update

    def pause_after(self, error: GatewayError) -> float:
        """Return the seconds until the next connection.

        Raises:
            GatewayError: The error that was given, where another connection would not help or patience is at its end.
        """
        if not isinstance(error, UnreachableError) and error.status not in _TEMPORARY:
            raise error
        return self._backoff.pause_after(error)

    def _open_jobs(self) -> list[str]:
        return [
            job_id
            for job_id, update in self._updates.items()
            if update is None or update["status"] not in FINAL
        ]


def error_of_close(code: int | None, reason: str) -> GatewayError:
    """Return the error that the close code of a socket stands for."""
    status = (code or 0) - STATUS_CLOSE_CODE
    if 400 <= status < 600:
        return error_of_status(status, reason)
    return UnreachableError(reason or "the connection was lost")
