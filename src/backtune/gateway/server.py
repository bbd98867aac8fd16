"""A gateway as a process: uvicorn, and a head of its own where no cluster is given. The only door to uvicorn."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from fastapi import FastAPI

from backtune.errors import SpecError
from backtune.gateway.app import create_app
from backtune.gateway.draining import stop_accepting
from backtune.gateway.handover import Handover, Predecessor
from backtune.gateway.head import LocalHead
from backtune.gateway.observing.logs import configure, log
from backtune.gateway.parts import Parts
from backtune.gateway.settings import LOOPBACK, Settings

_FRAME_BYTES: Final = 1 << 16
_CONNECTIONS: Final = 1000
_KEEP_ALIVE_SECONDS: Final = 30
_SHUTDOWN_SECONDS: Final = 10
_BACKLOG: Final = 2048
_LOOK_SECONDS: Final = 0.05


def serve(settings: Settings, *, replace: bool = False, drain_seconds: float = 0.0) -> None:
    """Run a gateway until it is told to stop, or another one takes its port over.

    Args:
        replace: whether to take the port over from the gateway that has it on the same runs folder, once this one serves.
        drain_seconds: for how long to go on answering after SIGTERM, each connection for one more request.

    Raises:
        SpecError: without keys it would listen to other machines, or the port is taken.
        RecordsError: the database cannot be used.
        ClusterError: no head can be started.
        BusyError: another gateway is taking the port over.
    """
    if settings.role_without_key is not None and settings.host not in LOOPBACK:
        raise SpecError("--no-auth", "is for this machine alone", value=settings.host, allowed=LOOPBACK)
    configure()
    settings.own_folder.mkdir(parents=True, exist_ok=True)
    predecessor = Predecessor.find(settings.own_folder, settings.port) if replace else None
    with (
        _listening(settings) if predecessor is None else predecessor.listening as listening,
        _cluster(settings) as cluster,
    ):
        app = create_app(settings, cluster.address, cluster.prepare, cluster.before_end)
        server = uvicorn.Server(server_config(app, settings))
        log().info("serving", host=settings.host, port=settings.port, cluster=cluster.address)
        # uvicorn raises the signal that ended it once more, when it has restored these: the head is still to be ended.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        service = _Service(server, app.state.parts, listening, cluster.leave, drain_seconds)
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(service.run(predecessor))


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # Whatever else is installed; and strict, so that a proxy in front and this server read a request alike.
        http="h11",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        ws_max_size=_FRAME_BYTES,
        ws_per_message_deflate=False,
        limit_concurrency=_CONNECTIONS,
        proxy_headers=bool(settings.guards.trusted_proxies),
        forwarded_allow_ips=list(settings.guards.trusted_proxies),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        backlog=_BACKLOG,
    )


class _Service:
    """The server from its start to its end, which a signal or the next gateway brings about.

    Args:
        leave: lets the next gateway have the head.
    """

    def __init__(
        self,
        server: uvicorn.Server,
        parts: Parts,
        listening: socket.socket,
        leave: Callable[[], None],
        drain_seconds: float,
    ) -> None:
        self._server = server
        self._parts = parts
        self._listening = listening
        self._leave = leave
        self._drain_seconds = drain_seconds
        self._leaving: asyncio.Task[None] | None = None

    async def run(self, predecessor: Predecessor | None) -> None:
        """Serve, and have the predecessor end as soon as that is so."""
        loop = asyncio.get_running_loop()
        settings = self._parts.settings
        handover = Handover(
            settings.own_folder,
            settings.port,
            self._listening,
            lambda: loop.call_soon_threadsafe(self._hand_over),
        )
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._listening]))
        # In its first step it takes the signals.
        await asyncio.sleep(0)
        if self._drain_seconds > 0:
            loop.add_signal_handler(signal.SIGTERM, self._drain)
        while not (self._server.started or serving.done()):
            await asyncio.sleep(_LOOK_SECONDS)
        if self._server.started:
            if predecessor is not None:
                predecessor.relieve()
            handover.open()
        try:
            await serving
        finally:
            handover.close()

    def _drain(self) -> None:
        """On the first SIGTERM; the second one ends it at once, and so does one before it serves."""
        if self._parts.draining.is_on or not self._server.started:
            self._server.should_exit = True
            return
        log().info("draining", seconds=self._drain_seconds)
        self._parts.draining.begin()
        asyncio.get_running_loop().call_later(self._drain_seconds, self._end)

    def _hand_over(self) -> None:
        """The next gateway serves: accept no more, and end when the last connection is closed."""
        log().info("another gateway has taken over")
        self._parts.draining.begin()
        self._leave()
        self._leaving = asyncio.ensure_future(self._end_after_the_last_connection())

    async def _end_after_the_last_connection(self) -> None:
        await stop_accepting(self._server.servers)
        # An idle connection is closed after this time by itself, and nothing takes longer than a report.
        longest = _KEEP_ALIVE_SECONDS + self._parts.settings.limits.report_seconds
        until = asyncio.get_running_loop().time() + longest
        while self._has_requests() and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        self._end()

    def _has_requests(self) -> bool:
        """Whether a connection is open that may carry a request; sockets are told that the service restarts."""
        kind = self._server.config.http_protocol_class
        return any(isinstance(one, kind) for one in self._server.server_state.connections)

    def _end(self) -> None:
        self._server.should_exit = True


@dataclass(frozen=True)
class _Cluster:
    """What a gateway works with.

    Attributes:
        address: of the dashboard.
        prepare: keeps it there.
        before_end: to be done before the gateway ends.
        leave: to be done where another gateway goes on.
    """

    address: str
    prepare: Callable[[], None] = lambda: None
    before_end: Callable[[Parts], None] = lambda _: None
    leave: Callable[[], None] = lambda: None


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SpecError(
            "--port",
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}; "
            "--replace takes it over from a gateway on the same runs folder",
            value=settings.port,
        ) from error


@contextmanager
def _cluster(settings: Settings) -> Iterator[_Cluster]:
    if settings.address is not None:
        yield _Cluster(settings.address)
        return
    head = LocalHead(settings.own_folder)
    head.start()

    def stop_jobs(parts: Parts) -> None:
        if head.is_owned:
            parts.work.stop_all(settings.limits.stop_seconds)

    try:
        yield _Cluster(head.address, head.ensure, stop_jobs, head.leave)
    finally:
        head.stop()
