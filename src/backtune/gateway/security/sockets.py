"""Who a socket belongs to, and whether that still holds."""

from __future__ import annotations

from typing import Final

from starlette.websockets import WebSocket

from backtune.errors import RecordsError
from backtune.gateway.parts import Parts
from backtune.gateway.problems import Problem, as_problem
from backtune.gateway.security.gate import Credentials
from backtune.gateway.security.principal import Principal
from backtune.gateway.security.roles import rules_of
from backtune.gateway.security.signature import SOCKET_METHOD, SOCKET_PATH, SignedParts
from backtune.gateway.sockets.messages import Auth

_ROLES: Final = rules_of(SOCKET_PATH)[SOCKET_METHOD].roles or ()


async def socket_principal(parts: Parts, websocket: WebSocket, auth: Auth) -> Principal:
    """Whose socket it is, by its first message. What is refused is in the audit log.

    Raises:
        Problem: 401 where that is not known, 403 where the role may not, 429 where there were too many attempts,
            503 where the database does not answer.
    """
    role = parts.settings.role_without_key
    if role is not None:
        return Principal("anyone", "anyone", role)
    given = Credentials(
        address=websocket.client.host if websocket.client else "",
        api_key=auth.api_key,
        timestamp=auth.timestamp or "",
        nonce=auth.nonce or "",
        signature=auth.signature or "",
    )
    try:
        principal = await parts.security.gate.admit(given, _signed_parts)
        _check_role(principal)
    except (Problem, RecordsError) as error:
        problem = as_problem(error)
        await parts.security.audit.record_socket_refusal(given, problem)
        raise problem from None
    return principal


async def still_holds(parts: Parts, principal: Principal) -> bool:
    """Whether the key is neither revoked nor expired since.

    Raises:
        RecordsError: the database does not answer.
    """
    return parts.settings.role_without_key is not None or await parts.security.gate.still_holds(principal)


def _check_role(principal: Principal) -> None:
    if principal.role not in _ROLES:
        raise Problem(403, f"the role {principal.role} may not watch jobs")


async def _signed_parts(timestamp: str, nonce: str) -> SignedParts:
    return SignedParts(timestamp, nonce, SOCKET_METHOD, SOCKET_PATH)
