"""The keys as of a second ago, so that neither a request nor a flood of wrong keys reads the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool

from backtune.gateway.keys.records import KeyRecord, KeyRecords

_CACHE_SECONDS: Final = 1.0
_USE_SECONDS: Final = 60.0


class KeyCache:
    """All keys, read again if they are older than a second when one is needed. For one event loop.

    A key that is revoked by another process is refused after a second at the latest.
    """

    def __init__(
        self,
        records: KeyRecords,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._now = now
        self._clock = clock
        self._keys: dict[str, KeyRecord] = {}
        self._read_at: float | None = None
        self._used_at: dict[str, float] = {}
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> KeyRecord | None:
        """Return a key; None if there is no key of that id.

        Raises:
            RecordsError: The database does not answer; older keys are not used then.
        """
        if not self._is_recent():
            async with self._lock:
                if not self._is_recent():
                    started_at = self._now()
                    self._keys = await run_in_threadpool(self._read)
                    self._read_at = started_at
        return self._keys.get(key_id)

    def note_use(self, key_id: str) -> None:
        """Note that a key was used now; the database learns it at the next reading."""
        self._used_at[key_id] = self._clock()

    def _is_recent(self) -> bool:
        return self._read_at is not None and self._now() - self._read_at < _CACHE_SECONDS

    def _read(self) -> dict[str, KeyRecord]:
        used_at, self._used_at = self._used_at, {}
        to_record = {
            key_id: moment
            for key_id, moment in used_at.items()
            if (record := self._keys.get(key_id)) is not None
            and moment - (record.last_used_at or 0.0) >= _USE_SECONDS
        }
        if to_record:
            self._records.record_use(to_record)
        return {record.id: record for record in self._records.list_all()}
