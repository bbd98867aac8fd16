"""API keys in the database: never their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import insert, select, update

from backtune.gateway.records.database import Database
from backtune.gateway.records.security_tables import KEYS

Signing = Literal["off", "optional", "required"]


@dataclass(frozen=True)
class KeyRecord:
    """One row.

    Attributes:
        id: names the key, and owns its jobs.
        name: for people.
        role: what it may.
        signing: whether its requests may or must be signed.
        rate: limit of its requests, such as ``600/minute``; None for the gateway's.
        generation: counts rotations, from 1.
        secret_hash: of the secret.
        previous_hash: of the secret before, which holds until ``previous_until``.
        created_at, expires_at, revoked_at, last_used_at: seconds since the epoch; None for never.
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
        """Whether it lets anyone in."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "active"


class KeyRecords:
    """All keys. Safe to use from several threads and processes; all raise ``RecordsError`` where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: KeyRecord) -> None:
        """Record a new key."""
        with self._database.writing() as connection:
            connection.execute(insert(KEYS).values(asdict(record)))

    def all(self) -> list[KeyRecord]:
        """Every key there ever was, the first made first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)).all()
        return [KeyRecord(**row._mapping) for row in rows]

    def rotate(self, before: KeyRecord, secret_hash: bytes, previous_until: float) -> bool:
        """Give a key another secret; whether it still was as expected."""
        return self._change(
            before,
            generation=before.generation + 1,
            secret_hash=secret_hash,
            previous_hash=before.secret_hash,
            previous_until=previous_until,
        )

    def revoke(self, before: KeyRecord, now: float) -> bool:
        """End a key; whether it still was as expected."""
        return self._change(before, revoked_at=now, previous_hash=None, previous_until=None)

    def note_use(self, used_at: Mapping[str, float]) -> None:
        """When keys were last used, by their ids."""
        with self._database.writing() as connection:
            for key_id, when in used_at.items():
                connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(last_used_at=when))

    def _change(self, before: KeyRecord, **values: Any) -> bool:
        is_it = (
            (KEYS.c.id == before.id) & (KEYS.c.generation == before.generation) & KEYS.c.revoked_at.is_(None)
        )
        with self._database.writing() as connection:
            return bool(connection.execute(update(KEYS).where(is_it).values(values)).rowcount)
