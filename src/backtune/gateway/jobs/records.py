"""The records of jobs in the database.

Every change names the state that it expects, so that of two changes at the same time only one succeeds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from backtune.errors import RecordsError
from backtune.gateway.jobs.job_record import OPEN, RESUMABLE, FinalState, JobEnd, JobRecord, NewJob, State
from backtune.gateway.jobs.tables import JOBS
from backtune.gateway.sql.database import Database
from backtune.wire.answers import Status

# The columns of a JobRecord. A spec may be long, and is read separately.
_RECORD_COLUMNS = [
    column
    for column in JOBS.c
    if column.name not in ("idempotency_key", "body_hash", "spec", "notified_targets", "notified_at")
]
_NO_TARGETS: Final = "|"


class IdempotencyKeyError(RecordsError):
    """Raised when an idempotency key was used before, for a request with another body."""


class JobRecords:
    """The table of jobs. Safe to use from several threads and processes.

    Every method raises :class:`~backtune.errors.RecordsError` if the database fails.
    """

    def __init__(self, database: Database, *, has_alerts: bool = True) -> None:
        self._database = database
        self._has_alerts = has_alerts

    def add(self, new: NewJob) -> tuple[JobRecord, bool]:
        """Record a job, or find the job of an equal request with the same idempotency key.

        Returns:
            The job's record, and True if it is a new one.

        Raises:
            IdempotencyKeyError: The key was used for another request.
        """
        before = self._find_repeated(new)
        if before is not None:
            return before, False
        values = {
            **asdict(new),
            "id": f"job-{secrets.token_hex(12)}",
            "state": "queued",
            "attempt": 1,
            "is_cancel_requested": False,
            "n_lost": 0,
            "created_at": time.time(),
            "not_before": 0.0,
            "notified_targets": _NO_TARGETS,
        }
        try:
            with self._database.begin_write() as connection:
                connection.execute(insert(JOBS).values(values))
        except RecordsError as error:
            # Another request with the same key was quicker.
            before = self._find_repeated(new) if isinstance(error.__cause__, IntegrityError) else None
            if before is None:
                raise
            return before, False
        record = self.get(values["id"])
        if record is None:
            raise RecordsError(f"{values['id']}: the job was recorded and cannot be found")
        return record, True

    def get(self, job_id: str) -> JobRecord | None:
        """Return a job; None if there is no job of that id."""
        found = self._select(JOBS.c.id == job_id)
        return found[0] if found else None

    def read_spec(self, job_id: str) -> dict[str, Any]:
        """Return the spec of a job as plain data.

        Raises:
            RecordsError: There is no such job.
        """
        with self._database.begin_read() as connection:
            found: dict[str, Any] | None = connection.execute(
                select(JOBS.c.spec).where(JOBS.c.id == job_id)
            ).scalar()
        if found is None:
            raise RecordsError(f"{job_id}: no such job")
        return found

    def list_page(
        self, *, owner: str | None, statuses: list[Status], before: int | None, limit: int
    ) -> list[JobRecord]:
        """Return a page of jobs, the latest first.

        Args:
            owner: The id of the key whose jobs are listed; None for the jobs of all keys.
            statuses: The statuses that are listed; an empty list for all.
            before: The number that all listed jobs are below; None to start with the latest job.
            limit: The greatest number of jobs.
        """
        states = [*statuses, *(["submitted"] if "queued" in statuses else [])]
        wanted = [
            *([JOBS.c.owner == owner] if owner is not None else []),
            *([JOBS.c.state.in_(states)] if states else []),
            *([JOBS.c.number < before] if before is not None else []),
        ]
        return self._select(and_(true(), *wanted), order=JOBS.c.number.desc(), limit=limit)

    def list_open(self) -> list[JobRecord]:
        """Return the jobs that have not ended, in the order of arrival."""
        return self._select(JOBS.c.state.in_(OPEN))

    def list_to_notify(self, target: str, limit: int) -> list[JobRecord]:
        """Return the jobs of whose end a target of alerts was not notified yet, the first to end first."""
        is_waiting = _is_notification_open() & ~_is_notified(target)
        return self._select(is_waiting, order=JOBS.c.ended_at, limit=limit)

    def record_notified(self, records: Iterable[JobRecord], target: str) -> None:
        """Record that a target was notified of these ends, or did not ask for them."""
        notified_targets = JOBS.c.notified_targets + f"{target}|"
        with self._database.begin_write() as connection:
            for record in records:
                is_this_end = (JOBS.c.id == record.id) & (JOBS.c.attempt == record.attempt)
                connection.execute(
                    update(JOBS)
                    .where(is_this_end, _is_notification_open(), ~_is_notified(target))
                    .values(notified_targets=notified_targets)
                )

    def close_notifications(self, targets: Iterable[str]) -> None:
        """Record the time at which the last of all targets was notified, on the ends for which that is so."""
        are_all_notified = and_(true(), *(_is_notified(target) for target in targets))
        with self._database.begin_write() as connection:
            connection.execute(
                update(JOBS).where(_is_notification_open(), are_all_notified).values(notified_at=time.time())
            )

    def count_by_status(self) -> dict[str, int]:
        """Return the number of jobs of each status."""
        with self._database.begin_read() as connection:
            rows = connection.execute(select(JOBS.c.state, func.count()).group_by(JOBS.c.state)).all()
        counts = dict.fromkeys(("queued", "running", "completed", "failed", "cancelled", "partial"), 0)
        for state, count in rows:
            counts["queued" if state == "submitted" else state] += count
        return counts

    def claim(self, record: JobRecord) -> bool:
        """Record that Ray may have this attempt from now on, before Ray is asked; return whether that was still possible."""
        return self._change(
            record,
            JOBS.c.submission_id.is_(None) & ~JOBS.c.is_cancel_requested,
            states=("queued",),
            submission_id=record.next_submission_id,
            message=None,
        )

    def record_state(self, record: JobRecord, state: State) -> bool:
        """Record the state of an open attempt; return whether the job was still as expected."""
        started = {"started_at": record.started_at or time.time()} if state == "running" else {}
        return self._change(record, states=OPEN, state=state, message=None, **started)

    def record_message(self, record: JobRecord, message: str | None) -> bool:
        """Record the reason for which an open job is waiting; return whether the job was still as expected."""
        return self._change(record, states=OPEN, message=message)

    def record_end(self, record: JobRecord, state: FinalState, end: JobEnd, error: str | None = None) -> bool:
        """Record the end of a job; return whether the job was still as expected."""
        now = time.time()
        notified_at = None if self._has_alerts else now
        return self._change(
            record,
            states=OPEN,
            state=state,
            end=asdict(end),
            error=error,
            ended_at=now,
            message=None,
            notified_at=notified_at,
        )

    def requeue(self, record: JobRecord, *, message: str, is_lost: bool, delay: float) -> bool:
        """Put a job back into the queue after an attempt; return whether the job was still as expected.

        A lost attempt counts against the job. The delay of the next attempt is in seconds.
        """
        return self._change(
            record,
            states=OPEN,
            state="queued",
            attempt=record.attempt + 1,
            submission_id=None,
            n_lost=record.n_lost + 1 if is_lost else record.n_lost,
            not_before=time.time() + delay,
            message=message,
        )

    def request_cancel(self, job_id: str) -> None:
        """End an open job: at once if Ray was not asked yet, else as soon as Ray has stopped it."""
        is_this_job = JOBS.c.id == job_id
        is_waiting = (JOBS.c.state == "queued") & JOBS.c.submission_id.is_(None)
        request = update(JOBS).where(is_this_job, JOBS.c.state.in_(OPEN)).values(is_cancel_requested=True)
        end = (
            update(JOBS)
            .where(is_this_job, is_waiting)
            .values(state="cancelled", ended_at=time.time(), end=asdict(JobEnd()), message=None)
        )
        with self._database.begin_write() as connection:
            connection.execute(request)
            connection.execute(end)

    def resume(self, job_id: str) -> bool:
        """Put a job that ended incomplete back into the queue; return whether the job was one that can be resumed."""
        resumption = (
            update(JOBS)
            .where(JOBS.c.id == job_id, JOBS.c.state.in_(RESUMABLE))
            .values(
                state="queued",
                attempt=JOBS.c.attempt + 1,
                submission_id=None,
                is_cancel_requested=False,
                n_lost=0,
                not_before=0.0,
                ended_at=None,
                message=None,
                error=None,
                end=None,
                notified_targets=_NO_TARGETS,
                notified_at=None,
            )
        )
        with self._database.begin_write() as connection:
            return bool(connection.execute(resumption).rowcount)

    def _find_repeated(self, new: NewJob) -> JobRecord | None:
        """Return the job of an equal request with the same idempotency key; None if there is none."""
        if new.idempotency_key is None:
            return None
        has_key = and_(JOBS.c.owner == new.owner, JOBS.c.idempotency_key == new.idempotency_key)
        with self._database.begin_read() as connection:
            row = connection.execute(select(JOBS.c.id, JOBS.c.body_hash).where(has_key)).first()
        if row is None:
            return None
        if row.body_hash != new.body_hash:
            raise IdempotencyKeyError(
                f"the idempotency key was used before, for another request (job {row.id})"
            )
        return self.get(row.id)

    def _select(
        self,
        condition: ColumnElement[bool],
        *,
        order: ColumnElement[Any] = JOBS.c.number,
        limit: int | None = None,
    ) -> list[JobRecord]:
        query = select(*_RECORD_COLUMNS).where(condition).order_by(order).limit(limit)
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        return [_make_record(row) for row in rows]

    def _change(
        self, record: JobRecord, *conditions: ColumnElement[bool], states: tuple[State, ...], **values: Any
    ) -> bool:
        """Change a job if it still is in the same attempt and in one of the states; return whether it was."""
        change = (
            update(JOBS)
            .where(
                JOBS.c.id == record.id,
                JOBS.c.attempt == record.attempt,
                JOBS.c.state.in_(states),
                *conditions,
            )
            .values(values)
        )
        with self._database.begin_write() as connection:
            return bool(connection.execute(change).rowcount)


def _is_notification_open() -> ColumnElement[bool]:
    return JOBS.c.ended_at.is_not(None) & JOBS.c.notified_at.is_(None)


def _is_notified(target: str) -> ColumnElement[bool]:
    return JOBS.c.notified_targets.contains(f"|{target}|", autoescape=True)


def _make_record(row: Row[Any]) -> JobRecord:
    values = dict(row._mapping)
    end = values.pop("end")
    if end is not None:
        end = JobEnd(**{**end, "warnings": tuple(end["warnings"])})
    return JobRecord(**values, end=end)
