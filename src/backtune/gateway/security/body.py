"""A limit on what a request may bring, also where it does not say how much that is."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtune.gateway.problems import Problem, answer


class BodyLimit:
    """Refuses with 413 at the first byte too many."""

    def __init__(self, app: ASGIApp, n_bytes: int) -> None:
        self._app = app
        self._n_bytes = n_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > self._n_bytes:
            await answer(Problem(413, self._told))(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._n_bytes:
                raise HTTPException(413, self._told)
            return message

        await self._app(scope, counted, send)

    @property
    def _told(self) -> str:
        return f"a request may have {self._n_bytes:,} bytes"


def _announced(scope: Scope) -> int:
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    # Python reads no number of thousands of digits.
    return int(text[:20]) if text.isdigit() else 0
