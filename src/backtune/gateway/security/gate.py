"""Who is let in: the key, how often it comes, and what it signed."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn, cast

from starlette.concurrency import run_in_threadpool

from backtune.gateway.problems import Problem
from backtune.gateway.records.keys import KeyRecord
from backtune.gateway.records.nonces import Nonces
from backtune.gateway.security.guards import Guards
from backtune.gateway.security.key_text import KeyText
from backtune.gateway.security.keys import Keys
from backtune.gateway.security.known import KnownKeys
from backtune.gateway.security.principal import Principal, Role
from backtune.gateway.security.rates import Rates
from backtune.gateway.security.signature import NONCE, SIGNATURE, TIMESTAMP, SignedParts

_CHALLENGE: Final = {"WWW-Authenticate": "ApiKey"}
# A network of IPv6 belongs to one party, who may take any address in it.
_IPV6_PREFIX: Final = 64


@dataclass(frozen=True)
class Credentials:
    """What came with a request; empty where it did not.

    Attributes:
        address: where it came from.
    """

    address: str
    api_key: str = ""
    timestamp: str = ""
    nonce: str = ""
    signature: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether it claims to be."""
        return bool(self.timestamp or self.nonce or self.signature)

    @property
    def claimed_key(self) -> str:
        """Id of the key that was sent, whether or not it holds."""
        key = KeyText.parse(self.api_key)
        return key.key_id if key else ""


SignedBy = Callable[[str, str], Awaitable[SignedParts]]


class Gate:
    """Lets the holders of keys in. For one event loop.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        guards: Guards,
        keys: Keys,
        known: KnownKeys,
        nonces: Nonces,
        rates: Rates,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._guards = guards
        self._keys = keys
        self._known = known
        self._nonces = nonces
        self._rates = rates
        self._clock = clock

    async def admit(self, given: Credentials, parts: SignedBy) -> Principal:
        """Whose request it is.

        Args:
            parts: of the request, from its timestamp and nonce; called where they are signed, as it reads the body.

        Raises:
            Problem: 401 where that is not known, 429 where the address has failed or the key has come too often.
            RecordsError: the database does not answer; then nobody is let in.
        """
        record, generation = await self._recognise(given)
        await self._spend(record.rate or self._guards.rate, "key", record.id)
        if record.signing == "required" or given.is_signed:
            await self._check_signature(record, generation, given, parts)
        self._known.note_use(record.id)
        return Principal(record.id, record.name, cast("Role", record.role))

    async def spend_work(self, principal: Principal) -> None:
        """Count one of the requests that change something or take seconds.

        Raises:
            Problem: 429 where there were too many.
        """
        await self._spend(self._guards.work_rate, "work", principal.key_id)

    async def still_holds(self, principal: Principal) -> bool:
        """Whether the key is as it was when it was let in.

        Raises:
            RecordsError: the database does not answer.
        """
        record = await self._known.find(principal.key_id)
        return (
            record is not None and record.state(self._clock()) == "active" and record.role == principal.role
        )

    async def refuse(self, given: Credentials, why: str) -> NoReturn:
        """Count a failure.

        Raises:
            Problem: 401, or 429 where there were too many from that address.
        """
        wait = await self._rates.take(self._guards.failure_rate, "failures", _party(given.address))
        if wait is not None:
            raise _too_many("too many failed attempts from this address", wait)
        raise Problem(401, why, headers=_CHALLENGE)

    async def _recognise(self, given: Credentials) -> tuple[KeyRecord, int]:
        if not given.api_key:
            await self.refuse(given, "no API key; send it as X-API-Key")
        key = KeyText.parse(given.api_key)
        if key is not None and key.signing_secret is not None:
            await self.refuse(given, "what stands after the key's dot is for signing, and must not be sent")
        record = None if key is None else await self._known.find(key.key_id)
        generation = None if key is None or record is None else self._keys.generation_of(record, key.secret)
        if record is None or generation is None:
            await self.refuse(given, "the API key is not valid")
        state = record.state(self._clock())
        if state != "active":
            await self.refuse(given, f"the API key is {state}")
        return record, generation

    async def _check_signature(
        self, record: KeyRecord, generation: int, given: Credentials, parts: SignedBy
    ) -> None:
        if record.signing == "off":
            await self.refuse(given, "this API key does not sign")
        if not given.is_signed:
            await self.refuse(given, "requests with this API key must be signed")
        for header, value, pattern in (
            ("X-Timestamp", given.timestamp, TIMESTAMP),
            ("X-Nonce", given.nonce, NONCE),
            ("X-Signature", given.signature, SIGNATURE),
        ):
            if pattern.fullmatch(value) is None:
                await self.refuse(given, f"{header} is missing or malformed")
        now = self._clock()
        window = self._guards.window_seconds
        if abs(int(given.timestamp) - now) > window:
            await self.refuse(given, f"X-Timestamp is more than {window} seconds off this gateway's clock")
        signed = await parts(given.timestamp, given.nonce)
        if not signed.is_signed(self._keys.signing_secret(record.id, generation), given.signature):
            await self.refuse(given, "the signature does not fit the request")
        # As long as its timestamp may pass, and the clocks of several gateways may differ.
        expires_at = int(given.timestamp) + 2 * window
        is_first = await run_in_threadpool(
            self._nonces.take, record.id, given.nonce, expires_at=expires_at, now=now
        )
        if not is_first:
            await self.refuse(given, "the nonce was used before")

    async def _spend(self, limit: str, what: str, who: str) -> None:
        wait = await self._rates.take(limit, what, who)
        if wait is not None:
            raise _too_many(f"more than {limit}", wait)


def _too_many(detail: str, seconds: int) -> Problem:
    return Problem(429, f"{detail}; again in {seconds} s", headers={"Retry-After": str(seconds)})


def _party(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
