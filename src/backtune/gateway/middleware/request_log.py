"""The middleware that gives every request an id, logs and counts it, and answers unexpected errors."""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtune.gateway.error_answers import ErrorAnswer, make_error_response
from backtune.gateway.monitoring.logs import bind_log_context, log
from backtune.gateway.monitoring.metrics import Metrics

_HEADER: Final = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# All unknown paths count as one, so that clients that guess paths cannot fill the memory with labels.
_UNKNOWN: Final = "unknown"


class RequestLog:
    """The middleware around the whole application that logs and counts requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client_id = dict(scope["headers"]).get(_HEADER.lower().encode(), b"").decode("latin-1")
        request_id = client_id if _ID.fullmatch(client_id) else secrets.token_hex(12)
        scope.setdefault("state", {})["request_id"] = request_id
        started_at = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        with bind_log_context(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:  # noqa: BLE001
                log.exception("unexpected", method=scope["method"], path=scope["path"])
                if not status:
                    await make_error_response(ErrorAnswer(500, "an internal error"))(
                        scope, receive, send_with_id
                    )
            seconds = time.perf_counter() - started_at
            route = getattr(scope.get("route"), "path", _UNKNOWN)
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(seconds)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=round(seconds, 4),
            )
