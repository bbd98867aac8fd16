"""One socket, from its key to its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, assert_never

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from backtune.errors import RecordsError
from backtune.gateway.problems import Problem
from backtune.gateway.schemas import Job
from backtune.gateway.security.principal import Principal
from backtune.gateway.security.roles import owns
from backtune.gateway.settings import SocketLimits
from backtune.gateway.sockets.messages import Auth, Ping, Subscribe, Unsubscribe, read, written
from backtune.gateway.sockets.outbound import Outbound
from backtune.gateway.sockets.updates import JobUpdates

# Where a status of HTTP fits, the close code is 4000 more.
_OWN_CODES: Final = 4000
_TEXT_ALONE: Final = 1003
_SLOW: Final = 4008


@dataclass(frozen=True)
class Doors:
    """What a session asks the gateway.

    Attributes:
        admit: whose socket it is; raises ``Problem`` where that is not known.
        still_admits: whether its key still holds; may raise ``RecordsError``.
        look: the job as it is now; may raise ``RecordsError``.
        updates: of jobs that are watched.
    """

    admit: Callable[[Auth], Awaitable[Principal]]
    still_admits: Callable[[Principal], Awaitable[bool]]
    look: Callable[[str], Job | None]
    updates: JobUpdates


class _Over(Exception):  # noqa: N818
    """The socket is to be closed."""

    def __init__(self, code: int, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(detail)


class Session:
    """An accepted socket."""

    def __init__(self, socket: WebSocket, doors: Doors, limits: SocketLimits) -> None:
        self._socket = socket
        self._doors = doors
        self._limits = limits
        self._outbound = Outbound()
        self._jobs: set[str] = set()
        self._budget = _Budget(limits.messages_per_second)

    async def run(self) -> None:
        """Until either side ends it."""
        try:
            principal = await self._authenticated()
            await _first_to_end(self._read_all(principal), self._push_all(), self._check(principal))
        except _Over as over:
            await self._close(over)
        except WebSocketDisconnect:
            pass
        finally:
            for job_id in self._jobs:
                self._doors.updates.leave(job_id, self._outbound)

    async def _authenticated(self) -> Principal:
        try:
            async with asyncio.timeout(self._limits.auth_seconds):
                message = await self._next()
        except TimeoutError:
            raise _Over(_OWN_CODES + 408, "no auth message in time") from None
        if isinstance(message, str):
            raise _Over(_OWN_CODES + 400, message)
        if not isinstance(message, Auth):
            raise _Over(_OWN_CODES + 401, "the first message must be of type auth")
        try:
            principal = await self._doors.admit(message)
        except Problem as problem:
            raise _Over(_OWN_CODES + problem.status, problem.detail) from None
        await self._send(written("authenticated", role=principal.role))
        return principal

    async def _read_all(self, principal: Principal) -> None:
        while True:
            message = await self._next()
            match message:
                case str():
                    await self._refuse(400, message)
                case Subscribe(job_id=job_id):
                    await self._subscribe(principal, job_id)
                case Unsubscribe(job_id=job_id):
                    self._leave(job_id)
                    await self._send(written("unsubscribed", job_id=job_id))
                case Ping():
                    await self._send(written("pong"))
                case Auth():
                    await self._refuse(400, "the socket is authenticated already")
                case _:
                    assert_never(message)

    async def _subscribe(self, principal: Principal, job_id: str) -> None:
        if len(self._jobs) >= self._limits.jobs and job_id not in self._jobs:
            await self._refuse(429, f"a socket watches {self._limits.jobs} jobs at most", job_id=job_id)
            return
        try:
            view = await run_in_threadpool(self._doors.look, job_id)
        except RecordsError:
            await self._refuse(503, "the records do not answer", job_id=job_id)
            return
        if view is None or not owns(principal, view.owner, "look"):
            await self._refuse(404, f"there is no job {job_id}", job_id=job_id)
            return
        await self._send(written("subscribed", job_id=job_id))
        self._jobs.add(job_id)
        self._doors.updates.watch(view, self._outbound)

    def _leave(self, job_id: str) -> None:
        self._jobs.discard(job_id)
        self._doors.updates.leave(job_id, self._outbound)
        self._outbound.drop(job_id)

    async def _push_all(self) -> None:
        while True:
            await self._send(await self._outbound.next())

    async def _check(self, principal: Principal) -> None:
        while True:
            await asyncio.sleep(self._limits.check_seconds)
            with contextlib.suppress(RecordsError):
                if not await self._doors.still_admits(principal):
                    raise _Over(_OWN_CODES + 401, "the key no longer holds")

    async def _next(self) -> Auth | Subscribe | Unsubscribe | Ping | str:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        if not self._budget.spend():
            raise _Over(_OWN_CODES + 429, "too many messages")
        text = received.get("text")
        if text is None:
            raise _Over(_TEXT_ALONE, "text frames alone")
        return read(text)

    async def _refuse(self, status: int, detail: str, **more: str) -> None:
        await self._send(written("error", status=status, detail=detail, **more))

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await self._socket.send_text(text)
        except TimeoutError:
            raise _Over(_SLOW, "the client does not take what it asked for") from None

    async def _close(self, over: _Over) -> None:
        """Say why, where that is still taken, and end it."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(1.0):
                if over.code >= _OWN_CODES + 400:
                    status = over.code - _OWN_CODES
                    await self._socket.send_text(written("error", status=status, detail=over.detail))
                # A reason has 123 bytes at most.
                await self._socket.close(over.code, over.detail.encode()[:120].decode(errors="ignore"))


class _Budget:
    """How many messages the client has left; a minute's are there at the start."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._most = 60 * per_second
        self._left = self._most
        self._at = time.monotonic()

    def spend(self) -> bool:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def _first_to_end(*parts: Awaitable[None]) -> None:
    """Run all until the first ends, end the others, and pass on how it ended."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # Not gather: cancelled from outside meanwhile, it loses by whom.
        await asyncio.wait(tasks)
        ends = [None if task.cancelled() else task.exception() for task in tasks]
    for task, error in zip(tasks, ends, strict=True):
        if task in done and error is not None:
            raise error
