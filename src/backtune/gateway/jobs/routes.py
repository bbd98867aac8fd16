"""The routes of recorded jobs: their state, cancellation, resumption and logs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from backtune.errors import ClusterError
from backtune.gateway.error_answers import ErrorAnswer, declare_errors
from backtune.gateway.jobs.job_record import OPEN, RESUMABLE, JobRecord
from backtune.gateway.jobs.schemas import JobId
from backtune.gateway.jobs.service import make_summary
from backtune.gateway.keys.principal import CurrentPrincipal, Principal
from backtune.gateway.keys.roles import Action, is_allowed
from backtune.gateway.services import InjectedServices, Services
from backtune.wire.answers import Job, JobLogs, JobPage, Status

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("", responses=declare_errors(422))
def list_jobs(
    services: InjectedServices,
    principal: CurrentPrincipal,
    status: Annotated[
        list[Status] | None, Query(max_length=6, description="The statuses of the jobs to list.")
    ] = None,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,15}$", description="The cursor from the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """List the jobs that this key may see, the latest first."""
    owner = None if is_allowed(principal, "", "read") else principal.key_id
    before = int(cursor) if cursor is not None else None
    records = services.job_records.list_page(
        owner=owner, statuses=status or [], before=before, limit=limit + 1
    )
    page = records[:limit]
    next_cursor = str(page[-1].number) if len(records) > limit else None
    return JobPage(jobs=[make_summary(record) for record in page], next_cursor=next_cursor)


@router.get("/{job_id}", responses=declare_errors(404, 422))
async def read_job(job_id: JobId, services: InjectedServices, principal: CurrentPrincipal) -> Job:
    """Return the state of a job and what it has found."""
    job = services.jobs.find_cached(job_id) or await run_in_threadpool(services.jobs.find, job_id)
    if job is None or not is_allowed(principal, job["owner"], "read"):
        raise _make_not_found(job_id)
    return job


@router.post("/{job_id}/cancel", status_code=202, responses=declare_errors(404, 409, 422))
def cancel_job(job_id: JobId, services: InjectedServices, principal: CurrentPrincipal) -> Job:
    """End a job in order: its results so far are kept, and it can be resumed."""
    record = find_record(services, principal, job_id, "control")
    if record.state not in (*OPEN, "cancelled"):
        raise ErrorAnswer(409, f"the job is {record.status}; only a job that is open can be cancelled")
    services.job_records.request_cancel(job_id)
    return _read_changed_job(services, job_id)


@router.post("/{job_id}/resume", status_code=202, responses=declare_errors(404, 409, 422))
def resume_job(job_id: JobId, services: InjectedServices, principal: CurrentPrincipal) -> Job:
    """Continue a job that ended without being complete; no trial is run twice."""
    record = find_record(services, principal, job_id, "control")
    if not services.job_records.resume(job_id):
        raise ErrorAnswer(409, f"the job is {record.status}; what can be resumed is {', '.join(RESUMABLE)}")
    return _read_changed_job(services, job_id)


@router.get("/{job_id}/logs", responses=declare_errors(404, 422))
def read_job_logs(
    job_id: JobId,
    services: InjectedServices,
    principal: CurrentPrincipal,
    attempt: Annotated[int | None, Query(ge=1, le=100_000)] = None,
) -> JobLogs:
    """Return the end of the output of a job's driver, in its latest attempt by default."""
    record = find_record(services, principal, job_id, "read")
    number = attempt or record.attempt
    if number > record.attempt:
        raise ErrorAnswer(404, f"there is no attempt {number} yet")
    try:
        text = services.driver_logs.read(f"{record.id}-{number}")
    except ClusterError:
        text = ""
    limit = services.settings.limits.log_bytes
    return JobLogs(job_id=job_id, attempt=number, logs=text[-limit:], truncated=len(text) > limit)


def find_record(services: Services, principal: Principal, job_id: str, action: Action) -> JobRecord:
    """Return the record of a job that the principal may act on.

    Raises:
        ErrorAnswer: The status is 404 if there is no such job, and also if the principal may not know that there is one;
            it is 403 if the principal may only read the job.
    """
    record = services.job_records.get(job_id)
    if record is None or not is_allowed(principal, record.owner, "read"):
        raise _make_not_found(job_id)
    if not is_allowed(principal, record.owner, action):
        raise ErrorAnswer(403, f"the job is another key's, and the role {principal.role} may only look at it")
    return record


def _read_changed_job(services: Services, job_id: str) -> Job:
    services.jobs.forget(job_id)
    services.reconciler_loop.wake()
    job = services.jobs.find(job_id)
    if job is None:
        raise _make_not_found(job_id)
    return job


def _make_not_found(job_id: str) -> ErrorAnswer:
    return ErrorAnswer(404, f"there is no job {job_id}")
