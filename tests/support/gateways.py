"""Gateways' applications behind a real server, in a thread of this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from backtune.gateway.server import make_server_config
from backtune.gateway.settings import Settings


@contextmanager
def listening(app: Any, settings: Settings) -> Iterator[str]:
    """Serves the application as ``backtune serve`` does, on a free port; gives its host and port."""
    config = make_server_config(app, settings)
    config.port = 0
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server has ended"
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
