"""Signals, answered for the time of a block."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def answer_signals(answer: Callable[[], object], *numbers: int) -> Iterator[None]:
    """Call ``answer`` when one of the signals comes in the block, and put the handlers before it back afterwards.

    To be used in the main thread, as Python demands of all signal handlers.
    """
    before = {number: signal.signal(number, lambda *_: answer()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
