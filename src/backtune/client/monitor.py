"""Jobs as they change, pushed over a socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

from backtune.client.address import Address
from backtune.client.answers import JobUpdate
from backtune.client.retries import Patience, Retries
from backtune.client.socket_line import told, told_async
from backtune.client.watch import Watch
from backtune.errors import BusyError, GatewayError, UnreachableError


class RealTimeMonitor:
    """Watches jobs until all of them have ended; a lost connection is made again, and what changed meanwhile is told then.

    Every job is told as it is at first, and then at every change; what comes faster than it is taken is left out, but
    never the newest. Safe to use from several threads.

    Args:
        api_base, api_key: as for :class:`~backtune.client.optimizer.HyperOptClient`.
        retries: how patient to be in one outage.

    All methods raise the kind of :class:`~backtune.errors.GatewayError` that fits, and ``SpecError`` without a job.
    """

    def __init__(self, api_base: str, api_key: str | None = None, *, retries: Retries | None = None) -> None:
        self._address = Address.of(api_base, api_key)
        self._retries = retries or Retries()

    def updates(self, *job_ids: str) -> Iterator[JobUpdate]:
        """Every change, as it comes."""
        watch = Watch(self._address, job_ids)
        patience = Patience(self._retries)
        while not watch.is_over:
            try:
                with told(self._address.socket, watch.opening()) as texts:
                    for text in texts:
                        update = watch.take(text)
                        if update is not None:
                            patience = Patience(self._retries)
                            yield update
                        if watch.is_over:
                            return
            except GatewayError as error:
                time.sleep(_pause(error, patience))

    def follow(self, *job_ids: str, on_update: Callable[[JobUpdate], object]) -> None:
        """Call ``on_update`` with every change; returns when all jobs have ended."""
        for update in self.updates(*job_ids):
            on_update(update)

    async def updates_async(self, *job_ids: str) -> AsyncIterator[JobUpdate]:
        """Every change, for an event loop."""
        watch = Watch(self._address, job_ids)
        patience = Patience(self._retries)
        while not watch.is_over:
            try:
                async with told_async(self._address.socket, watch.opening()) as texts:
                    async for text in texts:
                        update = watch.take(text)
                        if update is not None:
                            patience = Patience(self._retries)
                            yield update
                        if watch.is_over:
                            return
            except GatewayError as error:
                await asyncio.sleep(_pause(error, patience))


def _pause(error: GatewayError, patience: Patience) -> float:
    """Seconds until the next connection.

    Raises:
        GatewayError: the one given, where another makes no sense or patience is at its end.
    """
    seconds = patience.pause() if isinstance(error, UnreachableError | BusyError) else None
    if seconds is None:
        raise error
    return seconds
