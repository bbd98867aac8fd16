"""Jobs: looked at, listed, cancelled and resumed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from backtune.errors import ClusterError
from backtune.gateway.parts import Parts, TheParts
from backtune.gateway.problems import Problem, declared
from backtune.gateway.records.values import RESUMABLE, JobRecord, Status
from backtune.gateway.schemas import Job, JobId, JobLogs, JobPage
from backtune.gateway.security.access import CurrentKey
from backtune.gateway.security.principal import Principal
from backtune.gateway.security.roles import Action, owns
from backtune.gateway.views import summary_of

router = APIRouter(prefix="/jobs", tags=["jobs"])
_OF_A_JOB = declared(404, 422)


@router.get("", responses=declared(422))
def jobs(
    parts: TheParts,
    principal: CurrentKey,
    status: Annotated[list[Status] | None, Query(max_length=6, description="Only these.")] = None,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,15}$", description="As the page before gave it.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """The jobs that may be seen, the latest first."""
    owner = None if owns(principal, "", "look") else principal.key_id
    before = int(cursor) if cursor is not None else None
    found = parts.records.page(owner=owner, statuses=status or [], before=before, limit=limit + 1)
    shown = found[:limit]
    following = str(shown[-1].number) if len(found) > limit else None
    return JobPage(jobs=[summary_of(record) for record in shown], next_cursor=following)


@router.get("/{job_id}", responses=_OF_A_JOB)
async def job(job_id: JobId, parts: TheParts, principal: CurrentKey) -> Job:
    """How far a job is, and what it found."""
    view = parts.views.fresh(job_id) or await run_in_threadpool(parts.views.look, job_id)
    if view is None or not owns(principal, view.owner, "look"):
        raise _no_such(job_id)
    return view


@router.post("/{job_id}/cancel", status_code=202, responses=declared(404, 409, 422))
def cancel(job_id: JobId, parts: TheParts, principal: CurrentKey) -> Job:
    """End a job in order: what it has found is kept, and it can be resumed."""
    record = record_of(parts, principal, job_id, "steer")
    if record.state not in ("queued", "submitted", "running", "cancelled"):
        raise Problem(409, f"the job is {record.status}; only a job that is open can be cancelled")
    parts.records.ask_cancel(job_id)
    return _changed(parts, job_id)


@router.post("/{job_id}/resume", status_code=202, responses=declared(404, 409, 422))
def resume(job_id: JobId, parts: TheParts, principal: CurrentKey) -> Job:
    """Go on with a job that ended without being complete: no trial is run twice."""
    record = record_of(parts, principal, job_id, "steer")
    if not parts.records.resume(job_id):
        raise Problem(409, f"the job is {record.status}; what can be resumed is {', '.join(RESUMABLE)}")
    return _changed(parts, job_id)


@router.get("/{job_id}/logs", responses=declared(404, 422))
def logs(
    job_id: JobId,
    parts: TheParts,
    principal: CurrentKey,
    attempt: Annotated[int | None, Query(ge=1, le=100_000)] = None,
) -> JobLogs:
    """What a job's driver printed, in its latest attempt unless told otherwise."""
    record = record_of(parts, principal, job_id, "look")
    number = attempt or record.attempt
    if number > record.attempt:
        raise Problem(404, f"there is no attempt {number} yet")
    try:
        text = parts.driver_logs.read(f"{record.id}-{number}")
    except ClusterError:
        text = ""
    limit = parts.settings.limits.log_bytes
    return JobLogs(job_id=job_id, attempt=number, logs=text[-limit:], truncated=len(text) > limit)


def record_of(parts: Parts, principal: Principal, job_id: str, action: Action) -> JobRecord:
    """A job that may be seen.

    Raises:
        Problem: 404, also where there is one that is another's: its id is no news to anyone. 403 where it may be seen
            and nothing else.
    """
    record = parts.records.get(job_id)
    if record is None or not owns(principal, record.owner, "look"):
        raise _no_such(job_id)
    if not owns(principal, record.owner, action):
        raise Problem(403, f"the job is another key's, and the role {principal.role} may only look at it")
    return record


def _changed(parts: Parts, job_id: str) -> Job:
    parts.views.forget(job_id)
    parts.keeper.wake()
    view = parts.views.look(job_id)
    if view is None:
        raise _no_such(job_id)
    return view


def _no_such(job_id: str) -> Problem:
    return Problem(404, f"there is no job {job_id}")
