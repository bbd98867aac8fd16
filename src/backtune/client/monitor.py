"""A monitor of jobs, to which a gateway pushes their changes over a socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

from backtune.client.address import Address
from backtune.client.job_watch import JobWatch
from backtune.client.retries import RetryLimits
from backtune.client.socket_connection import open_socket, open_socket_async
from backtune.errors import GatewayError
from backtune.wire.answers import JobUpdate


class RealTimeMonitor:
    """A monitor that watches jobs until all of them have ended, and connects again after a lost connection.

    The first update of a job is its present state; every change follows. A reader that is slower than the changes misses
    some of them, but never the newest. Safe to use from several threads.

    Args:
        api_base: URL of the gateway, such as ``https://gateway.example.com``.
        api_key: Key as ``backtune keys create`` printed it; None for a gateway that asks for no key.
        retries: Patience in one outage.

    All methods raise the kind of :class:`~backtune.errors.GatewayError` that fits, and ``SpecError`` without a job.
    """

    def __init__(
        self, api_base: str, api_key: str | None = None, *, retries: RetryLimits | None = None
    ) -> None:
        self._address = Address.of(api_base, api_key)
        self._retries = retries or RetryLimits()

    def updates(self, *job_ids: str) -> Iterator[JobUpdate]:
        """Yield every change as it comes."""
        watch = JobWatch(self._address, job_ids, self._retries)
        while not watch.is_over:
            try:
                with open_socket(self._address.socket, watch.opening_messages()) as texts:
                    for text in texts:
                        update = watch.read_update(text)
                        if update is not None:
                            yield update
                        if watch.is_over:
                            return
            except GatewayError as error:
                time.sleep(watch.pause_after(error))

    def follow(self, *job_ids: str, on_update: Callable[[JobUpdate], object]) -> None:
        """Call ``on_update`` with every change, and return when all jobs have ended."""
        for update in self.updates(*job_ids):
            on_update(update)

    async def updates_async(self, *job_ids: str) -> AsyncIterator[JobUpdate]:
        """Yield every change as it comes, for an event loop."""
        watch = JobWatch(self._address, job_ids, self._retries)
        while not watch.is_over:
            try:
                async with open_socket_async(self._address.socket, watch.opening_messages()) as texts:
                    async for text in texts:
                        update = watch.read_update(text)
                        if update is not None:
                            yield update
                        if watch.is_over:
                            return
            except GatewayError as error:
                await asyncio.sleep(watch.pause_after(error))
