"""The authentication of requests: the key, its rate of requests, and the signature."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn, cast

from starlette.concurrency import run_in_threadpool

from backtune.gateway.error_answers import ErrorAnswer
from backtune.gateway.keys.key_cache import KeyCache
from backtune.gateway.keys.nonces import NonceRecords
from backtune.gateway.keys.principal import Principal, Role
from backtune.gateway.keys.records import KeyRecord
from backtune.gateway.keys.service import KeyService
from backtune.gateway.rate_limits import RateLimiter
from backtune.gateway.settings import RequestLimits
from backtune.wire.api_key import ApiKey
from backtune.wire.signature import (
    NONCE,
    NONCE_HEADER,
    SIGNATURE,
    SIGNATURE_HEADER,
    TIMESTAMP,
    TIMESTAMP_HEADER,
    SignedContent,
)

_CHALLENGE: Final = {"WWW-Authenticate": "ApiKey"}
# A network of IPv6 belongs to one party, which may use any address in it.
_IPV6_PREFIX: Final = 64


@dataclass(frozen=True)
class Credentials:
    """The credentials of a request; a member that did not come with it is empty.

    Attributes:
        address: The network address of the client.
    """

    address: str
    api_key: str = ""
    timestamp: str = ""
    nonce: str = ""
    signature: str = ""

    @property
    def has_signature(self) -> bool:
        """True if the request claims to be signed."""
        return bool(self.timestamp or self.nonce or self.signature)

    @property
    def claimed_key_id(self) -> str:
        """The id of the key that was sent, which may be invalid; empty if the text is not a key."""
        key = ApiKey.parse(self.api_key)
        return key.key_id if key else ""


ReadSignedContent = Callable[[str, str], Awaitable[SignedContent]]


class Authenticator:
    """The check of keys and signatures, for one event loop."""

    def __init__(
        self,
        limits: RequestLimits,
        keys: KeyService,
        cache: KeyCache,
        nonces: NonceRecords,
        rate_limiter: RateLimiter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits
        self._keys = keys
        self._cache = cache
        self._nonces = nonces
        self._rate_limiter = rate_limiter
        self._clock = clock

    async def authenticate(
        self, credentials: Credentials, read_signed_content: ReadSignedContent
    ) -> Principal:
        """Return the holder of the key that a request came with.

        Args:
            credentials: The credentials of the request.
            read_signed_content: The function that returns the signed content for a timestamp and a nonce; it reads the
                body, and is only called for a signed request.

        Raises:
            ErrorAnswer: The status is 401 if the credentials are not valid, and 429 if the address has failed too often or
                the key is used too often.
            RecordsError: The database does not answer; then no request is authenticated.
        """
        record, generation = await self._find_key(credentials)
        await self._count_request(record.rate or self._limits.rate, "key", record.id)
        if record.signing == "required" or credentials.has_signature:
            await self._check_signature(record, generation, credentials, read_signed_content)
        self._cache.note_use(record.id)
        return Principal(record.id, record.name, cast("Role", record.role))

    async def count_work(self, principal: Principal) -> None:
        """Count a request that changes something or takes seconds.

        Raises:
            ErrorAnswer: The status is 429 if there were too many.
        """
        await self._count_request(self._limits.work_rate, "work", principal.key_id)

    async def is_still_valid(self, principal: Principal) -> bool:
        """Return whether the key is as it was when it was authenticated.

        Raises:
            RecordsError: The database does not answer.
        """
        record = await self._cache.find(principal.key_id)
        if record is None:
            return False
        return record.state(self._clock()) == "active" and record.role == principal.role

    async def _find_key(self, credentials: Credentials) -> tuple[KeyRecord, int]:
        """Return the record of a valid key, and the generation of its secret."""
        if not credentials.api_key:
            await self._refuse(credentials, "no API key; send it as X-API-Key")
        key = ApiKey.parse(credentials.api_key)
        if key is not None and key.signing_secret is not None:
            await self._refuse(
                credentials, "what stands after the key's dot is for signing, and must not be sent"
            )
        record = None if key is None else await self._cache.find(key.key_id)
        generation = None if key is None or record is None else self._keys.find_generation(record, key.secret)
        if record is None or generation is None:
            await self._refuse(credentials, "the API key is not valid")
        state = record.state(self._clock())
        if state != "active":
            await self._refuse(credentials, f"the API key is {state}")
        return record, generation

    async def _check_signature(
        self,
        record: KeyRecord,
        generation: int,
        credentials: Credentials,
        read_signed_content: ReadSignedContent,
    ) -> None:
        if record.signing == "off":
            await self._refuse(credentials, "this API key does not sign")
        if not credentials.has_signature:
            await self._refuse(credentials, "requests with this API key must be signed")
        for header, value, pattern in (
            (TIMESTAMP_HEADER, credentials.timestamp, TIMESTAMP),
            (NONCE_HEADER, credentials.nonce, NONCE),
            (SIGNATURE_HEADER, credentials.signature, SIGNATURE),
        ):
            if pattern.fullmatch(value) is None:
                await self._refuse(credentials, f"{header} is missing or malformed")
        now = self._clock()
        window = self._limits.window_seconds
        if abs(int(credentials.timestamp) - now) > window:
            await self._refuse(
                credentials, f"X-Timestamp is more than {window} seconds off this gateway's clock"
            )
        content = await read_signed_content(credentials.timestamp, credentials.nonce)
        signing_secret = self._keys.derive_signing_secret(record.id, generation)
        if not content.is_signature(signing_secret, credentials.signature):
            await self._refuse(credentials, "the signature does not fit the request")
        # The nonce is kept as long as the timestamp is accepted, by gateways whose clocks may differ.
        expires_at = int(credentials.timestamp) + 2 * window
        is_first_use = await run_in_threadpool(
            self._nonces.claim, record.id, credentials.nonce, expires_at=expires_at, now=now
        )
        if not is_first_use:
            await self._refuse(credentials, "the nonce was used before")

    async def _refuse(self, credentials: Credentials, reason: str) -> NoReturn:
        """Count a failure and raise 401, or 429 if there were too many failures from the address."""
        network = _find_network(credentials.address)
        wait = await self._rate_limiter.count_event(self._limits.failure_rate, "failures", network)
        if wait is not None:
            raise _make_rate_error("too many failed attempts from this address", wait)
        raise ErrorAnswer(401, reason, headers=_CHALLENGE)

    async def _count_request(self, limit: str, kind: str, key_id: str) -> None:
        wait = await self._rate_limiter.count_event(limit, kind, key_id)
        if wait is not None:
            raise _make_rate_error(f"more than {limit}", wait)


def _make_rate_error(detail: str, seconds: int) -> ErrorAnswer:
    return ErrorAnswer(429, f"{detail}; again in {seconds} s", headers={"Retry-After": str(seconds)})


def _find_network(address: str) -> str:
    """Return the network of one party: an address of IPv4, or a prefix of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
