"""A gateway that is about to end answers what still comes, and has every client go elsewhere for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LAST_TURNS_SECONDS: Final = 0.05


class Draining:
    """Whether it is so; in the event loop's thread.

    Attributes:
        is_on: as soon as the gateway is to end.
    """

    def __init__(self) -> None:
        self.is_on = False

    def begin(self) -> None:
        """``/ready`` says no from now on, and every answer is the last one of its connection."""
        self.is_on = True


class ClosingConnections:
    """Has every answer close its connection while the gateway drains: a connection that were merely closed might be carrying the
    next request already."""

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining.is_on:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, closing)


async def stop_accepting(servers: Sequence[asyncio.Server]) -> None:
    """Close servers whose sockets somebody else goes on with, and lose no connection.

    What was accepted last becomes a connection in the next turns of the event loop, and is dropped without a word where its
    server is closed by then.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listening in server.sockets:
            loop.remove_reader(listening)
    await asyncio.sleep(_LAST_TURNS_SECONDS)
    for server in servers:
        server.close()
