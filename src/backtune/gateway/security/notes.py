"""What the audit log is told of requests."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool

from backtune.errors import BacktuneError
from backtune.gateway.observing.logs import log
from backtune.gateway.problems import Problem
from backtune.gateway.security.asked import Asked
from backtune.gateway.security.audit import AuditEntry, AuditLog
from backtune.gateway.security.gate import Credentials
from backtune.gateway.security.guards import Guards
from backtune.gateway.security.rates import Rates

_REFUSED: Final = (401, 403)


class Notes:
    """Of the requests that change something or take seconds, and of those that were refused."""

    def __init__(self, audit: AuditLog, rates: Rates, guards: Guards) -> None:
        self._audit = audit
        self._rates = rates
        self._guards = guards

    async def admitted(self, asked: Asked) -> None:
        """Before the action: what cannot be written down is not done.

        Raises:
            BacktuneError: it cannot.
        """
        await self._write(_entry(asked, "admitted"))

    async def answered(self, asked: Asked, status: int) -> None:
        """After it: the answer is not held back where this fails, as the action was done."""
        await self._try(_entry(asked, str(status)))

    async def refused(self, asked: Asked, problem: Problem) -> None:
        """Somebody wanted in, or more than they may."""
        await self._refused(_entry(asked, _outcome(problem)), problem)

    async def socket_refused(self, given: Credentials, problem: Problem) -> None:
        """Somebody wanted in by a socket."""
        entry = AuditEntry("SOCKET /ws", _outcome(problem), given.claimed_key, address=given.address)
        await self._refused(entry, problem)

    async def _refused(self, entry: AuditEntry, problem: Problem) -> None:
        """Only those for want of a right; a flood of them is only in the log."""
        if (
            problem.status in _REFUSED
            and await self._rates.take(self._guards.refusal_rate, "refusals") is None
        ):
            await self._try(entry)

    async def _try(self, entry: AuditEntry) -> None:
        try:
            await self._write(entry)
        except BacktuneError as error:
            log().error("the audit log cannot be written", error=str(error), outcome=entry.outcome)

    async def _write(self, entry: AuditEntry) -> None:
        await run_in_threadpool(self._audit.append, entry)


def _entry(asked: Asked, outcome: str) -> AuditEntry:
    who = asked.principal
    return AuditEntry(
        action=asked.action,
        outcome=outcome,
        key_id=who.key_id if who else asked.credentials.claimed_key,
        name=who.name if who else "",
        role=who.role if who else "",
        address=asked.credentials.address,
        request_id=asked.state.get("request_id", ""),
        job_id=asked.job_id,
    )


def _outcome(problem: Problem) -> str:
    return f"{problem.status} {problem.detail}"
