"""The client of a gateway."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from backtune.client import calls
from backtune.client.address import Address
from backtune.client.answers import FINAL, Asset, Health, Job, JobLogs, JobSummary, Status, Strategy
from backtune.client.calls import Answer, Call, Format, OptimizationConfig, Report
from backtune.client.line import Line
from backtune.client.retries import Patience, Retries, settle

Read = TypeVar("Read")
_PAGE = 200


class HyperOptClient:
    """A gateway as an object. Safe to use from several threads.

    Every call is tried again after a pause where that is safe and may help: the gateway is busy (it says for how long),
    or not there. A start carries a key of its own, so that tried twice it is one job.

    Args:
        api_base: the gateway's URL, such as ``https://gateway.example.com``.
        api_key: as ``backtune keys create`` printed it; requests are signed where the key signs. None for a gateway
            that asks for none.
        retries: how patient to be.
        timeout_seconds: for one answer; reports have three minutes.

    Raises:
        SpecError: ``api_base`` is no URL, or ``api_key`` not a whole key.

    All methods raise the kind of :class:`~backtune.errors.GatewayError` that fits.
    """

    def __init__(
        self,
        api_base: str,
        api_key: str | None = None,
        *,
        retries: Retries | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._line = Line(Address.of(api_base, api_key), timeout_seconds)
        self._retries = retries or Retries()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._line.close()

    def health(self) -> Health:
        """Whether the gateway lives."""
        return self._said(calls.health())

    def get_strategies(self) -> list[Strategy]:
        """The strategies that may be named, with what may vary."""
        return self._said(calls.strategies())

    def get_assets(self) -> list[Asset]:
        """The assets that there are bars of."""
        return self._said(calls.assets())

    def start_optimization(self, config: OptimizationConfig, *, idempotency_key: str | None = None) -> str:
        """Optimise one strategy on one asset in one timeframe; the id of the job."""
        return self._said(calls.start(config, idempotency_key))

    def start_batch(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> str:
        """Run a whole sweep, given as a spec in plain data; the id of the job."""
        return self._said(calls.start_batch(spec, idempotency_key))

    def get_optimization_status(self, job_id: str) -> Job:
        """A job as it is now."""
        return self._said(calls.job(job_id))

    def wait_for_completion(
        self, job_id: str, poll_interval: float = 5.0, *, timeout_seconds: float | None = None
    ) -> Job:
        """The job when it is over, however it ended: see its ``status``; or as it is after ``timeout_seconds``."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            job = self.get_optimization_status(job_id)
            left = None if until is None else until - time.monotonic()
            if job["status"] in FINAL or (left is not None and left <= 0):
                return job
            time.sleep(poll_interval if left is None else min(poll_interval, left))

    def list_optimizations(self, statuses: Sequence[Status] = (), limit: int = 100) -> list[JobSummary]:
        """The latest jobs that the key may see, at most ``limit``."""
        found: list[JobSummary] = []
        cursor: str | None = None
        while len(found) < limit:
            page = self._said(calls.jobs(statuses, min(limit - len(found), _PAGE), cursor))
            found += page["jobs"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def cancel_optimization(self, job_id: str) -> Job:
        """End a job in order; what it has found is kept."""
        return self._said(calls.cancel(job_id))

    def resume_optimization(self, job_id: str) -> Job:
        """Go on with a job that ended without being complete."""
        return self._said(calls.resume(job_id))

    def get_optimization_logs(self, job_id: str, attempt: int | None = None) -> JobLogs:
        """What the job's driver printed, in its latest attempt unless told otherwise."""
        return self._said(calls.logs(job_id, attempt))

    def generate_pine_script(self, job_id: str) -> str:
        """The best of a job as a Pine v6 strategy for TradingView."""
        return self._said(calls.pine_script(job_id))

    @overload
    def get_performance_report(
        self,
        job_id: str,
        format: Literal["json"] = "json",
    ) -> dict[str, Any]: ...
    @overload
    def get_performance_report(self, job_id: str, format: Literal["html"]) -> str: ...
    @overload
    def get_performance_report(self, job_id: str, format: Literal["pdf", "xlsx"]) -> bytes: ...
    @overload
    def get_performance_report(self, job_id: str, format: Format) -> Report: ...

    def get_performance_report(self, job_id: str, format: Format = "json") -> Report:  # noqa: A002
        """The report of a job: plain data for JSON, text for HTML, else the bytes of the file."""
        return self._said(calls.report(job_id, format))

    def _said(self, call: Call[Read]) -> Read:
        patience = Patience(self._retries)
        while True:
            settled = settle(call, self._line.send(call), patience)
            if isinstance(settled, Answer):
                return call.read(settled)
            time.sleep(settled)
