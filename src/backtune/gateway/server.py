"""The process of a gateway: uvicorn and, if no cluster is given, a Ray head of its own. The only door to uvicorn."""

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

from backtune.cluster.ray_access import LOOPBACK_HOSTS
from backtune.errors import SpecError
from backtune.gateway.app import create_app
from backtune.gateway.draining import Draining
from backtune.gateway.local_head import LocalHead
from backtune.gateway.monitoring.logs import configure_logging, log
from backtune.gateway.services import Services
from backtune.gateway.settings import Settings

_FRAME_BYTES: Final = 1 << 16
_CONNECTIONS: Final = 1000
_KEEP_ALIVE_SECONDS: Final = 30
_SHUTDOWN_SECONDS: Final = 10
_BACKLOG: Final = 2048


def serve(settings: Settings, *, drain_seconds: float = 0.0) -> None:
    """Run a gateway until it is told to stop.

    For ``drain_seconds`` after SIGTERM it goes on answering, one more request per connection.

    Raises:
        SpecError: The gateway would listen to other machines without keys, or the port is taken.
        RecordsError: The database cannot be used.
        ClusterError: The gateway's own Ray head cannot be started.
    """
    if settings.role_without_key is not None and settings.host not in LOOPBACK_HOSTS:
        raise SpecError("--no-auth", "is for this machine alone", value=settings.host, allowed=LOOPBACK_HOSTS)
    configure_logging()
    settings.own_folder.mkdir(parents=True, exist_ok=True)
    with _open_listener(settings) as listener, _open_cluster(settings) as cluster:
        app = create_app(settings, cluster.address, cluster.prepare, cluster.before_end)
        server = uvicorn.Server(make_server_config(app, settings))
        log.info("serving", host=settings.host, port=settings.port, cluster=cluster.address)
        # uvicorn restores these handlers and raises the signal that ended it again, before the head is ended.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(_serve_and_drain(server, listener, app.state.services.draining, drain_seconds))


def make_server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return the settings with which uvicorn serves the application."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # h11 is strict, so that a proxy in front and this server read a request alike, whatever else is installed.
        http="h11",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        ws_max_size=_FRAME_BYTES,
        ws_per_message_deflate=False,
        limit_concurrency=_CONNECTIONS,
        proxy_headers=bool(settings.request_limits.trusted_proxies),
        forwarded_allow_ips=list(settings.request_limits.trusted_proxies),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        backlog=_BACKLOG,
    )


async def _serve_and_drain(
    server: uvicorn.Server, listener: socket.socket, draining: Draining, drain_seconds: float
) -> None:
    """Serve until a signal ends the server; the first SIGTERM makes it drain, where there is time for that."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True

    def drain() -> None:
        if draining.is_on or not server.started:
            end()
            return
        log.info("draining", seconds=drain_seconds)
        draining.is_on = True
        loop.call_later(drain_seconds, end)

    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    # uvicorn installs its own signal handlers in its first step, which replace what was installed before.
    await asyncio.sleep(0)
    if drain_seconds > 0:
        loop.add_signal_handler(signal.SIGTERM, drain)
    await serving


@dataclass(frozen=True)
class _Cluster:
    """The Ray cluster that a gateway submits its jobs to."""

    address: str
    prepare: Callable[[], None] = lambda: None
    before_end: Callable[[Services], None] = lambda _: None


def _open_listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SpecError(
            "--port",
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}",
            value=settings.port,
        ) from error


@contextmanager
def _open_cluster(settings: Settings) -> Iterator[_Cluster]:
    if settings.address is not None:
        yield _Cluster(settings.address)
        return
    head = LocalHead(settings.own_folder)
    head.start()

    def stop_jobs(services: Services) -> None:
        if head.is_owned:
            services.reconciler.stop_jobs(settings.limits.stop_seconds)

    try:
        yield _Cluster(head.address, head.ensure_alive, stop_jobs)
    finally:
        head.stop()
