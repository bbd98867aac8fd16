"""Many sockets that watch one job, and one among them that asks for much and takes nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import socket
import struct
import time
from dataclasses import dataclass, field

from gateway_process import Gateway
from websockets.asyncio.client import ClientConnection, connect

_RECEIVED_BYTES = 4096


@dataclass
class Watching:
    """What came of it.

    Attributes:
        updates: that each socket got.
        gaps: the longest pause between two of them, seconds, by socket.
        n_asked: messages of the slow reader.
        ended_after: seconds until the gateway ended the slow reader; None where it did not.
    """

    updates: list[int] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    n_asked: int = 0
    ended_after: float | None = None

    def row(self) -> str:
        ended = f"ended after {self.ended_after:.0f} s" if self.ended_after is not None else "still open"
        return (
            f"{len(self.updates)} sockets: {min(self.updates)}-{max(self.updates)} updates each, the longest pause "
            f"{max(self.gaps):.1f} s; the one that reads nothing asked {self.n_asked:,} times, and is {ended}"
        )


async def subscribers(
    gateway: Gateway, job_id: str, n: int, seconds: float, ready: asyncio.Event
) -> Watching:
    """Open ``n`` sockets and the slow one, and watch for so long from when all are open.

    Args:
        ready: set when they are.
    """
    watching = Watching()
    async with contextlib.AsyncExitStack() as stack:
        sockets = []
        for _ in range(n):
            opened = await stack.enter_async_context(connect(f"ws://127.0.0.1:{gateway.port}/ws"))
            await opened.send(json.dumps({"type": "auth", "api_key": gateway.key}))
            await opened.send(json.dumps({"type": "subscribe", "job_id": job_id}))
            sockets.append(opened)
        until = time.monotonic() + seconds
        ready.set()
        await asyncio.gather(
            _ask_and_never_read(gateway, job_id, until, watching),
            *(_read(one, until, watching) for one in sockets),
        )
    return watching


async def _read(opened: ClientConnection, until: float, watching: Watching) -> None:
    n_updates, gap, last = 0, 0.0, time.monotonic()
    while (left := until - time.monotonic()) > 0:
        try:
            message = json.loads(await asyncio.wait_for(opened.recv(), left))
        except TimeoutError:
            break
        if message["type"] == "job_update":
            now = time.monotonic()
            n_updates, gap, last = n_updates + 1, max(gap, now - last), now
    watching.updates.append(n_updates)
    watching.gaps.append(max(gap, time.monotonic() - last))


async def _ask_and_never_read(gateway: Gateway, job_id: str, until: float, watching: Watching) -> None:
    """Subscribes as often as it may; what it is told stays with the gateway, as its own buffer is small."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_BYTES)
    line.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(line, ("127.0.0.1", gateway.port))
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(line, request.encode())
    await loop.sock_recv(line, _RECEIVED_BYTES)
    await loop.sock_sendall(line, _frame({"type": "auth", "api_key": gateway.key}))
    started = time.monotonic()
    try:
        while time.monotonic() < until and watching.ended_after is None:
            # A little slower than what ends a socket for asking too much.
            await asyncio.sleep(0.02 if watching.n_asked < 500 else 0.15)
            try:
                await loop.sock_sendall(line, _frame({"type": "subscribe", "job_id": job_id}))
                watching.n_asked += 1
            except OSError:
                watching.ended_after = time.monotonic() - started
    finally:
        line.close()


def _frame(message: dict[str, str]) -> bytes:
    """A text frame as clients send it, masked."""
    text = json.dumps(message).encode()
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack("!H", len(text))
    return b"\x81" + length + mask + masked
