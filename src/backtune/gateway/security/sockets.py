"""Who is at the other end of a socket."""

from __future__ import annotations

from typing import Final

from starlette.websockets import WebSocket

from backtune.gateway.parts import Parts
from backtune.gateway.problems import Problem
from backtune.gateway.security.gate import Credentials
from backtune.gateway.security.principal import Principal
from backtune.gateway.security.roles import rules_of
from backtune.gateway.security.signature import SOCKET_METHOD, SOCKET_PATH, SignedParts
from backtune.gateway.sockets.messages import Auth

_ROLES: Final = rules_of(SOCKET_PATH)[SOCKET_METHOD].roles or ()


async def socket_principal(parts: Parts, websocket: WebSocket, auth: Auth) -> Principal:
    """Whose socket it is, by its first message.

    Raises:
        Problem: 401 where that is not known, 403 where the role may not, 429 where there were too many.
        RecordsError: the database does not answer.
    """
    principal = await _principal(parts, websocket, auth)
    if principal.role not in _ROLES:
        raise Problem(403, f"the role {principal.role} may not open a socket")
    return principal


async def still_holds(parts: Parts, principal: Principal) -> bool:
    """Whether the key is neither revoked nor expired since.

    Raises:
        RecordsError: the database does not answer.
    """
    return parts.settings.role_without_key is not None or await parts.security.gate.still_holds(principal)


async def _principal(parts: Parts, websocket: WebSocket, auth: Auth) -> Principal:
    if parts.settings.role_without_key is not None:
        return Principal("anyone", "anyone", parts.settings.role_without_key)
    given = Credentials(
        address=websocket.client.host if websocket.client else "",
        api_key=auth.api_key,
        timestamp=auth.timestamp or "",
        nonce=auth.nonce or "",
        signature=auth.signature or "",
    )
    return await parts.security.gate.admit(given, _signed)


async def _signed(timestamp: str, nonce: str) -> SignedParts:
    return SignedParts(timestamp, nonce, SOCKET_METHOD, SOCKET_PATH)
