"""The session of one socket, from its key to its end."""

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
from backtune.gateway.error_answers import ErrorAnswer
from backtune.gateway.keys.principal import Principal
from backtune.gateway.keys.roles import is_allowed
from backtune.gateway.live.broadcaster import UpdateBroadcaster, UpdateQueue
from backtune.gateway.live.messages import (
    AuthMessage,
    ClientMessage,
    PingMessage,
    SubscribeMessage,
    UnsubscribeMessage,
    format_message,
    parse_message,
)
from backtune.gateway.settings import SocketLimits
from backtune.wire.answers import Job
from backtune.wire.protocol import STATUS_CLOSE_CODE

_TEXT_ONLY: Final = 1003
_SLOW_CLIENT: Final = 4008


@dataclass(frozen=True)
class SessionServices:
    """The parts of the gateway that a session uses.

    Attributes:
        authenticate: The function that returns the holder of the socket's key, and raises ``ErrorAnswer`` if the key is
            refused.
        is_still_authenticated: The function that returns whether the key is still valid, and may raise ``RecordsError``.
        find_job: The function that returns a job as it is now, and may raise ``RecordsError``.
        broadcaster: The source of updates of watched jobs.
    """

    authenticate: Callable[[AuthMessage], Awaitable[Principal]]
    is_still_authenticated: Callable[[Principal], Awaitable[bool]]
    find_job: Callable[[str], Job | None]
    broadcaster: UpdateBroadcaster


class _SocketClosing(Exception):  # noqa: N818
    """Raised when the socket is to be closed, with a close code and the reason."""

    def __init__(self, code: int, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(detail)


class LiveSession:
    """The session of an accepted socket."""

    def __init__(self, socket: WebSocket, services: SessionServices, limits: SocketLimits) -> None:
        self._socket = socket
        self._services = services
        self._limits = limits
        self._queue = UpdateQueue()
        self._job_ids: set[str] = set()
        self._budget = _MessageBudget(limits.messages_per_second)

    async def run(self) -> None:
        """Run the session until either side ends it."""
        try:
            principal = await self._authenticate()
            await _run_until_first_ends(
                self._read_messages(principal), self._push_updates(), self._check_key(principal)
            )
        except _SocketClosing as closing:
            await self._close(closing)
        except WebSocketDisconnect:
            pass
        finally:
            for job_id in self._job_ids:
                self._services.broadcaster.leave(job_id, self._queue)

    async def _authenticate(self) -> Principal:
        try:
            async with asyncio.timeout(self._limits.auth_seconds):
                message = await self._receive()
        except TimeoutError:
            raise _SocketClosing(STATUS_CLOSE_CODE + 408, "no auth message in time") from None
        if isinstance(message, str):
            raise _SocketClosing(STATUS_CLOSE_CODE + 400, message)
        if not isinstance(message, AuthMessage):
            raise _SocketClosing(STATUS_CLOSE_CODE + 401, "the first message must be of type auth")
        try:
            principal = await self._services.authenticate(message)
        except ErrorAnswer as answer:
            raise _SocketClosing(STATUS_CLOSE_CODE + answer.status, answer.detail) from None
        await self._send(format_message("authenticated", role=principal.role))
        return principal

    async def _read_messages(self, principal: Principal) -> None:
        while True:
            message = await self._receive()
            match message:
                case str():
                    await self._refuse(400, message)
                case SubscribeMessage(job_id=job_id):
                    await self._subscribe(principal, job_id)
                case UnsubscribeMessage(job_id=job_id):
                    self._job_ids.discard(job_id)
                    self._services.broadcaster.leave(job_id, self._queue)
                    self._queue.drop(job_id)
                    await self._send(format_message("unsubscribed", job_id=job_id))
                case PingMessage():
                    await self._send(format_message("pong"))
                case AuthMessage():
                    await self._refuse(400, "the socket is authenticated already")
                case _:
                    assert_never(message)

    async def _subscribe(self, principal: Principal, job_id: str) -> None:
        if len(self._job_ids) >= self._limits.jobs and job_id not in self._job_ids:
            await self._refuse(429, f"a socket watches {self._limits.jobs} jobs at most", job_id=job_id)
            return
        try:
            job = await run_in_threadpool(self._services.find_job, job_id)
        except RecordsError:
            await self._refuse(503, "the records do not answer", job_id=job_id)
            return
        if job is None or not is_allowed(principal, job["owner"], "read"):
            await self._refuse(404, f"there is no job {job_id}", job_id=job_id)
            return
        await self._send(format_message("subscribed", job_id=job_id))
        self._job_ids.add(job_id)
        self._services.broadcaster.watch(job, self._queue)

    async def _push_updates(self) -> None:
        while True:
            await self._send(await self._queue.get())

    async def _check_key(self, principal: Principal) -> None:
        while True:
            await asyncio.sleep(self._limits.check_seconds)
            with contextlib.suppress(RecordsError):
                if not await self._services.is_still_authenticated(principal):
                    raise _SocketClosing(STATUS_CLOSE_CODE + 401, "the key no longer holds")

    async def _receive(self) -> ClientMessage | str:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        if not self._budget.spend():
            raise _SocketClosing(STATUS_CLOSE_CODE + 429, "too many messages")
        text = received.get("text")
        if text is None:
            raise _SocketClosing(_TEXT_ONLY, "text frames alone")
        return parse_message(text)

    async def _refuse(self, status: int, detail: str, **members: str) -> None:
        await self._send(format_message("error", status=status, detail=detail, **members))

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await self._socket.send_text(text)
        except TimeoutError:
            raise _SocketClosing(_SLOW_CLIENT, "the client does not take what it asked for") from None

    async def _close(self, closing: _SocketClosing) -> None:
        """Send the reason, if the client still reads, and close the socket."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(1.0):
                if closing.code >= STATUS_CLOSE_CODE + 400:
                    status = closing.code - STATUS_CLOSE_CODE
                    await self._socket.send_text(
                        format_message("error", status=status, detail=closing.detail)
                    )
                # A reason may have 123 bytes.
                await self._socket.close(closing.code, closing.detail.encode()[:120].decode(errors="ignore"))


class _MessageBudget:
    """The number of messages that the client may still send; a minute's messages are there at the start."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._maximum = 60 * per_second
        self._left = self._maximum
        self._counted_at = time.monotonic()

    def spend(self) -> bool:
        """Count a message, and return whether it was within the budget."""
        now = time.monotonic()
        self._left = min(self._maximum, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def _run_until_first_ends(*awaitables: Awaitable[None]) -> None:
    """Run all until the first ends, cancel the others, and raise the error of the first if it has one."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # gather would hide that this task was cancelled from outside meanwhile.
        await asyncio.wait(tasks)
        errors = [None if task.cancelled() else task.exception() for task in tasks]
    for task, error in zip(tasks, errors, strict=True):
        if task in done and error is not None:
            raise error
