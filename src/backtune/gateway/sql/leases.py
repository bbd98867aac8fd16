"""Leases, by which one of several gateways on a database does a task."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import BigInteger, Column, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from backtune.errors import RecordsError
from backtune.gateway.sql.database import METADATA, Database

LEASES = Table(
    "leases",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("beat", BigInteger, nullable=False),
)


class Lease:
    """The right to do a task, which is renewed by increasing a counter, and lost if that is not done for some seconds.

    Other processes watch the counter by their own clocks, so that the clocks of machines need not agree.

    Every method raises :class:`~backtune.errors.RecordsError` if the database fails; then no process can rely on the lease.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        holder: str,
        seconds: float = 4.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._clock = clock
        self._watched: tuple[str, int] | None = None
        self._since = clock()

    def hold(self) -> bool:
        """Take or renew the lease, and return whether this process holds it; call this more often than every ``seconds``."""
        with self._database.begin_write() as connection:
            is_own = (LEASES.c.name == self._name) & (LEASES.c.holder == self._holder)
            renewed = connection.execute(update(LEASES).where(is_own).values(beat=LEASES.c.beat + 1))
            if renewed.rowcount:
                return True
            row = connection.execute(
                select(LEASES.c.holder, LEASES.c.beat).where(LEASES.c.name == self._name)
            ).first()
        return self._create() if row is None else self._take_over(row.holder, row.beat)

    def release(self) -> None:
        """Let another process take over at once."""
        is_own = (LEASES.c.name == self._name) & (LEASES.c.holder == self._holder)
        with self._database.begin_write() as connection:
            connection.execute(delete(LEASES).where(is_own))

    def _create(self) -> bool:
        try:
            with self._database.begin_write() as connection:
                connection.execute(insert(LEASES).values(name=self._name, holder=self._holder, beat=0))
        except RecordsError as error:
            if isinstance(error.__cause__, IntegrityError):
                return False
            raise
        return True

    def _take_over(self, holder: str, beat: int) -> bool:
        if self._watched != (holder, beat):
            self._watched, self._since = (holder, beat), self._clock()
        if self._clock() - self._since < self._seconds:
            return False
        is_unchanged = (LEASES.c.name == self._name) & (LEASES.c.holder == holder) & (LEASES.c.beat == beat)
        with self._database.begin_write() as connection:
            taken = connection.execute(
                update(LEASES).where(is_unchanged).values(holder=self._holder, beat=beat + 1)
            )
        return bool(taken.rowcount)
