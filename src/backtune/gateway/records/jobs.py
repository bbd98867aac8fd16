"""Jobs in the database. Every change names the state that it expects, so that two who act at once cannot both succeed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from backtune.errors import RecordsError
from backtune.gateway.records.database import Database
from backtune.gateway.records.tables import JOBS
from backtune.gateway.records.values import OPEN, RESUMABLE, End, FinalState, JobRecord, NewJob, State, Status

# A spec may be long, and few want it.
_COLUMNS = [
    column
    for column in JOBS.c
    if column.name not in ("idempotency_key", "body_hash", "spec", "notified_targets", "notified_at")
]
_NO_TARGETS: Final = "|"


class OtherRequestError(RecordsError):
    """The idempotency key was used before, for a request with another body."""


class JobRecords:
    """All jobs. Safe to use from several threads and processes; all raise ``RecordsError`` where the database fails.

    Args:
        has_alerts: True where targets of alerts are notified of the jobs that this gateway ends.
    """

    def __init__(self, database: Database, *, has_alerts: bool = True) -> None:
        self._database = database
        self._has_alerts = has_alerts

    def add(self, new: NewJob) -> tuple[JobRecord, bool]:
        """Record a job, or find the one of an equal request with the same key; and whether it is a new one.

        Raises:
            OtherRequestError: the key was used for another request.
        """
        before = self._of_key(new)
        if before is not None:
            return before, False
        values = _values(new)
        try:
            with self._database.writing() as connection:
                connection.execute(insert(JOBS).values(values))
        except RecordsError as error:
            # Another request with the key was quicker.
            before = self._of_key(new) if isinstance(error.__cause__, IntegrityError) else None
            if before is None:
                raise
            return before, False
        record = self.get(values["id"])
        if record is None:
            raise RecordsError(f"{values['id']}: recorded, and not there")
        return record, True

    def get(self, job_id: str) -> JobRecord | None:
        """The job; None where there is none."""
        found = self._select(JOBS.c.id == job_id)
        return found[0] if found else None

    def spec(self, job_id: str) -> dict[str, Any]:
        """Its spec as plain data.

        Raises:
            RecordsError: there is no such job.
        """
        with self._database.reading() as connection:
            found: dict[str, Any] | None = connection.execute(
                select(JOBS.c.spec).where(JOBS.c.id == job_id)
            ).scalar()
        if found is None:
            raise RecordsError(f"{job_id}: no such job")
        return found

    def page(
        self, *, owner: str | None, statuses: list[Status], before: int | None, limit: int
    ) -> list[JobRecord]:
        """So many jobs, the latest first.

        Args:
            owner: only this key's; everyone's for None.
            statuses: only these; all if empty.
            before: only jobs with a smaller number.
        """
        states = [*statuses, *(["submitted"] if "queued" in statuses else [])]
        wanted = [
            *([JOBS.c.owner == owner] if owner is not None else []),
            *([JOBS.c.state.in_(states)] if states else []),
            *([JOBS.c.number < before] if before is not None else []),
        ]
        return self._select(and_(true(), *wanted), latest_first=True, limit=limit)

    def open_jobs(self) -> list[JobRecord]:
        """Those that have not ended, the first come first."""
        return self._select(JOBS.c.state.in_(OPEN))

    def jobs_to_notify(self, target: str, limit: int) -> list[JobRecord]:
        """Return jobs of whose end a target of alerts was not notified yet, the first to end first."""
        is_waiting = _is_notification_open() & ~_is_notified(target)
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*_COLUMNS).where(is_waiting).order_by(JOBS.c.ended_at).limit(limit)
            ).all()
        return [_record(row) for row in rows]

    def note_notified(self, records: Iterable[JobRecord], target: str) -> None:
        """Record that a target was notified of these ends, or did not ask for them."""
        notified_targets = JOBS.c.notified_targets + f"{target}|"
        with self._database.writing() as connection:
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
        with self._database.writing() as connection:
            connection.execute(
                update(JOBS).where(_is_notification_open(), are_all_notified).values(notified_at=time.time())
            )

    def counts(self) -> dict[str, int]:
        """How many jobs there are, by status."""
        with self._database.reading() as connection:
            rows = connection.execute(select(JOBS.c.state, func.count()).group_by(JOBS.c.state)).all()
        counts = dict.fromkeys(("queued", "running", "completed", "failed", "cancelled", "partial"), 0)
        for state, count in rows:
            counts["queued" if state == "submitted" else state] += count
        return counts

    def claim(self, record: JobRecord) -> bool:
        """Before Ray is asked: from now on this attempt may be there."""
        return self._change(
            record,
            JOBS.c.submission_id.is_(None) & ~JOBS.c.is_cancel_requested,
            states=("queued",),
            submission_id=record.next_submission_id,
            message=None,
        )

    def note_state(self, record: JobRecord, state: State) -> bool:
        """What is seen of an open attempt."""
        started = {"started_at": record.started_at or time.time()} if state == "running" else {}
        return self._change(record, states=OPEN, state=state, message=None, **started)

    def note_message(self, record: JobRecord, message: str | None) -> bool:
        """Why an open job is not getting on."""
        return self._change(record, states=OPEN, message=message)

    def end(self, record: JobRecord, state: FinalState, end: End, error: str | None = None) -> bool:
        """The job is over."""
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

    def next_attempt(self, record: JobRecord, *, message: str, lost: bool, delay: float) -> bool:
        """This attempt is over, the job is not: it goes back into the queue."""
        return self._change(
            record, states=OPEN, state="queued", attempt=record.attempt + 1, submission_id=None,
            n_lost=record.n_lost + 1 if lost else record.n_lost, not_before=time.time() + delay, message=message,
        )  # fmt: skip

    def ask_cancel(self, job_id: str) -> None:
        """End an open job: at once where Ray was not asked yet, else as soon as Ray has stopped it."""
        is_it = JOBS.c.id == job_id
        with self._database.writing() as connection:
            connection.execute(
                update(JOBS).where(is_it, JOBS.c.state.in_(OPEN)).values(is_cancel_requested=True)
            )
            waits = is_it & (JOBS.c.state == "queued") & JOBS.c.submission_id.is_(None)
            connection.execute(
                update(JOBS).where(waits)
                .values(state="cancelled", ended_at=time.time(), end=asdict(End()), message=None)
            )  # fmt: skip

    def resume(self, job_id: str) -> bool:
        """Put a job that ended without being complete into the queue again; whether it was one."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(JOBS).where(JOBS.c.id == job_id, JOBS.c.state.in_(RESUMABLE))
                .values(
                    state="queued", attempt=JOBS.c.attempt + 1, submission_id=None, is_cancel_requested=False,
                    n_lost=0, not_before=0.0, ended_at=None, message=None, error=None, end=None,
                    notified_targets=_NO_TARGETS, notified_at=None,
                )
            )  # fmt: skip
        return bool(changed.rowcount)

    def _of_key(self, new: NewJob) -> JobRecord | None:
        if new.idempotency_key is None:
            return None
        is_it = and_(JOBS.c.owner == new.owner, JOBS.c.idempotency_key == new.idempotency_key)
        with self._database.reading() as connection:
            row = connection.execute(select(JOBS.c.id, JOBS.c.body_hash).where(is_it)).first()
        if row is None:
            return None
        if row.body_hash != new.body_hash:
            raise OtherRequestError(
                f"the idempotency key was used before, for another request (job {row.id})"
            )
        return self.get(row.id)

    def _select(
        self, wanted: ColumnElement[bool], *, latest_first: bool = False, limit: int | None = None
    ) -> list[JobRecord]:
        order = JOBS.c.number.desc() if latest_first else JOBS.c.number
        with self._database.reading() as connection:
            rows = connection.execute(select(*_COLUMNS).where(wanted).order_by(order).limit(limit)).all()
        return [_record(row) for row in rows]

    def _change(
        self, record: JobRecord, *also: ColumnElement[bool], states: tuple[State, ...], **values: Any
    ) -> bool:
        """Whether the job still was as expected, in this attempt; else nothing is changed."""
        expected = and_(
            JOBS.c.id == record.id, JOBS.c.attempt == record.attempt, JOBS.c.state.in_(states), *also
        )
        with self._database.writing() as connection:
            return bool(_executed(connection, expected, values))


def _executed(connection: Connection, expected: ColumnElement[bool], values: dict[str, Any]) -> int:
    return connection.execute(update(JOBS).where(expected).values(values)).rowcount


def _values(new: NewJob) -> dict[str, Any]:
    return {
        **asdict(new), "id": f"job-{secrets.token_hex(12)}", "state": "queued", "attempt": 1,
        "is_cancel_requested": False, "n_lost": 0, "created_at": time.time(), "not_before": 0.0,
        "notified_targets": _NO_TARGETS,
    }  # fmt: skip


def _is_notification_open() -> ColumnElement[bool]:
    return JOBS.c.ended_at.is_not(None) & JOBS.c.notified_at.is_(None)


def _is_notified(target: str) -> ColumnElement[bool]:
    return JOBS.c.notified_targets.contains(f"|{target}|", autoescape=True)


def _record(row: Row[Any]) -> JobRecord:
    values = dict(row._mapping)
    end = values.pop("end")
    if end is not None:
        end = End(**{**end, "warnings": tuple(end["warnings"])})
    return JobRecord(**values, end=end)
