"""A request to stop that long work honours between two steps, and at once while it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final


@final
class StopRequest:
    """A request to stop, made by a signal handler.

    Writing is never cut short: ``request`` interrupts the main thread only inside of ``interruptible``.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._is_interruptible = False

    def request(self) -> None:
        """Ask for the end. To be called in the main thread, as signal handlers are.

        Raises:
            KeyboardInterrupt: the main thread is waiting, and has nothing to finish.
        """
        self._requested.set()
        if self._is_interruptible:
            raise KeyboardInterrupt

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a stop was asked for."""
        if self.is_requested:
            raise KeyboardInterrupt

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a request interrupt what is inside, which must leave nothing half done."""
        self._is_interruptible = True
        try:
            self.check()
            yield
        finally:
            self._is_interruptible = False

    def wait(self, seconds: float) -> None:
        """Sleep, unless a stop is asked for.

        Raises:
            KeyboardInterrupt: it was.
        """
        with self.interruptible():
            time.sleep(seconds)
