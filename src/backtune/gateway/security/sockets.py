"""Who is at the other end of a socket."""

from __future__ import annotations

from starlette.websockets import WebSocket

from backtune.gateway.parts import Parts
from backtune.gateway.problems import Problem
from backtune.gateway.security.principal import Principal
from backtune.gateway.sockets.messages import Auth


async def socket_principal(parts: Parts, _websocket: WebSocket, _auth: Auth) -> Principal:
    """Whose socket it is, by its first message.

    Raises:
        Problem: 401 where that is not known.
    """
    role = parts.settings.role_without_key
    if role is None:
        raise Problem(401, "no API key")
    return Principal("anyone", "anyone", role)


async def still_holds(_parts: Parts, _principal: Principal) -> bool:
    """Whether the key is neither revoked nor expired since."""
    return True
