"""Handlers of signals that hold for a block."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def handle_signals(handler: Callable[[], object], *numbers: int) -> Iterator[None]:
    """Call ``handler`` when a signal arrives in the block, and restore the previous handlers afterwards.

    Python allows this in the main thread alone.
    """
    before = {number: signal.signal(number, lambda *_: handler()) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
