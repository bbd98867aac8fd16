"""Which unit runs next, and what becomes of one that failed. Knows no cluster: Tune, this process or a simulation
take from it.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backtune.search.executors.unit import Unit

_LONGEST_DELAY_SECONDS = 30.0


@dataclass(frozen=True)
class Piece:
    """Studies ``first`` to ``last``, the last one excluded, of the planned unit ``unit``."""

    unit: int
    first: int
    last: int

    @property
    def halves(self) -> tuple[Piece, Piece]:
        middle = (self.first + self.last) // 2
        return replace(self, last=middle), replace(self, first=middle)


@dataclass
class _Failures:
    """How often a piece has failed in a row without getting any further, and how far it was."""

    count: int = 0
    state: object = None


class UnitQueue:
    """Hands out planned units in their order, and failed ones again.

    A piece that fails over and over without getting any further is cut in halves, until the study at fault is alone
    and given up; the others run on. One that got further since its last failure has not used up any patience: on
    machines that come and go, no number of failures is too high.

    Args:
        units: the longest first.
        max_failures: how often a piece may fail in a row without getting any further.
        clock: seconds; a piece without progress waits before its next try, longer each time.
    """

    def __init__(
        self, units: Sequence[Unit], max_failures: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._units = units
        self._max_failures = max_failures
        self._clock = clock
        self._ready = deque(Piece(i, 0, len(unit)) for i, unit in enumerate(units))
        self._delayed: list[tuple[float, int, Piece]] = []
        self._n_delayed = 0
        self._running: set[Piece] = set()
        self._failures: dict[Piece, _Failures] = {}
        self.lost: dict[str, str] = {}
        """For every study that was given up: why."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to run and nothing runs."""
        return not (self._ready or self._delayed or self._running)

    def studies(self, piece: Piece) -> Unit:
        """What is in a piece."""
        return self._units[piece.unit][piece.first : piece.last]

    def next(self) -> Piece | None:
        """The piece to start next; None where there is none now."""
        while self._delayed and self._delayed[0][0] <= self._clock():
            self._ready.append(heapq.heappop(self._delayed)[2])
        if not self._ready:
            return None
        piece = self._ready.popleft()
        self._running.add(piece)
        return piece

    def done(self, piece: Piece, *, parked: bool = False) -> None:
        """A piece ended well; ``parked``: it waits for others and wants to go on later."""
        self._running.discard(piece)
        self._failures.pop(piece, None)
        if parked:
            self._ready.append(piece)

    def failed(self, piece: Piece, reason: str, state: object) -> None:
        """A piece failed.

        Args:
            state: how far its studies are; where it is another than at the last failure, there was progress.
        """
        self._running.discard(piece)
        failures = self._failures.pop(piece, _Failures())
        count = failures.count + 1 if state == failures.state else 1
        if count <= self._max_failures:
            self._failures[piece] = _Failures(count, state)
            self._delay(piece, 2.0 ** (count - 1) if count > 1 else 0.0)
        elif piece.last - piece.first > 1:
            self._ready.extend(piece.halves)
        else:
            self.lost[self.studies(piece)[0].id] = reason

    def _delay(self, piece: Piece, seconds: float) -> None:
        self._n_delayed += 1
        ready_at = self._clock() + min(seconds, _LONGEST_DELAY_SECONDS)
        heapq.heappush(self._delayed, (ready_at, self._n_delayed, piece))
