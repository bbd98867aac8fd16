"""The order in which units run, and the fate of those that fail. It knows no cluster: Tune or a simulation takes from it."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backtune.search.executors.unit import Unit

_LONGEST_DELAY_SECONDS = 30.0


@dataclass(frozen=True)
class UnitSlice:
    """The studies ``first`` to ``last``, the last one excluded, of the planned unit ``unit``."""

    unit: int
    first: int
    last: int

    @property
    def halves(self) -> tuple[UnitSlice, UnitSlice]:
        middle = (self.first + self.last) // 2
        return replace(self, last=middle), replace(self, first=middle)


@dataclass
class _Failures:
    """The failures of a slice in a row without progress, and the progress at the last of them."""

    count: int = 0
    progress: object = None


class UnitQueue:
    """Hands out planned units in their order, and failed ones again.

    A slice that keeps failing without progress is cut in halves, until the study at fault is alone and is given up; the other
    studies run on. A slice that has made progress since its last failure starts counting anew: on machines that come and go,
    no number of failures is too high.
    """

    def __init__(
        self, units: Sequence[Unit], max_failures: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Queue whole units.

        Args:
            units: The planned units, the longest first.
            max_failures: The number of failures in a row that a slice may have without progress.
            clock: A clock in seconds. A slice without progress waits before its next attempt, longer each time.
        """
        self._units = units
        self._max_failures = max_failures
        self._clock = clock
        self._ready = deque(UnitSlice(i, 0, len(unit)) for i, unit in enumerate(units))
        self._delayed: list[tuple[float, int, UnitSlice]] = []
        self._n_delayed = 0
        self._running: set[UnitSlice] = set()
        self._failures: dict[UnitSlice, _Failures] = {}
        self.lost: dict[str, str] = {}
        """The reason for every study that was given up, by its id."""

    @property
    def is_finished(self) -> bool:
        """Return whether nothing is left to run and nothing is running."""
        return not (self._ready or self._delayed or self._running)

    def studies(self, part: UnitSlice) -> Unit:
        """Return the studies of a slice."""
        return self._units[part.unit][part.first : part.last]

    def take(self) -> UnitSlice | None:
        """Return the slice to start next; None where there is none now."""
        while self._delayed and self._delayed[0][0] <= self._clock():
            self._ready.append(heapq.heappop(self._delayed)[2])
        if not self._ready:
            return None
        part = self._ready.popleft()
        self._running.add(part)
        return part

    def mark_done(self, part: UnitSlice, *, is_parked: bool = False) -> None:
        """Record that a slice ended without a failure.

        Args:
            part: The slice.
            is_parked: True where its islands wait for others and must go on later.
        """
        self._running.discard(part)
        self._failures.pop(part, None)
        if is_parked:
            self._ready.append(part)

    def mark_failed(self, part: UnitSlice, reason: str, progress: object) -> None:
        """Record that a slice failed.

        Args:
            part: The slice.
            reason: The reason, for the study that is given up in the end.
            progress: The progress of its studies; it has advanced where this differs from the value at the last failure.
        """
        self._running.discard(part)
        failures = self._failures.pop(part, _Failures())
        count = failures.count + 1 if progress == failures.progress else 1
        if count <= self._max_failures:
            self._failures[part] = _Failures(count, progress)
            delay = min(2.0 ** (count - 1), _LONGEST_DELAY_SECONDS) if count > 1 else 0.0
            self._n_delayed += 1
            heapq.heappush(self._delayed, (self._clock() + delay, self._n_delayed, part))
        elif part.last - part.first > 1:
            self._ready.extend(part.halves)
        else:
            self.lost[self.studies(part)[0].id] = reason
