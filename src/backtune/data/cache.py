"""A cache that is bounded by bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class ByteCache(Generic[T]):
    """Values by key, up to a number of bytes, the least used given up first. Safe to use from several threads."""

    def __init__(self, limit_bytes: int, n_bytes: Callable[[T], int]) -> None:
        self._limit = limit_bytes
        self._size = n_bytes
        self._entries: OrderedDict[tuple[str, ...], T] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...]) -> T | None:
        """The value under a key, which becomes the most recently used, or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: tuple[str, ...], value: T) -> None:
        """Keep a value, unless it alone exceeds the limit."""
        size = self._size(value)
        with self._lock:
            if key in self._entries or size > self._limit:
                return
            self._entries[key] = value
            self._bytes += size
            while self._bytes > self._limit:
                _, given_up = self._entries.popitem(last=False)
                self._bytes -= self._size(given_up)

    def clear(self) -> None:
        """Give up everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return self._bytes
