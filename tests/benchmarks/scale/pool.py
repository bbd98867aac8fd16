"""A pool of simulated slots on a virtual clock, fed by the real queue.

A slot takes a slice, spends the time of its studies and reports to the queue as the real adapter does. What a study has
in its log survives its worker, to the last whole second, as segments do. Slots are preempted, and some studies end
every worker that tries them.
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from backtune.data.load import BarsRef
from backtune.search.executors.queue import UnitQueue, UnitSlice
from backtune.search.executors.unit import Unit
from backtune.search.study_loop.segment_writer import FLUSH_SECONDS
from backtune.search.study_loop.study import Study

Answer = TypeVar("Answer")

# Between the end of a slice and the start of the next on the same slot, beside the driver's own time: the way to the
# worker and back.
DISPATCH_SECONDS = 0.1
# Until there is another machine in the place of one that was taken away.
REPLACEMENT_SECONDS = 90.0


@dataclass(frozen=True)
class World:
    """The studies and disturbances that a pool meets.

    Attributes:
        slots: how many slices run at a time.
        seconds: what every study really takes, by id.
        reading: seconds to read a study's bars, once for each slice.
        preemptions_per_hour: of every slot.
        deadly: ids of studies that end any worker, halfway.
        driver_seconds: of the driver for every slice, one after the other.
    """

    slots: int
    seconds: dict[str, float]
    reading: Callable[[BarsRef], float]
    preemptions_per_hour: float = 0.0
    deadly: frozenset[str] = frozenset()
    driver_seconds: float = 0.0


@dataclass
class Outcome:
    """The result of a simulated pool.

    Attributes:
        makespan: seconds until nothing was left.
        busy: seconds that slots spent on studies and on reading bars, the work that was lost included.
        n_slices: how often a slice was handed out.
        n_preempted, n_deaths: slices that ended with their slot, and that were ended by a study.
        n_finished: how often each study was brought to its end.
        queue_seconds: of this process for all calls of the queue.
        driver_seconds: on the virtual clock, for all slices.
    """

    makespan: float = 0.0
    busy: float = 0.0
    n_slices: int = 0
    n_preempted: int = 0
    n_deaths: int = 0
    n_finished: Counter[str] = field(default_factory=Counter)
    lost: dict[str, str] = field(default_factory=dict)
    queue_seconds: float = 0.0
    driver_seconds: float = 0.0


def simulate(units: Sequence[Unit], world: World, max_failures: int, seed: int) -> Outcome:
    """Run all units on the pool."""
    return _Pool(units, world, max_failures, seed).run()


@dataclass
class _Run:
    """A slice on a slot: how it will end, and for each study that is not finished, seconds of reading and of searching."""

    part: UnitSlice
    start: float
    ends: str
    steps: list[tuple[str, float, float]]


class _Pool:
    def __init__(self, units: Sequence[Unit], world: World, max_failures: int, seed: int) -> None:
        self.now = 0.0
        self.world = world
        self.queue = UnitQueue(units, max_failures, clock=lambda: self.now)
        self.rng = np.random.default_rng(seed)
        self.outcome = Outcome()
        self.logged: dict[str, float] = {}
        self.running: set[str] = set()
        self.idle = world.slots
        self.driver_free = 0.0
        self.events: list[tuple[float, int, _Run | None]] = []
        self.n_events = 0

    def run(self) -> Outcome:
        """Until nothing is left."""
        self._hand_out()
        while not self._called(lambda: self.queue.is_finished):
            self.now, _, ended = heapq.heappop(self.events)
            if ended is not None:
                self._end(ended)
            else:
                self.idle += 1
            self._hand_out()
        self.outcome.makespan, self.outcome.lost = self.now, self.queue.lost
        return self.outcome

    def _hand_out(self) -> None:
        while self.idle:
            part = self._called(self.queue.take)
            if part is None:
                if not self.events and not self.queue.is_finished:
                    # Nothing runs and all wait for another try; Tune asks again all the time.
                    self._later(1.0, None)
                    self.idle -= 1
                return
            self.idle -= 1
            self.driver_free = max(self.driver_free, self.now) + self.world.driver_seconds
            self.outcome.driver_seconds += self.world.driver_seconds
            self.outcome.n_slices += 1
            self._start(part, self.driver_free + DISPATCH_SECONDS)

    def _start(self, part: UnitSlice, at: float) -> None:
        unit = self.queue.studies(part)
        ids = {study.id for study in unit}
        assert not ids & self.running, f"{ids & self.running} run twice at a time"
        self.running |= ids
        steps = self._steps(unit)
        ends = "died" if steps and steps[-1][0] in self.world.deadly else "done"
        length = sum(reading + seconds for _, reading, seconds in steps)
        lives = self._life()
        if lives < length:
            length, ends = lives, "preempted"
        self._later(at + length - self.now, _Run(part, at, ends, steps))

    def _steps(self, unit: Unit) -> list[tuple[str, float, float]]:
        steps: list[tuple[str, float, float]] = []
        read: set[BarsRef] = set()
        for study in unit:
            end = self._end_of(study)
            left = end - self.logged.get(study.id, 0.0)
            if left > 0 or study.id in self.world.deadly:
                steps.append(
                    (study.id, 0.0 if study.bars in read else self.world.reading(study.bars), max(left, 0.0))
                )
                read.add(study.bars)
            if study.id in self.world.deadly:
                break
        return steps

    def _end_of(self, study: Study) -> float:
        """Seconds of search until a study is over: a deadly one ends its worker halfway."""
        whole = self.world.seconds[study.id]
        return whole / 2 if study.id in self.world.deadly else whole

    def _life(self) -> float:
        rate = self.world.preemptions_per_hour
        return float(self.rng.exponential(3600 / rate)) if rate else float("inf")

    def _end(self, run: _Run) -> None:
        unit = self.queue.studies(run.part)
        self.running -= {study.id for study in unit}
        self.outcome.busy += self.now - run.start
        self._log(run)
        if run.ends == "done":
            self._called(lambda: self.queue.mark_done(run.part))
        else:
            state = tuple(self.logged.get(study.id, 0.0) for study in unit)
            self._called(lambda: self.queue.mark_failed(run.part, run.ends, state))
        if run.ends == "preempted":
            self.outcome.n_preempted += 1
            self._later(REPLACEMENT_SECONDS, None)
        else:
            self.outcome.n_deaths += run.ends == "died"
            self.idle += 1

    def _log(self, run: _Run) -> None:
        """Record the logged time of the run's studies, now that it has ended."""
        spent = self.now - run.start
        for name, reading, seconds in run.steps:
            searched = max(spent - reading, 0.0)
            is_finished = name not in self.world.deadly and (seconds <= searched or run.ends == "done")
            if is_finished:
                self.outcome.n_finished[name] += 1
                self.logged[name] = self.world.seconds[name]
            else:
                written = min(searched, seconds) // FLUSH_SECONDS * FLUSH_SECONDS
                self.logged[name] = self.logged.get(name, 0.0) + written
                return
            spent = searched - seconds

    def _later(self, seconds: float, run: _Run | None) -> None:
        self.n_events += 1
        heapq.heappush(self.events, (self.now + seconds, self.n_events, run))

    def _called(self, call: Callable[[], Answer]) -> Answer:
        begin = time.perf_counter_ns()
        try:
            return call()
        finally:
            self.outcome.queue_seconds += (time.perf_counter_ns() - begin) / 1e9
