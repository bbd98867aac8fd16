"""The creation, rotation, revocation and recognition of API keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from backtune.errors import SpecError
from backtune.gateway.keys.principal import Role
from backtune.gateway.keys.records import KeyRecord, KeyRecords, Signing
from backtune.gateway.keys.secret import GatewaySecret
from backtune.wire.api_key import ApiKey

_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32


class KeyService:
    """The keys of a gateway.

    Only an HMAC of a key's secret, under a key derived from the gateway's secret, is stored, so that the database alone
    gives nobody access. The secret that a client signs with is needed at each signed request: it is derived from the
    gateway's secret, the key's id and its generation, and is not stored.
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
    ) -> tuple[KeyRecord, ApiKey]:
        """Create a key, and return its record and the key itself, which is stored nowhere.

        A key without a name is named after its role.

        Raises:
            RecordsError: The database does not answer.
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
        return record, self._make_key(record, secret)

    def list_all(self) -> list[KeyRecord]:
        """Return all keys, also those that are no longer valid."""
        return self._records.list_all()

    def rotate(self, key_id: str, grace_seconds: float) -> tuple[KeyRecord, ApiKey]:
        """Give a key another secret, and return its record and the new key; its id, role and jobs stay.

        The secret that it replaces stays valid for ``grace_seconds``.

        Raises:
            SpecError: There is no such key, or it is no longer valid.
        """
        before = self._find_active(key_id)
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
        return after, self._make_key(after, secret)

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key, and return its record before.

        Raises:
            SpecError: There is no such key, or it is no longer valid.
        """
        before = self._find_active(key_id)
        if not self._records.revoke(before, self._clock()):
            raise SpecError("key", "was changed by another meanwhile", value=key_id)
        return before

    def find_generation(self, record: KeyRecord, secret: bytes) -> int | None:
        """Return the generation of a key's secret; None if the secret is not valid. Every wrong secret takes as long."""
        secret_hash = self._hash(secret)
        is_current = hmac.compare_digest(secret_hash, record.secret_hash)
        is_previous = hmac.compare_digest(secret_hash, record.previous_hash or bytes(_SECRET_BYTES))
        if is_current:
            return record.generation
        is_in_grace = record.previous_until is not None and self._clock() < record.previous_until
        return record.generation - 1 if is_previous and is_in_grace else None

    def derive_signing_secret(self, key_id: str, generation: int) -> bytes:
        """Return the secret that the holder of a key signs with."""
        return self._secret.derive(f"signing/{key_id}/{generation}")

    def _find_active(self, key_id: str) -> KeyRecord:
        found = {record.id: record for record in self._records.list_all()}
        record = found.get(key_id)
        now = self._clock()
        active = [key.id for key in found.values() if key.state(now) == "active"]
        if record is None:
            raise SpecError("key", f"there is no key {key_id!r}", value=key_id, allowed=active)
        if record.state(now) != "active":
            raise SpecError("key", f"{key_id} is {record.state(now)}", value=key_id)
        return record

    def _make_key(self, record: KeyRecord, secret: bytes) -> ApiKey:
        signs = record.signing != "off"
        return ApiKey(
            record.id, secret, self.derive_signing_secret(record.id, record.generation) if signs else None
        )

    def _hash(self, secret: bytes) -> bytes:
        return hmac.new(self._pepper, secret, hashlib.sha256).digest()
