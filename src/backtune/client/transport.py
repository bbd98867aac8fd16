"""The transport of requests over HTTP, for an event loop and for blocking calls. The only door to httpx2."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from backtune.client.address import AGENT, Address
from backtune.client.http_messages import Answer, Failure, GatewayRequest
from backtune.errors import MissingPackageError

try:
    import httpx2
except ModuleNotFoundError as error:
    raise MissingPackageError("the client of a gateway", "httpx2", "client") from error

# After these errors the gateway cannot have received the request.
_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_HEADERS: Final = {"User-Agent": AGENT, "Accept": "application/json, */*"}


class Transport(Protocol):
    """Open connections to one gateway."""

    def __init__(self, address: Address, seconds: float) -> None: ...

    async def send(self, request: GatewayRequest) -> Answer | Failure:
        """Send a request once, and return its outcome."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class AsyncTransport:
    """The transport for one event loop."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._address = address
        self._client = httpx2.AsyncClient(headers=_HEADERS, timeout=seconds)

    async def send(self, request: GatewayRequest) -> Answer | Failure:
        try:
            return _answer(await self._client.send(_sign(self._client, self._address, request)))
        except httpx2.TransportError as error:
            return _failure(self._address, error)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._client.aclose()


class BlockingTransport:
    """The transport for threads. Its coroutines block their thread and never suspend. Safe to use from several threads."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._address = address
        self._client = httpx2.Client(headers=_HEADERS, timeout=seconds)

    async def send(self, request: GatewayRequest) -> Answer | Failure:
        try:
            return _answer(self._client.send(_sign(self._client, self._address, request)))
        except httpx2.TransportError as error:
            return _failure(self._address, error)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def close(self) -> None:
        self._client.close()


def _sign(
    client: httpx2.Client | httpx2.AsyncClient, address: Address, request: GatewayRequest
) -> httpx2.Request:
    url = f"{address.base}{request.path}{'?' + request.query if request.query else ''}"
    timeout = httpx2.USE_CLIENT_DEFAULT if request.seconds is None else request.seconds
    signed = client.build_request(
        request.method, url, content=request.body, headers=dict(request.headers), timeout=timeout
    )
    # The signature covers the URL as it is sent, whatever the library makes of it.
    path, _, query = signed.url.raw_path.decode("ascii").partition("?")
    signed.headers.update(address.headers(request.method, path, query, request.body))
    return signed


def _answer(response: httpx2.Response) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content)


def _failure(address: Address, error: httpx2.TransportError) -> Failure:
    reason = str(error) or type(error).__name__
    return Failure(f"{address.base}: {reason}", was_sent=not isinstance(error, _NOT_SENT))
