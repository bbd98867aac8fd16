"""The route of the socket over which changes of jobs are pushed; its first message carries the key."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import APIRouter
from starlette.websockets import WebSocket

from backtune.gateway.live.authentication import authenticate_socket, is_still_authenticated
from backtune.gateway.live.session import LiveSession, SessionServices
from backtune.gateway.monitoring.logs import log
from backtune.gateway.services import Services
from backtune.wire.signature import SOCKET_PATH

router = APIRouter()
_TRY_AGAIN_LATER: Final = 1013


@router.websocket(SOCKET_PATH)
async def watch_jobs(websocket: WebSocket) -> None:
    """Push the changes of jobs to a client."""
    services: Services = websocket.app.state.services
    limits = services.settings.limits
    await websocket.accept()
    if services.metrics.n_sockets >= limits.sockets:
        await websocket.close(_TRY_AGAIN_LATER, "too many sockets")
        return
    session_services = SessionServices(
        authenticate=partial(authenticate_socket, services, websocket),
        is_still_authenticated=partial(is_still_authenticated, services),
        find_job=services.jobs.find_recent,
        broadcaster=services.broadcaster,
    )
    with services.metrics.count_socket():
        log.info("socket opened")
        await LiveSession(websocket, session_services, limits.socket).run()
        log.info("socket closed")
