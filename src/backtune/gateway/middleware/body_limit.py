"""Limits on the size of a request's body, also if its size is not announced, and on the time in which it arrives."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtune.gateway.error_answers import ErrorAnswer, make_error_response


class BodyLimit:
    """The middleware that answers 413 at the first byte too many, and 408 if the body does not arrive in time."""

    def __init__(self, app: ASGIApp, n_bytes: int, seconds: float) -> None:
        self._app = app
        self._n_bytes = n_bytes
        self._seconds = seconds
        self._size_detail = f"a request may have {n_bytes:,} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _read_announced_size(scope) > self._n_bytes:
            await make_error_response(ErrorAnswer(413, self._size_detail))(scope, receive, send)
            return
        await self._app(scope, self._limit(receive), send)

    def _limit(self, receive: Receive) -> Receive:
        n_received = 0
        is_complete = False
        until = asyncio.get_running_loop().time() + self._seconds

        async def receive_within_limits() -> Message:
            nonlocal n_received, is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {self._seconds:g} seconds") from None
            n_received += len(message.get("body", b""))
            if n_received > self._n_bytes:
                raise HTTPException(413, self._size_detail)
            is_complete = not message.get("more_body", False)
            return message

        return receive_within_limits


def _read_announced_size(scope: Scope) -> int:
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    # Python refuses to convert thousands of digits.
    return int(text[:20]) if text.isdigit() else 0
