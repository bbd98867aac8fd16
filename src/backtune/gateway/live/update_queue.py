"""The updates that wait to be sent on one socket."""

from __future__ import annotations

import asyncio


class UpdateQueue:
    """A queue that holds only the newest update of every job, so that a slow client costs little memory.

    For one event loop.
    """

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}
        self._is_filled = asyncio.Event()

    def put(self, job_id: str, text: str) -> None:
        """Add the update of a job, in place of an older one that still waits."""
        self._newest[job_id] = text
        self._is_filled.set()

    def drop(self, job_id: str) -> None:
        """Remove the update of a job, if one waits."""
        self._newest.pop(job_id, None)

    async def get(self) -> str:
        """Wait for an update if there is none, then remove and return the one that has waited longest."""
        while not self._newest:
            self._is_filled.clear()
            await self._is_filled.wait()
        return self._newest.pop(next(iter(self._newest)))
