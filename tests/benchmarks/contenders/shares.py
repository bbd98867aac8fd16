"""Where the time of a unit goes: timers around the kernel, around the sampler and around the rest by part.

The kernel is compiled code, called from Python, and what makes metrics of its sums.

Every timer counts what happens in it and in no timer inside it, so the parts add up to the unit's time; that sum is
compared with the unit's own clock.
"""

import functools
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher

from backtune.data import load
from backtune.data.load import BarsRef
from backtune.results.log.segments import TrialLog
from backtune.results.log.summary import StudySummary
from backtune.search.study_loop.study import Study, run_study
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.search.suggesters.backend_suggester import BackendSuggester
from backtune.search.suggesters.grid import GridSuggester
from backtune.simulation import simulate

KERNEL, SAMPLER = "kernel", "sampler"
EVALUATION, LOG, BARS, STUDY = "evaluation, in Python", "trial log", "bars", "study loop"


@dataclass
class _Clock:
    """Seconds by part, and the parts that are open now, each inside the one before."""

    running: bool = False
    totals: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    open: list[str] = field(default_factory=list)
    since: float = 0.0

    def enter(self, part: str) -> None:
        now = time.perf_counter()
        if self.open:
            self.totals[self.open[-1]] += now - self.since
        self.open.append(part)
        self.since = now

    def leave(self) -> None:
        now = time.perf_counter()
        self.totals[self.open.pop()] += now - self.since
        self.since = now


_clock = _Clock()


def install(studies: Iterable[Study]) -> None:
    """Put timers in place in this process, once; what the studies need is compiled before, and not counted."""
    if _clock.running:
        return
    _clock.running = True
    _warm(studies)
    _wrap_compiled()
    simulate._compute_metrics = _timed(simulate._compute_metrics, KERNEL)
    for suggester in (BackendSuggester, GridSuggester):
        _wrap(suggester, ("ask", "tell"), SAMPLER)
    _wrap(TrialLog, ("read", "append", "merge"), LOG)
    _wrap(StudySummary, ("write",), LOG)
    _wrap(BarsRef, ("load",), BARS)
    WindowEvaluator.evaluate = _timed_steps(WindowEvaluator.evaluate)


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Seconds by part while the block runs; empty where no timer is in place."""
    found: dict[str, float] = {}
    if not _clock.running:
        yield found
        return
    _clock.totals.clear()
    _clock.enter(STUDY)
    try:
        yield found
    finally:
        _clock.leave()
    found.update(_clock.totals)


def _timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        _clock.enter(part)
        try:
            return function(*args, **named)
        finally:
            _clock.leave()

    return call


def _timed_steps(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """A generator, of which only the steps count and not what is done between them."""

    @functools.wraps(function)
    def steps(*args: Any, **named: Any) -> Iterator[Any]:
        step = _timed(function(*args, **named).__next__, EVALUATION)
        while True:
            try:
                found = step()
            except StopIteration:
                return
            yield found

    return steps


def _wrap(owner: type, names: Sequence[str], part: str) -> None:
    for name in names:
        setattr(owner, name, _timed(getattr(owner, name), part))


def _wrap_compiled() -> None:
    """Every compiled function that Python calls by a name in one of our modules, also one imported there."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "backtune":
            for attribute, value in list(vars(module).items()):
                if isinstance(value, Dispatcher):
                    setattr(module, attribute, _timed(value, KERNEL))


def _warm(studies: Iterable[Study]) -> None:
    """Compile what the studies call: compiled code cannot be built on functions with timers."""
    for study in {study.strategy.name: study for study in studies}.values():
        small = replace(study, search=study.search.model_copy(update={"trials": 16}))
        with tempfile.TemporaryDirectory() as folder:
            deque(run_study(small, Path(folder), lambda: False), maxlen=0)
    # Bars are read by the units that need them, on their own time.
    load.load_planned_bars.cache_clear()
    load._read_stored_cached.cache_clear()
