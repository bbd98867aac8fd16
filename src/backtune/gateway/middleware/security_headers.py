"""Headers that allow browsers to show an answer, and nothing else."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
# A report contains its scripts and styles, and loads nothing.
_PAGE: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; frame-ancestors 'none'"
)
# FastAPI's page with the documentation of the API loads its scripts, styles and images from these hosts.
_DOCS: Final = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src data: https://fastapi.tiangolo.com; "
    "connect-src 'self'; frame-ancestors 'none'"
)
_ONE_YEAR: Final = "max-age=31536000"


class SecurityHeaders:
    """The middleware that adds the headers to every answer."""

    def __init__(self, app: ASGIApp, docs_path: str) -> None:
        self._app = app
        self._docs_path = docs_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_ALWAYS)
                headers["Content-Security-Policy"] = self._policy(scope, headers)
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = _ONE_YEAR
            await send(message)

        await self._app(scope, receive, with_headers)

    def _policy(self, scope: Scope, headers: MutableHeaders) -> str:
        if scope["path"] == self._docs_path:
            return _DOCS
        return _PAGE if headers.get("content-type", "").startswith("text/html") else _NOTHING
