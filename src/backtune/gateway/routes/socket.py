"""The socket: jobs pushed as they change. Its first message carries the key; see :mod:`backtune.gateway.sockets`."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import APIRouter
from starlette.websockets import WebSocket

from backtune.gateway.observing.logs import log
from backtune.gateway.parts import Parts
from backtune.gateway.security.sockets import socket_principal, still_holds
from backtune.gateway.sockets.session import Doors, Session

router = APIRouter()
_TRY_LATER: Final = 1013


@router.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    """Watch jobs."""
    parts: Parts = websocket.app.state.parts
    await websocket.accept()
    if parts.metrics.sockets_open >= parts.settings.limits.sockets:
        await websocket.close(_TRY_LATER, "too many sockets")
        return
    doors = Doors(
        admit=partial(socket_principal, parts, websocket),
        still_admits=partial(still_holds, parts),
        look=parts.views.recent,
        updates=parts.updates,
    )
    with parts.metrics.socket():
        log().info("socket opened")
        await Session(websocket, doors, parts.settings.limits.socket).run()
        log().info("socket closed")
