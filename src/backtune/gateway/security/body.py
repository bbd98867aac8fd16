"""Limits on what a request may bring, also where it does not say how much that is, and on how long it may take to."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtune.gateway.problems import Problem, answer


class BodyLimit:
    """Refuses with 413 at the first byte too many, with 408 where the body does not come in time.

    Args:
        n_bytes: of a body.
        seconds: for all of it.
    """

    def __init__(self, app: ASGIApp, n_bytes: int, seconds: float) -> None:
        self._app = app
        self._n_bytes = n_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > self._n_bytes:
            await answer(Problem(413, self._told))(scope, receive, send)
            return
        await self._app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        taken = 0
        is_whole = False
        until = asyncio.get_running_loop().time() + self._seconds

        async def limited() -> Message:
            nonlocal taken, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {self._seconds:g} seconds") from None
            taken += len(message.get("body", b""))
            if taken > self._n_bytes:
                raise HTTPException(413, self._told)
            is_whole = not message.get("more_body", False)
            return message

        return limited

    @property
    def _told(self) -> str:
        return f"a request may have {self._n_bytes:,} bytes"


def _announced(scope: Scope) -> int:
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    # Python reads no number of thousands of digits.
    return int(text[:20]) if text.isdigit() else 0
