"""The door that every request passes before anything else is done: its size, its route, its key, its role.

What has no row in the table of routes is answered here, and reaches none.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtune.errors import BacktuneError
from backtune.gateway.problems import Problem, answer, as_problem
from backtune.gateway.security.asked import Asked
from backtune.gateway.security.gate import Gate
from backtune.gateway.security.guards import Guards
from backtune.gateway.security.notes import RequestAudit
from backtune.gateway.security.principal import Principal, Role

_POLICY_VIOLATION = 1008


class Admission:
    """Middleware around all routes.

    Args:
        role_without_key: what anyone may who comes without a key; None where keys are asked for.
    """

    def __init__(
        self, app: ASGIApp, gate: Gate, audit: RequestAudit, guards: Guards, role_without_key: Role | None
    ) -> None:
        self._app = app
        self._gate = gate
        self._audit = audit
        self._guards = guards
        self._role_without_key = role_without_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] != "websocket" or self._may_be_without_key(scope):
            await self._app(scope, receive, send)
        else:
            # Closed before it is accepted, it is a 403.
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(scope, receive)
        try:
            await self._admit(asked)
        except (Problem, HTTPException, BacktuneError) as error:
            problem = as_problem(error)
            await self._audit.record_refusal(asked, problem)
            await answer(problem)(scope, receive, send)
            return
        asked.state["principal"] = asked.principal
        if asked.rule is not None and asked.rule.is_work:
            await self._noted(asked, send)
        else:
            await self._app(scope, asked.receive, send)

    async def _admit(self, asked: Asked) -> None:
        """Raises what is to be answered where it is none of a route's."""
        asked.check_size(self._guards)
        rule = asked.rule
        if rule is not None and rule.roles is None:
            return
        asked.principal = who = await self._principal(asked)
        if rule is None or rule.roles is None:
            raise asked.nowhere()
        if who.role not in rule.roles:
            raise Problem(403, f"the role {who.role} may not {rule.method} {rule.path}")
        if rule.is_work:
            if self._role_without_key is None:
                await self._gate.spend_work(who)
            await self._audit.record_admission(asked)

    async def _principal(self, asked: Asked) -> Principal:
        if self._role_without_key is None:
            return await self._gate.admit(asked.credentials, asked.signed_parts)
        if not self._may_be_without_key(asked.scope):
            raise Problem(403, "without keys, a gateway answers to programs and pages of this machine alone")
        return Principal("anyone", "anyone", self._role_without_key)

    async def _noted(self, asked: Asked, send: Send) -> None:
        is_noted = False

        async def noting(message: Message) -> None:
            nonlocal is_noted
            if message["type"] == "http.response.start":
                is_noted = True
                await self._audit.record_answer(asked, message["status"])
            await send(message)

        try:
            await self._app(asked.scope, asked.receive, noting)
        except Exception:
            if not is_noted:
                await self._audit.record_answer(asked, 500)
            raise

    def _may_be_without_key(self, scope: Scope) -> bool:
        """A page from elsewhere may have a browser call this machine, under any domain that it can point here."""
        if self._role_without_key is None:
            return True
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        return _is_no_domain(host) and (origin is None or urlsplit(origin).netloc == host)


def _is_no_domain(host: str) -> bool:
    """Whether a Host is an address, or a name without a dot, which is nobody's elsewhere."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name
    return True
