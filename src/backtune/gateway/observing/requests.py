"""The outermost middleware: gives every request an id, tells the log and the metrics, and answers what nobody caught."""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtune.gateway.observing.logs import bound, log
from backtune.gateway.observing.metrics import Metrics
from backtune.gateway.problems import Problem, answer

HEADER: Final = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Unknown paths are one, so that whoever guesses them cannot fill the memory with labels.
_UNKNOWN: Final = "unknown"


class ObservedRequests:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(scope, send)
        with bound(request_id=seen.request_id):
            try:
                await self._app(scope, receive, seen.send)
            except Exception:  # noqa: BLE001
                log().exception("unexpected", method=scope["method"], path=scope["path"])
                if not seen.status:
                    await answer(Problem(500, "an internal error"))(scope, receive, seen.send)
            self._tell(scope, seen)

    def _tell(self, scope: Scope, seen: _Seen) -> None:
        seconds = time.perf_counter() - seen.started
        route = getattr(scope.get("route"), "path", _UNKNOWN)
        self._metrics.requests.labels(scope["method"], route, str(seen.status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log().info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=seen.status,
            seconds=round(seconds, 4),
        )


class _Seen:
    """One request and what was answered."""

    def __init__(self, scope: Scope, send: Send) -> None:
        given = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
        self.request_id = given if _ID.fullmatch(given) else secrets.token_hex(12)
        self.started = time.perf_counter()
        self.status = 0
        self._send = send
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[HEADER] = self.request_id
        await self._send(message)
