"""A TCP proxy in front of gateways: it stands for the load balancer of a rolling restart."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final

_CHECK_SECONDS: Final = 0.1
_TIMEOUT_SECONDS: Final = 30.0
_CHECK: Final = b"GET /ready HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"


class Proxy:
    """Sends each new connection to one of the gateways that answer and do not drain, in turn, and never tries twice.

    Args:
        gateways: Ports of the gateways.

    Attributes:
        port: Port that the proxy listens on.
        ready: Ports of the gateways that new connections may go to, as found by the last check.
    """

    def __init__(self, gateways: Sequence[int]) -> None:
        self.port = 0
        self.ready: tuple[int, ...] = ()
        self._gateways = gateways
        self._turns = itertools.count()

    async def serve(self, listens: threading.Event) -> None:
        """Forward connections, and check the gateways again and again, until the task is cancelled."""
        async with await asyncio.start_server(self._forward, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            listens.set()
            while True:
                self.ready = tuple([port for port in self._gateways if await _is_ready(port)])
                await asyncio.sleep(_CHECK_SECONDS)

    async def _forward(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with closing(to_client):
            if not (ready := self.ready):
                return
            try:
                port = ready[next(self._turns) % len(ready)]
                from_gateway, to_gateway = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            await asyncio.gather(_copy(from_client, to_gateway), _copy(from_gateway, to_client))


@contextmanager
def proxy_to(gateways: Sequence[int]) -> Iterator[Proxy]:
    """Run a proxy in a thread while the block runs."""
    proxy, listens, loop = Proxy(gateways), threading.Event(), asyncio.new_event_loop()
    serving = loop.create_task(proxy.serve(listens))

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(asyncio.wait([serving]))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert listens.wait(10)
        yield proxy
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(10)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy bytes until either side closes the connection, and close the other side then."""
    with closing(target):
        try:
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        except ConnectionError:
            return


async def _is_ready(port: int) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            answers, questions = await asyncio.open_connection("127.0.0.1", port)
            with closing(questions):
                questions.write(_CHECK)
                answer = await answers.read()
    except (OSError, TimeoutError):
        return False
    # The status of /ready is 503 as well while the cluster is away, when jobs are still taken and shown.
    return b'"gateway":"ok"' in answer
