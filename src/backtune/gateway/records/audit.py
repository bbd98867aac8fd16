"""The audit log in the database: rows are added at its end, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select, text

from backtune.gateway.records.database import Database
from backtune.gateway.records.security_tables import AUDIT

# Any number that nothing else in the database uses as an advisory lock.
_APPEND_LOCK: Final = 0x61756474
_BATCH: Final = 1000


@dataclass(frozen=True)
class AuditRow:
    """One entry.

    Attributes:
        number: counts from 1 without a gap.
        entry: JSON.
        digest: of the entry and all before it.
    """

    number: int
    entry: str
    digest: str


class AuditRecords:
    """All entries. Safe to use from several threads and processes; all raise ``RecordsError`` where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, make: Callable[[AuditRow | None], AuditRow]) -> AuditRow:
        """Add the row that ``make`` makes of the last one."""
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _APPEND_LOCK})
            last = connection.execute(select(AUDIT).order_by(AUDIT.c.number.desc()).limit(1)).first()
            row = make(None if last is None else AuditRow(**last._mapping))
            connection.execute(insert(AUDIT).values(number=row.number, entry=row.entry, digest=row.digest))
        return row

    def get(self, number: int) -> AuditRow | None:
        """The row of that number; None where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(select(AUDIT).where(AUDIT.c.number == number)).first()
        return None if row is None else AuditRow(**row._mapping)

    def in_order(self, after: int = 0) -> Iterator[AuditRow]:
        """Rows with a larger number, the first come first; read in batches, so that writers do not wait."""
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    select(AUDIT).where(AUDIT.c.number > after).order_by(AUDIT.c.number).limit(_BATCH)
                ).all()
            if not rows:
                return
            yield from (AuditRow(**row._mapping) for row in rows)
            after = rows[-1].number

    def last(self, limit: int) -> list[AuditRow]:
        """So many rows, the latest last."""
        with self._database.reading() as connection:
            rows = connection.execute(select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)).all()
        return [AuditRow(**row._mapping) for row in reversed(rows)]
