"""One try of a call: signed, sent, answered. The only door to httpx2."""

from __future__ import annotations

from typing import Any

import httpx2

from backtune.client.address import AGENT, Address
from backtune.client.calls import Answer, Call
from backtune.client.retries import Failure

# The gateway cannot have heard of what failed so.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_HEADERS = {"User-Agent": AGENT, "Accept": "application/json, */*"}


class Line:
    """Connections to one gateway, kept open. Safe to use from several threads."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._address = address
        self._client = httpx2.Client(headers=_HEADERS, timeout=seconds)

    def send(self, call: Call[Any]) -> Answer | Failure:
        """Try once."""
        try:
            response = self._client.send(_request(self._client, self._address, call))
        except httpx2.TransportError as error:
            return _failure(self._address, error)
        return _answer(response)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class AsyncLine:
    """The same for one event loop."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._address = address
        self._client = httpx2.AsyncClient(headers=_HEADERS, timeout=seconds)

    async def send(self, call: Call[Any]) -> Answer | Failure:
        """Try once."""
        try:
            response = await self._client.send(_request(self._client, self._address, call))
        except httpx2.TransportError as error:
            return _failure(self._address, error)
        return _answer(response)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _request(client: httpx2.Client | httpx2.AsyncClient, address: Address, call: Call[Any]) -> httpx2.Request:
    url = f"{address.base}{call.path}{'?' + call.query if call.query else ''}"
    timeout = httpx2.USE_CLIENT_DEFAULT if call.seconds is None else call.seconds
    request = client.build_request(
        call.method, url, content=call.body, headers=dict(call.headers), timeout=timeout
    )
    # Signed as it is sent, whatever the library makes of the URL.
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    request.headers.update(address.headers(call.method, path, query, call.body))
    return request


def _answer(response: httpx2.Response) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content)


def _failure(address: Address, error: httpx2.TransportError) -> Failure:
    reason = str(error) or type(error).__name__
    return Failure(f"{address.base}: {reason}", was_sent=not isinstance(error, _NOT_SENT))
