"""The nonces of signed requests. Each is used once, whichever worker it comes to, also after a restart."""

from __future__ import annotations

from sqlalchemy import Column, Double, String, Table, delete, insert
from sqlalchemy.exc import IntegrityError

from backtune.errors import RecordsError
from backtune.gateway.sql.database import METADATA, Database

NONCES = Table(
    "nonces",
    METADATA,
    Column("key_id", String(16), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("expires_at", Double, nullable=False, index=True),
)


class NonceRecords:
    """The table of nonces that were used. Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, key_id: str, nonce: str, *, expires_at: float, now: float) -> bool:
        """Record a nonce, delete the expired ones, and return whether this is the nonce's first use with the key.

        Times are seconds since the epoch.

        Raises:
            RecordsError: The database does not answer; then the request must be refused.
        """
        try:
            with self._database.begin_write() as connection:
                connection.execute(delete(NONCES).where(NONCES.c.expires_at < now))
                connection.execute(insert(NONCES).values(key_id=key_id, nonce=nonce, expires_at=expires_at))
        except RecordsError as error:
            if isinstance(error.__cause__, IntegrityError):
                return False
            raise
        return True
