"""Limits on the rate of requests. The only door to the library limits."""

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
from backtune.gateway.monitoring.logs import log

_ANSWER_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 5.0
_SCHEMES: Final = ("redis://", "rediss://", "redis+unix://")


def check_rate_limit(key: str, text: str) -> None:
    """Check a limit such as ``100/second;3000/minute``.

    Raises:
        SpecError: The text is no limit; the error names the key.
    """
    try:
        items = parse_many(text)
    except ValueError:
        items = []
    if not items or any(item.amount < 1 for item in items):
        raise SpecError(key, f"{text!r} is no limit; write 600/minute, or 100/second;3000/minute", value=text)


class RateLimiter:
    """Counters of events, in this process or, for all workers together, in Redis.

    While Redis does not answer, each worker counts for itself.

    Args:
        redis: The address of Redis, such as ``redis://host:6379/0``; None to count in this process alone.

    Raises:
        SpecError: The address is not that of a Redis.
    """

    def __init__(self, redis: str | None = None) -> None:
        self._own_counters = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = None if redis is None else _open_redis(redis)
        self._shared_counters = None if self._redis is None else SlidingWindowCounterRateLimiter(self._redis)
        self._redis_not_before = 0.0
        self._parsed: dict[str, list[RateLimitItem]] = {}

    async def count_event(self, limit: str, *names: str) -> int | None:
        """Count one event.

        Args:
            limit: The limit, as :func:`check_rate_limit` accepts it.
            names: The names of the counter, such as the kind of event and the key.

        Returns:
            None if the event is within the limit, else the whole number of seconds until there is room.
        """
        items = self._parsed.setdefault(limit, parse_many(limit))
        if self._shared_counters is not None and time.monotonic() >= self._redis_not_before:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await _count(self._shared_counters, items, names)
            except (StorageError, TimeoutError) as error:
                self._redis_not_before = time.monotonic() + _RETRY_SECONDS
                log.warning("redis does not answer: each worker counts for itself", error=str(error))
        return await _count(self._own_counters, items, names)

    async def close(self) -> None:
        """Close the connections, in the event loop that opened them."""
        if self._redis is not None:
            # The library has no public way to close them.
            await cast("Any", self._redis.bridge).storage.aclose()


async def _count(
    counters: SlidingWindowCounterRateLimiter, items: list[RateLimitItem], names: tuple[str, ...]
) -> int | None:
    for item in items:
        if not await counters.hit(item, *names):
            stats = await counters.get_window_stats(item, *names)
            return max(1, math.ceil(stats.reset_time - time.time()))
    return None


def _open_redis(address: str) -> RedisStorage:
    if not address.startswith(_SCHEMES):
        raise SpecError("redis", "is not the address of a Redis", value=address, allowed=_SCHEMES)
    try:
        return RedisStorage(
            f"async+{address}", implementation="redispy", wrap_exceptions=True, key_prefix="backtune"
        )
    except (ConfigurationError, ValueError) as error:
        raise SpecError("redis", f"cannot be used: {error}", value=address) from error
