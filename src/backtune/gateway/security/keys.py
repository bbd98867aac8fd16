"""API keys: made, rotated, revoked, and known again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from backtune.errors import SpecError
from backtune.gateway.records.keys import KeyRecord, KeyRecords, Signing
from backtune.gateway.security.key_text import KeyText
from backtune.gateway.security.principal import Role
from backtune.gateway.security.secret import GatewaySecret

_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32


class Keys:
    """The keys of a gateway.

    Of a key's secret only an HMAC under a pepper is kept, so that the database alone lets nobody in. What a client signs
    with must be known here at each request: it is derived from the gateway's secret, the key's id and how often it was
    rotated, and kept nowhere.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self, records: KeyRecords, secret: GatewaySecret, clock: Callable[[], float] = time.time
    ) -> None:
        self._records = records
        self._secret = secret
        self._pepper = secret.derive("pepper")
        self._clock = clock

    def create(
        self,
        role: Role,
        *,
        name: str = "",
        expires_seconds: float | None = None,
        signing: Signing = "off",
        rate: str | None = None,
    ) -> tuple[KeyRecord, KeyText]:
        """A new key, and its text, which is nowhere else.

        Raises:
            RecordsError: the database does not answer.
        """
        now = self._clock()
        key_id = secrets.token_hex(_ID_BYTES)
        secret = secrets.token_bytes(_SECRET_BYTES)
        record = KeyRecord(
            id=key_id,
            name=name or f"{role}-{key_id[:4]}",
            role=role,
            signing=signing,
            rate=rate,
            generation=1,
            secret_hash=self._hash(secret),
            created_at=now,
            expires_at=None if expires_seconds is None else now + expires_seconds,
        )
        self._records.add(record)
        return record, self._text(record, secret)

    def all(self) -> list[KeyRecord]:
        """Every key there ever was."""
        return self._records.all()

    def rotate(self, key_id: str, grace_seconds: float) -> tuple[KeyRecord, KeyText]:
        """Another secret for a key, which keeps its id, role and jobs; the one before holds a while longer.

        Raises:
            SpecError: there is no such key, or it holds no more.
        """
        before = self._active(key_id)
        secret = secrets.token_bytes(_SECRET_BYTES)
        until = self._clock() + grace_seconds
        if not self._records.rotate(before, self._hash(secret), until):
            raise SpecError("key", "was changed by another meanwhile", value=key_id)
        after = replace(
            before,
            generation=before.generation + 1,
            secret_hash=self._hash(secret),
            previous_hash=before.secret_hash,
            previous_until=until,
        )
        return after, self._text(after, secret)

    def revoke(self, key_id: str) -> KeyRecord:
        """End a key.

        Raises:
            SpecError: there is no such key, or it holds no more.
        """
        before = self._active(key_id)
        if not self._records.revoke(before, self._clock()):
            raise SpecError("key", "was changed by another meanwhile", value=key_id)
        return before

    def generation_of(self, record: KeyRecord, secret: bytes) -> int | None:
        """Which of the key's secrets that is; None where it is none that holds. Takes as long for every wrong one."""
        given = self._hash(secret)
        is_current = hmac.compare_digest(given, record.secret_hash)
        is_previous = hmac.compare_digest(given, record.previous_hash or bytes(_SECRET_BYTES))
        if is_current:
            return record.generation
        holds = record.previous_until is not None and self._clock() < record.previous_until
        return record.generation - 1 if is_previous and holds else None

    def signing_secret(self, key_id: str, generation: int) -> bytes:
        """What the holder of a key signs with."""
        return self._secret.derive(f"signing/{key_id}/{generation}")

    def _active(self, key_id: str) -> KeyRecord:
        found = {record.id: record for record in self._records.all()}
        record = found.get(key_id)
        now = self._clock()
        active = [one.id for one in found.values() if one.state(now) == "active"]
        if record is None:
            raise SpecError("key", f"there is no key {key_id!r}", value=key_id, allowed=active)
        if record.state(now) != "active":
            raise SpecError("key", f"{key_id} is {record.state(now)}", value=key_id)
        return record

    def _text(self, record: KeyRecord, secret: bytes) -> KeyText:
        signs = record.signing != "off"
        return KeyText(
            record.id, secret, self.signing_secret(record.id, record.generation) if signs else None
        )

    def _hash(self, secret: bytes) -> bytes:
        return hmac.new(self._pepper, secret, hashlib.sha256).digest()
