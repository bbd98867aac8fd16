"""The end of a gateway whose socket another one goes on with."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from backtune.gateway.draining import stop_accepting


class Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


async def answered(*, accepted_first: bool) -> bytes:
    """What a client is told that connects while the loop is busy, and whose connection is accepted in the very turn in which
    the server ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    ends: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()

    def end() -> None:
        ends.put_nowait(loop.create_task(stop_accepting([server])))

    with socket.socket() as client:
        # In a turn of the loop, timers that are due come after what is to be read, and callbacks before it.
        loop.call_later(0.0, end) if accepted_first else loop.call_soon(end)
        client.connect(server.sockets[0].getsockname())
        client.setblocking(False)
        client.send(b"hello")
        time.sleep(0.01)
        told = await asyncio.wait_for(loop.sock_recv(client, 100), 10)
        await (await ends.get())
    assert server.sockets == ()
    return told


@pytest.mark.parametrize("accepted_first", [True, False])
def test_what_is_accepted_last_is_answered(accepted_first: bool) -> None:
    assert asyncio.run(answered(accepted_first=accepted_first)) == b"HELLO"
