"""Looks at the jobs that are watched, and tells every watcher of a job what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from backtune.errors import RecordsError
from backtune.gateway.observing.logs import log
from backtune.gateway.schemas import Job
from backtune.gateway.sockets.messages import job_update
from backtune.gateway.sockets.outbound import Outbound

_ROUND_SECONDS: Final = 1.0
# Between so many watchers others get their turn: hundreds of sends in a row would be a pause for every request.
_TOLD_IN_A_ROW: Final = 10


@dataclass
class _Watched:
    text: str
    watchers: set[Outbound] = field(default_factory=set)


class JobUpdates:
    """One look a second at each watched job, in a thread; none while nobody watches. For one event loop.

    Args:
        look: the job as it is now; may raise ``RecordsError``.
        seconds: between two looks.
    """

    def __init__(self, look: Callable[[str], Job | None], seconds: float = _ROUND_SECONDS) -> None:
        self._look = look
        self._seconds = seconds
        self._watched: dict[str, _Watched] = {}
        self._loop: asyncio.Task[None] | None = None

    def watch(self, view: Job, watcher: Outbound) -> None:
        """Tell the job as it is in ``view``, and from now on whenever it has changed."""
        watched = self._watched.setdefault(view.job_id, _Watched(job_update(view)))
        watched.watchers.add(watcher)
        watcher.put(view.job_id, job_update(view))
        if self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._run())

    def leave(self, job_id: str, watcher: Outbound) -> None:
        """Tell it no more of the job."""
        watched = self._watched.get(job_id)
        if watched is not None:
            watched.watchers.discard(watcher)
            if not watched.watchers:
                del self._watched[job_id]

    async def _run(self) -> None:
        try:
            while self._watched:
                await self._round()
                await asyncio.sleep(self._seconds)
        finally:
            self._loop = None

    async def _round(self) -> None:
        try:
            texts = await asyncio.to_thread(self._texts, tuple(self._watched))
        except RecordsError as error:
            log().warning("updates", error=str(error))
            return
        except Exception:  # noqa: BLE001
            # Nothing may end the loop: all who watch would wait for ever.
            log().exception("updates")
            return
        for job_id, text in texts.items():
            watched = self._watched.get(job_id)
            if watched is not None and watched.text != text:
                watched.text = text
                await _tell(job_id, watched)

    def _texts(self, job_ids: Iterable[str]) -> dict[str, str]:
        views = {job_id: self._look(job_id) for job_id in job_ids}
        return {job_id: job_update(view) for job_id, view in views.items() if view is not None}


async def _tell(job_id: str, watched: _Watched) -> None:
    for i, watcher in enumerate(tuple(watched.watchers)):
        if watcher in watched.watchers:
            watcher.put(job_id, watched.text)
        if i % _TOLD_IN_A_ROW == _TOLD_IN_A_ROW - 1:
            await asyncio.sleep(0)
