"""A gateway as a process: uvicorn, and a head of its own where no cluster is given. The only door to uvicorn."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from backtune.errors import SpecError
from backtune.gateway.app import create_app
from backtune.gateway.head import LocalHead
from backtune.gateway.observing.logs import configure, log
from backtune.gateway.parts import Parts
from backtune.gateway.settings import LOOPBACK, Settings

_FRAME_BYTES: Final = 1 << 16
_CONNECTIONS: Final = 1000
_KEEP_ALIVE_SECONDS: Final = 30
_SHUTDOWN_SECONDS: Final = 10


def serve(settings: Settings) -> None:
    """Run a gateway until it is told to stop.

    Raises:
        SpecError: without keys it would listen to other machines.
        RecordsError: the database cannot be used.
        ClusterError: no head can be started.
    """
    if settings.role_without_key is not None and settings.host not in LOOPBACK:
        raise SpecError("--no-auth", "is for this machine alone", value=settings.host, allowed=LOOPBACK)
    configure()
    settings.own_folder.mkdir(parents=True, exist_ok=True)
    with _cluster(settings) as (address, prepare, before_end):
        app = create_app(settings, address, prepare, before_end)
        config = server_config(app, settings)
        log().info("serving", host=settings.host, port=settings.port, cluster=address)
        # uvicorn raises the signal that ended it once more, when it has restored these: the head is still to be ended.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # Whatever else is installed; and strict, so that a proxy in front and this server read a request alike.
        http="h11",
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
    )


@contextmanager
def _cluster(settings: Settings) -> Iterator[tuple[str, Callable[[], None], Callable[[Parts], None]]]:
    """The address of the cluster, what keeps it there, and what is to be done before the gateway ends."""
    if settings.address is not None:
        yield settings.address, lambda: None, lambda _: None
        return
    head = LocalHead(settings.own_folder)
    head.start()

    def stop_jobs(parts: Parts) -> None:
        if head.is_owned:
            parts.work.stop_all(settings.limits.stop_seconds)

    try:
        yield head.address, head.ensure, stop_jobs
    finally:
        head.stop()
