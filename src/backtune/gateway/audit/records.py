"""The records of the audit log in the database, which are only ever added at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, insert, select, text

from backtune.gateway.sql.database import METADATA, Database

# Any number that nothing else in the database uses as an advisory lock.
_APPEND_LOCK: Final = 0x61756474
_BATCH: Final = 1000


AUDIT = Table(
    "audit",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("entry", Text, nullable=False),
    Column("digest", String(64), nullable=False),
)


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
    """The table of the audit log. Safe to use from several threads and processes.

    Every method raises :class:`~backtune.errors.RecordsError` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, make_row: Callable[[AuditRow | None], AuditRow]) -> AuditRow:
        """Add the row that ``make_row`` returns for the last row, and return it."""
        with self._database.begin_write() as connection:
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
            with self._database.begin_read() as connection:
                rows = connection.execute(rest).all()
            if not rows:
                return
            yield from (AuditRow(**row._mapping) for row in rows)
            last_number = rows[-1].number

    def read_last(self, limit: int) -> list[AuditRow]:
        """Return the last rows, the latest last."""
        with self._database.begin_read() as connection:
            rows = connection.execute(select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)).all()
        return [AuditRow(**row._mapping) for row in reversed(rows)]
