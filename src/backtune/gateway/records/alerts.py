"""The outbox of alerts: what is to be told of jobs that have ended, once each."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from backtune.errors import RecordsError
from backtune.gateway.records.database import Database
from backtune.gateway.records.jobs import JobRecords
from backtune.gateway.records.tables import METADATA
from backtune.gateway.records.values import JobRecord

# Ends are noted by several gateways, whose clocks differ a little: so much before the mark is looked at again.
_OVERLAP_SECONDS: Final = 120.0
_KEPT_SECONDS: Final = 30 * 86_400.0
_AT_A_TIME: Final = 200
_ENDED: Final = "jobs ended"

ALERTS = Table(
    "alerts",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job_id", String(40), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", String(40), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    # waiting, sent or dropped.
    Column("state", String(16), nullable=False),
    Column("n_tries", Integer, nullable=False),
    # Alerts that went out in one message have the same one.
    Column("message", String(32)),
    # Times are seconds since the epoch.
    Column("created_at", Double, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("sent_at", Double),
    UniqueConstraint("job_id", "attempt", "kind", "target", name="one_alert_a_target"),
)

MARKS = Table(
    "alert_marks",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("at", Double, nullable=False),
)


@dataclass(frozen=True)
class Alert:
    """One that waits."""

    number: int
    title: str
    body: str
    n_tries: int


class Outbox:
    """Safe to use from several threads and processes; all raise ``RecordsError`` where the database fails.

    What had ended before there was an outbox is not told.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, jobs: JobRecords, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._seen: dict[tuple[str, int], float] = {}
        self._since = self._mark()
        self._prune()

    def ended_jobs(self) -> list[JobRecord]:
        """Jobs whose end was not looked at yet, the first to end first."""
        ended = self._jobs.ended_since(self._since - _OVERLAP_SECONDS, _AT_A_TIME + len(self._seen))
        return [record for record in ended if (record.id, record.attempt) not in self._seen]

    def looked_at(self, record: JobRecord) -> None:
        """All that is to be told of the job's end is in the outbox."""
        ended_at = record.ended_at or self._clock()
        self._since = max(self._since, ended_at)
        self._seen[(record.id, record.attempt)] = ended_at
        kept = self._since - 2 * _OVERLAP_SECONDS
        self._seen = {key: at for key, at in self._seen.items() if at >= kept}
        with self._database.writing() as connection:
            connection.execute(
                update(MARKS).where(MARKS.c.name == _ENDED, MARKS.c.at < ended_at).values(at=ended_at)
            )

    def put(self, record: JobRecord, target: str, kind: str, title: str, body: str) -> None:
        """To be told; nothing happens where it was put before."""
        values = {
            "job_id": record.id, "attempt": record.attempt, "kind": kind, "target": target, "title": title,
            "body": body, "state": "waiting", "n_tries": 0, "created_at": self._clock(), "not_before": 0.0,
        }  # fmt: skip
        try:
            with self._database.writing() as connection:
                connection.execute(insert(ALERTS).values(values))
        except RecordsError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise

    def due(self, target: str, now: float) -> list[Alert]:
        """What may go out to a target now, the oldest first."""
        wanted = (ALERTS.c.target == target) & (ALERTS.c.state == "waiting") & (ALERTS.c.not_before <= now)
        columns = (ALERTS.c.number, ALERTS.c.title, ALERTS.c.body, ALERTS.c.n_tries)
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*columns).where(wanted).order_by(ALERTS.c.number).limit(_AT_A_TIME)
            ).all()
        return [Alert(*row) for row in rows]

    def n_messages_since(self, target: str, moment: float) -> int:
        """How many messages went out to a target."""
        wanted = (ALERTS.c.target == target) & (ALERTS.c.sent_at >= moment)
        with self._database.reading() as connection:
            return int(
                connection.execute(select(func.count(ALERTS.c.message.distinct())).where(wanted)).scalar()
                or 0
            )

    def sent(self, alerts: Sequence[Alert], now: float) -> None:
        """They went out, in one message."""
        self._change(alerts, state="sent", sent_at=now, message=secrets.token_hex(16))

    def failed(self, alerts: Sequence[Alert], not_before: float) -> None:
        """They were not taken; again from then on."""
        self._change(alerts, not_before=not_before, n_tries=max(alert.n_tries for alert in alerts) + 1)

    def drop(self, alerts: Sequence[Alert]) -> None:
        """They were not taken often enough."""
        self._change(alerts, state="dropped")

    def _change(self, alerts: Sequence[Alert], **values: object) -> None:
        numbers = [alert.number for alert in alerts]
        with self._database.writing() as connection:
            connection.execute(update(ALERTS).where(ALERTS.c.number.in_(numbers)).values(values))

    def _mark(self) -> float:
        # Of what had ended before the first start, nothing is to be looked at.
        mark = self._clock() + _OVERLAP_SECONDS
        try:
            with self._database.writing() as connection:
                found = connection.execute(select(MARKS.c.at).where(MARKS.c.name == _ENDED)).scalar()
                if found is None:
                    connection.execute(insert(MARKS).values(name=_ENDED, at=mark))
        except RecordsError as error:
            # Another gateway was quicker.
            if not isinstance(error.__cause__, IntegrityError):
                raise
            found = None
        return mark if found is None else float(found)

    def _prune(self) -> None:
        old = (ALERTS.c.state != "waiting") & (ALERTS.c.created_at < self._clock() - _KEPT_SECONDS)
        with self._database.writing() as connection:
            connection.execute(delete(ALERTS).where(old))
