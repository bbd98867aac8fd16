"""A request before it reaches a route."""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from backtune.gateway.problems import Problem
from backtune.gateway.security.gate import Credentials
from backtune.gateway.security.guards import Guards
from backtune.gateway.security.principal import Principal
from backtune.gateway.security.roles import Rule, rules_of
from backtune.gateway.security.signature import (
    KEY_HEADER,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SignedParts,
)

_BEARER: Final = "bearer "
_JOB: Final = re.compile(r"job-[0-9a-f]{24}")


class Asked:
    """What is known of a request so far.

    Attributes:
        rule: of the route; None where there is none.
        credentials: that came with it.
        principal: who asks; None until that is known.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self._body: bytes | None = None
        self._rules = rules_of(scope["path"])
        self.rule: Rule | None = self._rules.get(scope["method"])
        self.credentials = _credentials(scope)
        self.principal: Principal | None = None

    @property
    def state(self) -> dict[str, Any]:
        """What the parts of the gateway tell each other of the request."""
        state: dict[str, Any] = self.scope.setdefault("state", {})
        return state

    @property
    def action(self) -> str:
        """The method and the route, for the audit log."""
        return f"{self.scope['method'][:20]} {self.rule.path if self.rule else 'unknown'}"

    @property
    def job_id(self) -> str:
        """Of which job; empty where it is of none."""
        told: str = self.state.get("job_id", "")
        found = _JOB.search(self.scope["path"])
        return told or (found[0] if found else "")

    def check_size(self, guards: Guards) -> None:
        """Refuse what no client of ours sends.

        Raises:
            Problem: 414 or 431.
        """
        if len(self._raw_path) + len(self.scope["query_string"]) > guards.url_bytes:
            raise Problem(414, f"path and query may have {guards.url_bytes:,} bytes")
        headers = self.scope["headers"]
        n_bytes = sum(len(name) + len(value) for name, value in headers)
        if n_bytes > guards.header_bytes or len(headers) > guards.n_headers:
            raise Problem(
                431, f"a request may have {guards.n_headers} headers of {guards.header_bytes:,} bytes in all"
            )

    def nowhere(self) -> Problem:
        """The answer where there is no such route."""
        methods = sorted(self._rules.keys() - {"SOCKET"})
        if methods:
            return Problem(405, "Method Not Allowed", headers={"Allow": ", ".join(methods)})
        return Problem(404, "Not Found")

    async def signed_parts(self, timestamp: str, nonce: str) -> SignedParts:
        """What a signature of this request covers; reads the body."""
        if self._body is None:
            self._body = await self._read()
        query = self.scope["query_string"].decode("latin-1")
        path = self._raw_path.decode("latin-1")
        return SignedParts(timestamp, nonce, self.scope["method"], path, query, self._body)

    async def receive(self) -> Message:
        """The request's messages for those further in: a body that was read comes once more, in one."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    @property
    def _raw_path(self) -> bytes:
        raw: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        return raw

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "the request broke off")
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)


def _credentials(scope: Scope) -> Credentials:
    headers = Headers(scope=scope)
    bearer = headers.get("authorization", "")
    # As Prometheus sends it.
    key = bearer[len(_BEARER) :].strip() if bearer.lower().startswith(_BEARER) else ""
    return Credentials(
        address=(scope.get("client") or ("", 0))[0],
        api_key=headers.get(KEY_HEADER, key),
        timestamp=headers.get(TIMESTAMP_HEADER, ""),
        nonce=headers.get(NONCE_HEADER, ""),
        signature=headers.get(SIGNATURE_HEADER, ""),
    )
