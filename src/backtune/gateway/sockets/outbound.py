"""What waits to be sent on one socket."""

from __future__ import annotations

import asyncio


class Outbound:
    """Of every job the newest text alone, so that a slow reader costs a reference a job. For one event loop."""

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}
        self._some = asyncio.Event()

    def put(self, job_id: str, text: str) -> None:
        """Send this next; what waits of the same job is out of date."""
        self._newest[job_id] = text
        self._some.set()

    def drop(self, job_id: str) -> None:
        """Nothing more of that job."""
        self._newest.pop(job_id, None)

    async def next(self) -> str:
        """What has waited longest, once there is something."""
        while not self._newest:
            self._some.clear()
            await self._some.wait()
        return self._newest.pop(next(iter(self._newest)))
