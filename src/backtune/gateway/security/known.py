"""The keys as of a second ago, so that neither a request nor a flood of wrong keys asks the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool

from backtune.gateway.records.keys import KeyRecord, KeyRecords

_FRESH_SECONDS: Final = 1.0
_USE_SECONDS: Final = 60.0


class KnownKeys:
    """All keys, read again when they are asked for and older than a second. For one event loop.

    A key that is revoked, wherever that is done, is refused a second later at the latest.

    Args:
        now: seconds, never going back.
        clock: seconds since the epoch.
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
        self._known: dict[str, KeyRecord] = {}
        self._read_at: float | None = None
        self._used: dict[str, float] = {}
        self._turn = asyncio.Lock()

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key; None where there is none.

        Raises:
            RecordsError: the database does not answer: nobody is let in by what was true before.
        """
        if not self._is_fresh():
            async with self._turn:
                if not self._is_fresh():
                    started = self._now()
                    self._known = await run_in_threadpool(self._read)
                    self._read_at = started
        return self._known.get(key_id)

    def note_use(self, key_id: str) -> None:
        """It has let someone in."""
        self._used[key_id] = self._clock()

    def _is_fresh(self) -> bool:
        return self._read_at is not None and self._now() - self._read_at < _FRESH_SECONDS

    def _read(self) -> dict[str, KeyRecord]:
        used, self._used = self._used, {}
        late = {
            key_id: when
            for key_id, when in used.items()
            if (record := self._known.get(key_id)) is not None
            and when - (record.last_used_at or 0.0) >= _USE_SECONDS
        }
        if late:
            self._records.note_use(late)
        return {record.id: record for record in self._records.all()}
