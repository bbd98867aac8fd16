"""A gateway that is about to end answers what still comes, and has every client go elsewhere for the next."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
