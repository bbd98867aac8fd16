"""Leases: of several gateways on one database, one does a thing at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from backtune.errors import RecordsError
from backtune.gateway.records.database import Database
from backtune.gateway.records.tables import LEASES


class Lease:
    """A turn at something, held by beating and lost by not beating for ``seconds``.

    A rival watches the beat by its own clock, so that the clocks of machines need not agree.

    Args:
        holder: names this process, and no other.
        seconds: without a beat, after which another may take over.
        clock: of seconds, never going back.
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
        """Whether the turn is this process's now; to be called more often than every ``seconds``.

        Raises:
            RecordsError: the database does not answer; then the turn is nobody's to rely on.
        """
        with self._database.writing() as connection:
            mine = (LEASES.c.name == self._name) & (LEASES.c.holder == self._holder)
            beaten = connection.execute(update(LEASES).where(mine).values(beat=LEASES.c.beat + 1))
            if beaten.rowcount:
                return True
            row = connection.execute(
                select(LEASES.c.holder, LEASES.c.beat).where(LEASES.c.name == self._name)
            ).first()
        return self._take() if row is None else self._take_over(row.holder, row.beat)

    def release(self) -> None:
        """Let another have it at once.

        Raises:
            RecordsError: the database does not answer.
        """
        mine = (LEASES.c.name == self._name) & (LEASES.c.holder == self._holder)
        with self._database.writing() as connection:
            connection.execute(delete(LEASES).where(mine))

    def _take(self) -> bool:
        try:
            with self._database.writing() as connection:
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
        theirs = (LEASES.c.name == self._name) & (LEASES.c.holder == holder) & (LEASES.c.beat == beat)
        with self._database.writing() as connection:
            taken = connection.execute(
                update(LEASES).where(theirs).values(holder=self._holder, beat=beat + 1)
            )
        return bool(taken.rowcount)
