"""The rows of the audit log in the database, which are only ever added at its end."""

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
    """One entry of the audit log.

    Attributes:
        number: The position in the log, counted from 1 without a gap.
        entry: The content, as JSON.
        digest: The HMAC of this entry and, through the digest before it, of all earlier ones.
    """

    number: int
    entry: str
    digest: str


class AuditRecords:
    """All rows. Safe to use from several threads and processes; all raise ``RecordsError`` where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, make_row: Callable[[AuditRow | None], AuditRow]) -> AuditRow:
        """Add the row that ``make_row`` returns for the last row, and return it."""
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _APPEND_LOCK})
            last = connection.execute(select(AUDIT).order_by(AUDIT.c.number.desc()).limit(1)).first()
            row = make_row(None if last is None else AuditRow(**last._mapping))
            connection.execute(insert(AUDIT).values(number=row.number, entry=row.entry, digest=row.digest))
        return row

    def read_all(self) -> Iterator[AuditRow]:
        """Yield all rows in order, read in batches so that writers do not wait."""
        last_number: int | None = None
        while True:
            rest = select(AUDIT).order_by(AUDIT.c.number).limit(_BATCH)
            if last_number is not None:
                rest = rest.where(AUDIT.c.number > last_number)
            with self._database.reading() as connection:
                rows = connection.execute(rest).all()
            if not rows:
                return
            yield from (AuditRow(**row._mapping) for row in rows)
            last_number = rows[-1].number

    def read_last(self, limit: int) -> list[AuditRow]:
        """Return the last rows, the latest last."""
        with self._database.reading() as connection:
            rows = connection.execute(select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)).all()
        return [AuditRow(**row._mapping) for row in reversed(rows)]
