"""The records of API keys in the database, without their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import Column, Double, Integer, LargeBinary, String, Table, insert, select, update

from backtune.gateway.sql.database import METADATA, Database

Signing = Literal["off", "optional", "required"]


KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("signing", String(10), nullable=False),
    Column("rate", String(120)),
    Column("generation", Integer, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),
    # Hash of the secret before the latest rotation, which stays valid for a while.
    Column("previous_hash", LargeBinary(32)),
    Column("previous_until", Double),
    # Times are seconds since the epoch.
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
)


@dataclass(frozen=True)
class KeyRecord:
    """A row of the table of keys. Times are seconds since the epoch; None stands for never.

    Attributes:
        id: The public name of the key, which owns the jobs that it submits.
        name: The name of the holder, for people.
        role: The role of the holder.
        signing: The rule for signatures: forbidden, allowed or required.
        rate: The rate limit of the key, such as ``600/minute``; None for the gateway's.
        generation: The number of the present secret, counted from 1; a rotation adds 1.
        secret_hash: The hash of the present secret.
        previous_hash: The hash of the secret before the latest rotation; None if there is none.
        previous_until: The time until which the secret before is valid.
    """

    id: str
    name: str
    role: str
    signing: Signing
    rate: str | None
    generation: int
    secret_hash: bytes = field(repr=False)
    created_at: float
    expires_at: float | None = None
    previous_hash: bytes | None = field(default=None, repr=False)
    previous_until: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None

    def state(self, now: float) -> Literal["active", "expired", "revoked"]:
        """Return the state of the key at a time."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "active"


class KeyRecords:
    """The table of keys. Safe to use from several threads and processes.

    Every method raises :class:`~backtune.errors.RecordsError` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: KeyRecord) -> None:
        """Record a new key."""
        with self._database.begin_write() as connection:
            connection.execute(insert(KEYS).values(asdict(record)))

    def list_all(self) -> list[KeyRecord]:
        """Return all keys, also those that are no longer valid, in the order of their creation."""
        with self._database.begin_read() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)).all()
        return [KeyRecord(**row._mapping) for row in rows]

    def rotate(self, before: KeyRecord, secret_hash: bytes, previous_until: float) -> bool:
        """Give a key another secret; return whether the key was still as expected."""
        return self._change(
            before,
            generation=before.generation + 1,
            secret_hash=secret_hash,
            previous_hash=before.secret_hash,
            previous_until=previous_until,
        )

    def revoke(self, before: KeyRecord, now: float) -> bool:
        """Revoke a key; return whether the key was still as expected."""
        return self._change(before, revoked_at=now, previous_hash=None, previous_until=None)

    def record_use(self, used_at: Mapping[str, float]) -> None:
        """Record the times at which keys were last used, by key id."""
        with self._database.begin_write() as connection:
            for key_id, moment in used_at.items():
                connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(last_used_at=moment))

    def _change(self, before: KeyRecord, **values: Any) -> bool:
        is_as_expected = (
            (KEYS.c.id == before.id) & (KEYS.c.generation == before.generation) & KEYS.c.revoked_at.is_(None)
        )
        with self._database.begin_write() as connection:
            return bool(connection.execute(update(KEYS).where(is_as_expected).values(values)).rowcount)
