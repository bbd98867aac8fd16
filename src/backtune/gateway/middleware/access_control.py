"""The check that every request passes before anything else is done: its size, its route, its key and its role.

A request without a row in the table of routes is answered here, and reaches no route.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtune.errors import BacktuneError
from backtune.gateway.audit.request_audit import RequestAudit
from backtune.gateway.error_answers import ErrorAnswer, make_error_response, to_error_answer
from backtune.gateway.keys.authentication import Authenticator
from backtune.gateway.keys.principal import Principal, Role
from backtune.gateway.middleware.incoming_request import IncomingRequest
from backtune.gateway.settings import RequestLimits

_POLICY_VIOLATION = 1008


class AccessControl:
    """The middleware around all routes that checks requests."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        audit: RequestAudit,
        limits: RequestLimits,
        role_without_key: Role | None,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._audit = audit
        self._limits = limits
        self._role_without_key = role_without_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] != "websocket" or self._is_origin_allowed(scope):
            await self._app(scope, receive, send)
        else:
            # A socket that is closed before it is accepted is answered with 403.
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = IncomingRequest(scope, receive)
        try:
            await self._check(request)
        except (ErrorAnswer, HTTPException, BacktuneError) as error:
            answer = to_error_answer(error)
            await self._audit.record_refusal(request, answer)
            await make_error_response(answer)(scope, receive, send)
            return
        request.state["principal"] = request.principal
        if request.rule is not None and request.rule.is_work:
            await self._run_audited(request, send)
        else:
            await self._app(scope, request.receive, send)

    async def _check(self, request: IncomingRequest) -> None:
        """Raise the answer to a request that must not reach a route."""
        request.check_size(self._limits)
        rule = request.rule
        if rule is not None and rule.roles is None:
            return
        request.principal = principal = await self._find_principal(request)
        if rule is None or rule.roles is None:
            raise request.make_route_error()
        if principal.role not in rule.roles:
            raise ErrorAnswer(403, f"the role {principal.role} may not {rule.method} {rule.path}")
        if rule.is_work:
            if self._role_without_key is None:
                await self._authenticator.count_work(principal)
            await self._audit.record_admission(request)

    async def _find_principal(self, request: IncomingRequest) -> Principal:
        if self._role_without_key is None:
            return await self._authenticator.authenticate(request.credentials, request.read_signed_content)
        if not self._is_origin_allowed(request.scope):
            raise ErrorAnswer(
                403, "without keys, a gateway answers to programs and pages of this machine alone"
            )
        return Principal.without_key(self._role_without_key)

    async def _run_audited(self, request: IncomingRequest, send: Send) -> None:
        """Run the route, and record its answer in the audit log before it is sent."""
        is_recorded = False

        async def record_and_send(message: Message) -> None:
            nonlocal is_recorded
            if message["type"] == "http.response.start":
                is_recorded = True
                await self._audit.record_answer(request, message["status"])
            await send(message)

        try:
            await self._app(request.scope, request.receive, record_and_send)
        except Exception:
            if not is_recorded:
                await self._audit.record_answer(request, 500)
            raise

    def _is_origin_allowed(self, scope: Scope) -> bool:
        """Return whether a request comes with the protection of keys, or from a program or page of this machine.

        A page from elsewhere can make a browser call this machine, under any domain that it can point to this machine.
        """
        if self._role_without_key is None:
            return True
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        return _is_local_name(host) and (origin is None or urlsplit(origin).netloc == host)


def _is_local_name(host: str) -> bool:
    """Return whether a Host header is an address, or a name without a dot, which nobody can register as a domain."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name
    return True
