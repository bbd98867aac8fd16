"""The connection to a gateway's socket. The only door to websockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from backtune.client.address import AGENT
from backtune.client.job_watch import error_of_close
from backtune.client.retries import error_of_status
from backtune.errors import GatewayError, MissingPackageError, UnreachableError

try:
    from websockets.asyncio.client import connect as connect_async
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
    from websockets.sync.client import connect
except ModuleNotFoundError as error:
    raise MissingPackageError("the client of a gateway", "websockets", "client") from error

_OPTIONS: Final[dict[str, Any]] = {
    "compression": None,
    "close_timeout": 2.0,
    "user_agent_header": AGENT,
}
# The iterator over the messages ends without an error where the gateway closes in order, as it does when it ends.
_ENDED: Final = "the gateway ended the connection"


@contextmanager
def open_socket(url: str, opening: list[str]) -> Iterator[Iterator[str]]:
    """Connect to a socket, send the opening messages, and give the messages of the gateway.

    Raises:
        GatewayError: The gateway does not answer, or closes the connection.
    """
    try:
        with connect(url, **_OPTIONS) as socket:
            for text in opening:
                socket.send(text)
            yield (str(text) for text in socket)
            raise UnreachableError(_ENDED)
    except (WebSocketException, OSError) as error:
        raise _gateway_error(url, error) from error


@asynccontextmanager
async def open_socket_async(url: str, opening: list[str]) -> AsyncIterator[AsyncIterator[str]]:
    """Connect to a socket as :func:`open_socket` does, for an event loop.

    Raises:
        GatewayError: The gateway does not answer, or closes the connection.
    """
    try:
        async with connect_async(url, **_OPTIONS) as socket:
            for text in opening:
                await socket.send(text)
            yield (str(text) async for text in socket)
            raise UnreachableError(_ENDED)
    except (WebSocketException, OSError) as error:
        raise _gateway_error(url, error) from error


def _gateway_error(url: str, error: Exception) -> GatewayError:
    if isinstance(error, ConnectionClosed):
        closed = error.rcvd
        return error_of_close(closed.code if closed else None, closed.reason if closed else "")
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return error_of_status(status, f"{url}: HTTP status {status}")
    return UnreachableError(f"{url}: {error}")
