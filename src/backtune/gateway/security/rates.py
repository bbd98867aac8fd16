"""How often, for whom. The only door to limits."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, Final, cast

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError

from backtune.errors import SpecError
from backtune.gateway.observing.logs import log

_ANSWER_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = 5.0
_SCHEMES: Final = ("redis://", "rediss://", "redis+unix://")


def check_rate(key: str, text: str) -> str:
    """A limit such as ``100/second;3000/minute``, as it was given.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        items = parse_many(text)
    except ValueError:
        items = []
    if not items or any(item.amount < 1 for item in items):
        raise SpecError(key, f"{text!r} is no limit; write 600/minute, or 100/second;3000/minute", value=text)
    return text


class Rates:
    """Counts in this process, or in Redis for all workers.

    Where Redis does not answer, each worker counts for itself until it does.

    Args:
        redis: its address, such as ``redis://host:6379/0``; None for this process alone.

    Raises:
        SpecError: that is no address of a Redis.
    """

    def __init__(self, redis: str | None = None) -> None:
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._connections = None if redis is None else _redis(redis)
        self._shared = (
            None if self._connections is None else SlidingWindowCounterRateLimiter(self._connections)
        )
        self._shared_from = 0.0
        self._parsed: dict[str, list[RateLimitItem]] = {}

    async def take(self, limit: str, *who: str) -> int | None:
        """Count one; None where it is within the limit, else the whole seconds until there is room."""
        items = self._parsed.setdefault(limit, parse_many(limit))
        if self._shared is not None and time.monotonic() >= self._shared_from:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await _take(self._shared, items, who)
            except (StorageError, TimeoutError) as error:
                self._shared_from = time.monotonic() + _AGAIN_SECONDS
                log().warning("redis does not answer: each worker counts for itself", error=str(error))
        return await _take(self._own, items, who)

    async def close(self) -> None:
        """Let go of the connections, in the event loop that they were made in."""
        if self._connections is not None:
            # Limits itself offers no way to.
            await cast("Any", self._connections.bridge).storage.aclose()


async def _take(
    limiter: SlidingWindowCounterRateLimiter, items: list[RateLimitItem], who: tuple[str, ...]
) -> int | None:
    for item in items:
        if not await limiter.hit(item, *who):
            stats = await limiter.get_window_stats(item, *who)
            return max(1, math.ceil(stats.reset_time - time.time()))
    return None


def _redis(address: str) -> RedisStorage:
    if not address.startswith(_SCHEMES):
        raise SpecError("redis", "is no address of a Redis", value=address, allowed=_SCHEMES)
    try:
        return RedisStorage(
            f"async+{address}", implementation="redispy", wrap_exceptions=True, key_prefix="backtune"
        )
    except (ConfigurationError, ValueError) as error:
        raise SpecError("redis", f"cannot be used: {error}", value=address) from error
