"""The updates of watched jobs, read once a second and queued for every watcher."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from backtune.errors import RecordsError
from backtune.gateway.live.messages import format_job_update
from backtune.gateway.monitoring.logs import log
from backtune.wire.answers import Job

_ROUND_SECONDS: Final = 1.0
# Requests get their turn after so many updates: hundreds in a row would delay them all.
_MAX_UPDATES_IN_A_ROW: Final = 10


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


@dataclass
class _WatchedJob:
    """The latest update of a job, and the queues of the sockets that watch the job."""

    text: str
    watchers: set[UpdateQueue] = field(default_factory=set)


class UpdateBroadcaster:
    """A loop that reads each watched job once a second, in a thread, and not at all while no job is watched.

    For one event loop.
    """

    def __init__(self, find_job: Callable[[str], Job | None], seconds: float = _ROUND_SECONDS) -> None:
        self._find_job = find_job
        self._seconds = seconds
        self._watched: dict[str, _WatchedJob] = {}
        self._loop: asyncio.Task[None] | None = None

    def watch(self, job: Job, watcher: UpdateQueue) -> None:
        """Give a watcher the job as it is, and from now on every change."""
        # The text of the job's other watchers, so that the next update of all is never older than what this one has.
        watched = self._watched.setdefault(job["job_id"], _WatchedJob(format_job_update(job)))
        watched.watchers.add(watcher)
        watcher.put(job["job_id"], watched.text)
        if self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._run())

    def leave(self, job_id: str, watcher: UpdateQueue) -> None:
        """Give a watcher no more updates of a job."""
        watched = self._watched.get(job_id)
        if watched is not None:
            watched.watchers.discard(watcher)
            if not watched.watchers:
                del self._watched[job_id]

    async def _run(self) -> None:
        try:
            while self._watched:
                await self._broadcast_changes()
                await asyncio.sleep(self._seconds)
        finally:
            self._loop = None

    async def _broadcast_changes(self) -> None:
        try:
            texts = await asyncio.to_thread(self._read_updates, tuple(self._watched))
        except RecordsError as error:
            log.warning("updates", error=str(error))
            return
        except Exception:  # noqa: BLE001
            # Nothing may end the loop: all watchers would wait for ever.
            log.exception("updates")
            return
        for job_id, text in texts.items():
            watched = self._watched.get(job_id)
            if watched is not None and watched.text != text:
                watched.text = text
                await _broadcast(job_id, watched)

    def _read_updates(self, job_ids: Iterable[str]) -> dict[str, str]:
        jobs = {job_id: self._find_job(job_id) for job_id in job_ids}
        return {job_id: format_job_update(job) for job_id, job in jobs.items() if job is not None}


async def _broadcast(job_id: str, watched: _WatchedJob) -> None:
    for i, watcher in enumerate(tuple(watched.watchers)):
        if watcher in watched.watchers:
            watcher.put(job_id, watched.text)
        if i % _MAX_UPDATES_IN_A_ROW == _MAX_UPDATES_IN_A_ROW - 1:
            await asyncio.sleep(0)
