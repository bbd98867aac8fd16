"""Draining: a gateway that is about to end goes on answering, and makes every client open its next connection elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Draining:
    """The state of a gateway that may be about to end; used in the event loop's thread alone.

    Attributes:
        is_on: True once the gateway is told to end: ``/ready`` answers 503, and every answer closes its connection.
    """

    is_on: bool = False


class ClosingConnections:
    """The middleware that makes every answer close its connection while the gateway drains.

    The server cannot close an idle connection by itself without losing the request that may be on its way.
    """

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining.is_on:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, send_closing)
