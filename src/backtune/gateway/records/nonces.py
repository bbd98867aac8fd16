"""Nonces in the database: each is taken once, whichever worker it comes to, also after a restart."""

from __future__ import annotations

from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from backtune.errors import RecordsError
from backtune.gateway.records.database import Database
from backtune.gateway.records.security_tables import NONCES


class Nonces:
    """Those of signed requests within the window. Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, key_id: str, nonce: str, *, expires_at: float, now: float) -> bool:
        """Whether it is this key's first time; those that have expired are dropped on the way.

        Raises:
            RecordsError: the database does not answer, and the request is not to be let in.
        """
        try:
            with self._database.writing() as connection:
                connection.execute(delete(NONCES).where(NONCES.c.expires_at < now))
                connection.execute(insert(NONCES).values(key_id=key_id, nonce=nonce, expires_at=expires_at))
        except RecordsError as error:
            if isinstance(error.__cause__, IntegrityError):
                return False
            raise
        return True
