"""The entries that requests leave in the audit log."""

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

_UNAUTHORIZED_STATUSES: Final = (401, 403)


class RequestAudit:
    """The recorder of requests that change something or take seconds, and of those that were refused."""

    def __init__(self, audit: AuditLog, rates: Rates, guards: Guards) -> None:
        self._audit = audit
        self._rates = rates
        self._guards = guards

    async def record_admission(self, asked: Asked) -> None:
        """Record a request before its action, which is not done if that fails.

        Raises:
            BacktuneError: The entry cannot be written.
        """
        await run_in_threadpool(self._audit.append, _make_entry(asked, "admitted"))

    async def record_answer(self, asked: Asked, status: int) -> None:
        """Record the answer to a request, which is sent even if that fails: the action was done."""
        await self._try_to_append(_make_entry(asked, str(status)))

    async def record_refusal(self, asked: Asked, problem: Problem) -> None:
        """Record a request that was refused for want of a key or a right."""
        await self._record_unauthorized(_make_entry(asked, f"{problem.status} {problem.detail}"), problem)

    async def record_socket_refusal(self, given: Credentials, problem: Problem) -> None:
        """Record a socket that was refused for want of a key or a right."""
        outcome = f"{problem.status} {problem.detail}"
        entry = AuditEntry("SOCKET /ws", outcome, given.claimed_key, address=given.address)
        await self._record_unauthorized(entry, problem)

    async def _record_unauthorized(self, entry: AuditEntry, problem: Problem) -> None:
        """Record a refusal of these statuses, up to the rate of refusals; a flood is only in the gateway's log."""
        if problem.status not in _UNAUTHORIZED_STATUSES:
            return
        if await self._rates.take(self._guards.refusal_rate, "refusals") is None:
            await self._try_to_append(entry)

    async def _try_to_append(self, entry: AuditEntry) -> None:
        try:
            await run_in_threadpool(self._audit.append, entry)
        except BacktuneError as error:
            log().error("the audit log cannot be written", error=str(error), outcome=entry.outcome)


def _make_entry(asked: Asked, outcome: str) -> AuditEntry:
    principal = asked.principal
    return AuditEntry(
        action=asked.action,
        outcome=outcome,
        key_id=principal.key_id if principal else asked.credentials.claimed_key,
        name=principal.name if principal else "",
        role=principal.role if principal else "",
        address=asked.credentials.address,
        request_id=asked.state.get("request_id", ""),
        job_id=asked.job_id,
    )
