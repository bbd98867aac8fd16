"""The client of a gateway for one event loop, and the one source of both clients."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import date
from types import TracebackType
from typing import Any, Final, Literal, Self, cast, overload
from urllib.parse import quote, urlencode

from backtune.client.address import Address
from backtune.client.http_messages import Answer, GatewayRequest, OptimizationConfig, Report
from backtune.client.retries import Backoff, RetryLimits, error_of_outcome, may_be_repeated
from backtune.client.transport import AsyncTransport, Transport
from backtune.wire.answers import FINAL, Asset, Health, Job, JobLogs, JobPage, JobSummary, Status, Strategy
from backtune.wire.protocol import ReportFormat

_PAGE_SIZE: Final = 200
_REPORT_SECONDS: Final = 180.0


class AsyncHyperOptClient:
    """A client of a gateway whose methods are awaited.

    Every call is tried again after a pause where that is safe and may help: when the gateway is busy (it says how long to
    wait) or cannot be reached. A start carries an idempotency key, so that two tries start one job.

    Args:
        api_base: URL of the gateway, such as ``https://gateway.example.com``.
        api_key: Key as ``backtune keys create`` printed it, which signs the requests where it can; None for a gateway
            that asks for no key.
        retries: Patience of the client.
        timeout_seconds: Longest wait for one answer, except for reports, which have three minutes.
        transport: Class that sends the requests.

    Raises:
        SpecError: ``api_base`` is no URL, or ``api_key`` is not a whole key.

    All methods raise the kind of :class:`~backtune.errors.GatewayError` that fits.
    """

    def __init__(
        self,
        api_base: str,
        api_key: str | None = None,
        *,
        retries: RetryLimits | None = None,
        timeout_seconds: float = 30.0,
        transport: type[Transport] = AsyncTransport,
    ) -> None:
        self._transport = transport(Address.of(api_base, api_key), timeout_seconds)
        self._retries = retries or RetryLimits()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def health(self) -> Health:
        """Return the gateway's sign of life."""
        return cast("Health", await self._fetch_json(GatewayRequest("GET", "/health")))

    async def get_strategies(self) -> list[Strategy]:
        """Return the strategies that may be named, with the parameters that may vary."""
        answer = await self._fetch_json(GatewayRequest("GET", "/strategies"))
        return cast("list[Strategy]", answer["strategies"])

    async def get_assets(self) -> list[Asset]:
        """Return the assets that the gateway has bars of."""
        answer = await self._fetch_json(GatewayRequest("GET", "/assets"))
        return cast("list[Asset]", answer["assets"])

    async def start_optimization(
        self, config: OptimizationConfig, *, idempotency_key: str | None = None
    ) -> str:
        """Optimise one strategy on one asset in one timeframe, and return the id of the job.

        Args:
            config: Strategy, asset, timeframe and settings of the search.
            idempotency_key: Key that always gets the same job; a random one by default.
        """
        return await self._start("/optimize/single", config.to_json(), idempotency_key)

    async def start_batch(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> str:
        """Run a whole sweep, and return the id of the job.

        Args:
            spec: Spec of the sweep as plain data.
            idempotency_key: Key that always gets the same job; a random one by default.
        """
        return await self._start("/optimize/batch", spec, idempotency_key)

    async def get_optimization_status(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return cast("Job", await self._fetch_json(GatewayRequest("GET", f"/jobs/{_quote(job_id)}")))

    async def wait_for_completion(
        self, job_id: str, poll_interval: float = 5.0, *, timeout_seconds: float | None = None
    ) -> Job:
        """Return a job when it has ended, complete or not, or as it is after ``timeout_seconds``."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            job = await self.get_optimization_status(job_id)
            left = None if until is None else until - time.monotonic()
            if job["status"] in FINAL or (left is not None and left <= 0):
                return job
            await self._transport.sleep(poll_interval if left is None else min(poll_interval, left))

    async def list_optimizations(self, statuses: Sequence[Status] = (), limit: int = 100) -> list[JobSummary]:
        """Return the latest jobs that the key may see, at most ``limit``."""
        found: list[JobSummary] = []
        cursor: str | None = None
        while len(found) < limit:
            parameters: dict[str, Any] = {"status": statuses, "limit": min(limit - len(found), _PAGE_SIZE)}
            if cursor is not None:
                parameters["cursor"] = cursor
            query = urlencode(parameters, doseq=True, quote_via=quote)
            page: JobPage = await self._fetch_json(GatewayRequest("GET", "/jobs", query))
            found += page["jobs"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    async def cancel_optimization(self, job_id: str) -> Job:
        """End a job in order, keep the trials that it has found, and return it."""
        return cast("Job", await self._fetch_json(GatewayRequest("POST", f"/jobs/{_quote(job_id)}/cancel")))

    async def resume_optimization(self, job_id: str) -> Job:
        """Continue a job that ended without being complete, and return it."""
        # A repetition after the gateway received the first one would be refused: the job runs already.
        request = GatewayRequest("POST", f"/jobs/{_quote(job_id)}/resume", is_repeatable=False)
        return cast("Job", await self._fetch_json(request))

    async def get_optimization_logs(self, job_id: str, attempt: int | None = None) -> JobLogs:
        """Return the output of the job's driver, from its latest attempt unless another one is given."""
        query = "" if attempt is None else f"attempt={int(attempt)}"
        request = GatewayRequest("GET", f"/jobs/{_quote(job_id)}/logs", query)
        return cast("JobLogs", await self._fetch_json(request))

    async def generate_pine_script(self, job_id: str) -> str:
        """Return the best candidate of a job as a Pine v6 strategy for TradingView."""
        request = GatewayRequest("POST", f"/export/pine-script/{_quote(job_id)}", seconds=_REPORT_SECONDS)
        return str((await self._fetch_json(request))["pine_script"])

    @overload
    async def get_performance_report(
        self,
        job_id: str,
        format: Literal["json"] = "json",
    ) -> dict[str, Any]: ...
    @overload
    async def get_performance_report(self, job_id: str, format: Literal["html"]) -> str: ...
    @overload
    async def get_performance_report(self, job_id: str, format: Literal["pdf", "xlsx"]) -> bytes: ...
    @overload
    async def get_performance_report(self, job_id: str, format: ReportFormat) -> Report: ...

    async def get_performance_report(self, job_id: str, format: ReportFormat = "json") -> Report:  # noqa: A002
        """Return the report of a job: plain data for JSON, text for HTML, else the bytes of the file."""
        path, query = f"/reports/{_quote(job_id)}", f"format={_quote(format)}"
        answer = await self._send(GatewayRequest("GET", path, query, seconds=_REPORT_SECONDS))
        if format == "json":
            return cast("dict[str, Any]", answer.json())
        return answer.body.decode() if format == "html" else answer.body

    async def _start(self, path: str, document: Mapping[str, Any], idempotency_key: str | None) -> str:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key or secrets.token_hex(16),
        }
        body = json.dumps(document, separators=(",", ":"), default=date.isoformat).encode()
        return str(
            (await self._fetch_json(GatewayRequest("POST", path, body=body, headers=headers)))["job_id"]
        )

    async def _fetch_json(self, request: GatewayRequest) -> Any:
        return (await self._send(request)).json()

    async def _send(self, request: GatewayRequest) -> Answer:
        backoff = Backoff(self._retries)
        while True:
            outcome = await self._transport.send(request)
            if isinstance(outcome, Answer) and outcome.status < 300:
                return outcome
            error = error_of_outcome(outcome)
            if not may_be_repeated(request, outcome):
                raise error
            await self._transport.sleep(backoff.pause_after(error))


def _quote(text: str) -> str:
    return quote(str(text), safe="")
