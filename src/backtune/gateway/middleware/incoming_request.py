"""A request before it reaches a route."""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from backtune.gateway.error_answers import ErrorAnswer
from backtune.gateway.keys.authentication import Credentials
from backtune.gateway.keys.principal import Principal
from backtune.gateway.keys.roles import RouteRule, find_rules
from backtune.gateway.settings import RequestLimits
from backtune.wire.signature import (
    KEY_HEADER,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    SOCKET_METHOD,
    TIMESTAMP_HEADER,
    SignedContent,
)

_BEARER: Final = "bearer "
_JOB: Final = re.compile(r"job-[0-9a-f]{24}")


class IncomingRequest:
    """A request whose route and holder are being found out.

    Attributes:
        scope: The request's scope in ASGI.
        rule: The rule of the route; None if there is no such route.
        credentials: The credentials that came with the request.
        principal: The holder of the key; None until the key was checked.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self._body: bytes | None = None
        self._rules = find_rules(scope["path"])
        self.rule: RouteRule | None = self._rules.get(scope["method"])
        self.credentials = _read_credentials(scope)
        self.principal: Principal | None = None

    @property
    def state(self) -> dict[str, Any]:
        """The values that middleware and routes share about the request."""
        state: dict[str, Any] = self.scope.setdefault("state", {})
        return state

    @property
    def action(self) -> str:
        """The method and the route, for the audit log."""
        return f"{self.scope['method'][:20]} {self.rule.path if self.rule else 'unknown'}"

    @property
    def job_id(self) -> str:
        """The id of the job that the request is about; empty if there is none."""
        new_job_id: str = self.state.get("job_id", "")
        found = _JOB.search(self.scope["path"])
        return new_job_id or (found[0] if found else "")

    def check_size(self, limits: RequestLimits) -> None:
        """Check the size of the URL and of the headers.

        Raises:
            ErrorAnswer: The status is 414 for the URL and 431 for the headers.
        """
        if len(self._raw_path) + len(self.scope["query_string"]) > limits.url_bytes:
            raise ErrorAnswer(414, f"path and query may have {limits.url_bytes:,} bytes")
        headers = self.scope["headers"]
        n_bytes = sum(len(name) + len(value) for name, value in headers)
        if n_bytes > limits.header_bytes or len(headers) > limits.n_headers:
            raise ErrorAnswer(
                431, f"a request may have {limits.n_headers} headers of {limits.header_bytes:,} bytes in all"
            )

    def make_route_error(self) -> ErrorAnswer:
        """Return the answer to a request without a route."""
        methods = sorted(self._rules.keys() - {SOCKET_METHOD})
        if methods:
            return ErrorAnswer(405, "Method Not Allowed", headers={"Allow": ", ".join(methods)})
        return ErrorAnswer(404, "Not Found")

    async def read_signed_content(self, timestamp: str, nonce: str) -> SignedContent:
        """Read the body, and return the content that a signature of this request covers."""
        if self._body is None:
            self._body = await self._read_body()
        query = self.scope["query_string"].decode("latin-1")
        path = self._raw_path.decode("latin-1")
        return SignedContent(timestamp, nonce, self.scope["method"], path, query, self._body)

    async def receive(self) -> Message:
        """Return the next message of the request; a body that was read before comes again, in one message."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    @property
    def _raw_path(self) -> bytes:
        raw_path: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        return raw_path

    async def _read_body(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ErrorAnswer(400, "the request broke off")
            pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(pieces)


def _read_credentials(scope: Scope) -> Credentials:
    headers = Headers(scope=scope)
    authorization = headers.get("authorization", "")
    # Prometheus sends its key as a bearer token.
    is_bearer = authorization.lower().startswith(_BEARER)
    bearer_token = authorization[len(_BEARER) :].strip() if is_bearer else ""
    return Credentials(
        address=(scope.get("client") or ("", 0))[0],
        api_key=headers.get(KEY_HEADER, bearer_token),
        timestamp=headers.get(TIMESTAMP_HEADER, ""),
        nonce=headers.get(NONCE_HEADER, ""),
        signature=headers.get(SIGNATURE_HEADER, ""),
    )
