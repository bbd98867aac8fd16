"""The route of the socket over which changes of jobs are pushed; its first message carries the key."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import APIRouter
from starlette.websockets import WebSocket

from backtune.errors import RecordsError
from backtune.gateway.error_answers import ErrorAnswer, to_error_answer
from backtune.gateway.keys.authentication import Credentials
from backtune.gateway.keys.principal import Principal
from backtune.gateway.keys.roles import find_rules
from backtune.gateway.live.messages import AuthMessage
from backtune.gateway.live.session import LiveSession, SessionServices
from backtune.gateway.monitoring.logs import log
from backtune.gateway.services import Services
from backtune.wire.signature import SOCKET_METHOD, SOCKET_PATH, SignedContent

router = APIRouter()
_ROLES: Final = find_rules(SOCKET_PATH)[SOCKET_METHOD].roles or ()
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
        authenticate=partial(_authenticate, services, websocket),
        is_still_authenticated=partial(_is_still_authenticated, services),
        find_job=services.jobs.find_recent,
        broadcaster=services.broadcaster,
    )
    with services.metrics.count_socket():
        log.info("socket opened")
        await LiveSession(websocket, session_services, limits.socket).run()
        log.info("socket closed")


async def _authenticate(services: Services, websocket: WebSocket, message: AuthMessage) -> Principal:
    """Return the holder of a socket's key; a refusal is recorded in the audit log.

    Raises:
        ErrorAnswer: The status is 401 if the key is not valid, 403 if its role may not use sockets, 429 if there were too
            many attempts, and 503 if the database does not answer.
    """
    role = services.settings.role_without_key
    if role is not None:
        return Principal.without_key(role)
    credentials = Credentials(
        address=websocket.client.host if websocket.client else "",
        api_key=message.api_key,
        timestamp=message.timestamp or "",
        nonce=message.nonce or "",
        signature=message.signature or "",
    )
    try:
        principal = await services.authenticator.authenticate(credentials, _make_signed_content)
        _check_role(principal)
    except (ErrorAnswer, RecordsError) as error:
        answer = to_error_answer(error)
        await services.request_audit.record_socket_refusal(credentials, answer)
        raise answer from None
    return principal


def _check_role(principal: Principal) -> None:
    if principal.role not in _ROLES:
        raise ErrorAnswer(403, f"the role {principal.role} may not watch jobs")


async def _is_still_authenticated(services: Services, principal: Principal) -> bool:
    """Return whether the key of a socket was neither revoked nor changed, and has not expired.

    Raises:
        RecordsError: The database does not answer.
    """
    if services.settings.role_without_key is not None:
        return True
    return await services.authenticator.is_still_valid(principal)


async def _make_signed_content(timestamp: str, nonce: str) -> SignedContent:
    return SignedContent(timestamp, nonce, SOCKET_METHOD, SOCKET_PATH)
