"""The entries that requests leave in the audit log."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool

from backtune.errors import BacktuneError
from backtune.gateway.audit.service import AuditEntry, AuditLog
from backtune.gateway.error_answers import ErrorAnswer
from backtune.gateway.keys.authentication import Credentials
from backtune.gateway.middleware.incoming_request import IncomingRequest
from backtune.gateway.monitoring.logs import log
from backtune.gateway.rate_limits import RateLimiter
from backtune.gateway.settings import RequestLimits
from backtune.wire.signature import SOCKET_METHOD, SOCKET_PATH

_UNAUTHORIZED_STATUSES: Final = (401, 403)


class RequestAudit:
    """The recorder of requests that change something or take seconds, and of those that were refused."""

    def __init__(self, audit: AuditLog, rate_limiter: RateLimiter, limits: RequestLimits) -> None:
        self._audit = audit
        self._rate_limiter = rate_limiter
        self._limits = limits

    async def record_admission(self, request: IncomingRequest) -> None:
        """Record a request before its action, which is not done if that fails.

        Raises:
            BacktuneError: The entry cannot be written.
        """
        await run_in_threadpool(self._audit.append, _make_entry(request, "admitted"))

    async def record_answer(self, request: IncomingRequest, status: int) -> None:
        """Record the answer to a request, which is sent even if that fails: the action was done."""
        await self._try_to_append(_make_entry(request, str(status)))

    async def record_refusal(self, request: IncomingRequest, answer: ErrorAnswer) -> None:
        """Record a request that was refused because it lacks a valid key or a permission."""
        await self._record_unauthorized(_make_entry(request, f"{answer.status} {answer.detail}"), answer)

    async def record_socket_refusal(self, credentials: Credentials, answer: ErrorAnswer) -> None:
        """Record a socket that was refused because it lacks a valid key or a permission."""
        outcome = f"{answer.status} {answer.detail}"
        entry = AuditEntry(
            f"{SOCKET_METHOD} {SOCKET_PATH}", outcome, credentials.claimed_key_id, address=credentials.address
        )
        await self._record_unauthorized(entry, answer)

    async def _record_unauthorized(self, entry: AuditEntry, answer: ErrorAnswer) -> None:
        """Record a refusal with status 401 or 403, up to the rate limit of refusals; the gateway's log has all of them."""
        if answer.status not in _UNAUTHORIZED_STATUSES:
            return
        if await self._rate_limiter.count_event(self._limits.refusal_rate, "refusals") is None:
            await self._try_to_append(entry)

    async def _try_to_append(self, entry: AuditEntry) -> None:
        try:
            await run_in_threadpool(self._audit.append, entry)
        except BacktuneError as error:
            log.error("the audit log cannot be written", error=str(error), outcome=entry.outcome)


def _make_entry(request: IncomingRequest, outcome: str) -> AuditEntry:
    principal = request.principal
    return AuditEntry(
        action=request.action,
        outcome=outcome,
        key_id=principal.key_id if principal else request.credentials.claimed_key_id,
        name=principal.name if principal else "",
        role=principal.role if principal else "",
        address=request.credentials.address,
        request_id=request.state.get("request_id", ""),
        job_id=request.job_id,
    )
