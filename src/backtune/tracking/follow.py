"""The process that follows a sweep and projects its studies as they finish; :mod:`.projection` starts and ends it.

The word ``last`` on its standard input means to project all and end; the end of the input, that the driver is gone. It
writes a line of JSON when what is wrong has changed and, after that word, at every step.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TextIO

from backtune.errors import BacktuneError
from backtune.results.runs import Run, StudyEntry
from backtune.tracking.sync import Tracker

POLL_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0
# Of a processor: loading MLflow and opening a store, and telling of one study.
_START_SECONDS, _STUDY_SECONDS = 4.0, 0.2

_Stamp = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Allowance:
    """How much of this machine's processors may be used beside the search.

    Not a low priority: where other work keeps the machine busy, what is left for the end would never be done.

    Attributes:
        share: of all processors.
        start: of the search, by the monotonic clock.
    """

    share: float
    start: float = field(default_factory=time.monotonic)

    def covers(self, seconds: float) -> bool:
        """Whether so much more processor time may be used now."""
        earned = self.share * len(os.sched_getaffinity(0)) * (time.monotonic() - self.start)
        return time.process_time() + seconds <= earned


@dataclass
class Follower:
    """Projects what is new in a sweep's folder; after a failure it pauses, each time longer.

    Attributes:
        problem: why the latest attempt failed, else None.
        seen: for every study, what was projected or refused: it is not looked at again before it changes.
        waiting: studies that are new.
    """

    run: Run
    tracker: Tracker
    problem: str | None = None
    n_failures: int = 0
    not_before: float = 0.0
    seen: dict[str, _Stamp] = field(default_factory=dict)
    waiting: deque[StudyEntry] = field(default_factory=deque)

    def scan(self) -> None:
        """Look which studies are new: those that are done, with all of their islands, in a way not seen yet."""
        if not self.waiting:
            stamps = ((study, _stamp(self.run, study)) for study in self.run.studies)
            self.waiting.extend(
                study for study, stamp in stamps if all(stamp) and stamp != self.seen.get(study.id)
            )

    def take(self) -> bool:
        """Project one study that is new; whether there was one."""
        if not self.waiting or time.monotonic() < self.not_before:
            return False
        self._project([self.waiting.popleft()])
        return True

    def finish(self, on_step: Callable[[], None]) -> None:
        """Project all that is new, and the sweep as a whole."""
        studies = self.run.studies
        new = [study for study in studies if _stamp(self.run, study) != self.seen.get(study.id)]
        self._project(new, finish=True, on_step=on_step)

    def _project(
        self,
        studies: Sequence[StudyEntry],
        *,
        finish: bool = False,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        stamps = {study.id: _stamp(self.run, study) for study in studies}
        try:
            report = self.tracker.project(studies, finish=finish, on_step=on_step)
            self.problem = _in_short(report.problems)
        except BacktuneError as error:
            self.problem = str(error)
            self.n_failures += 1
            self.not_before = time.monotonic() + min(_LONGEST_PAUSE_SECONDS, 2.0**self.n_failures)
        else:
            self.seen.update(stamps)
            self.n_failures = 0


def main(folder: str, uri: str, share: str) -> None:
    """Follow the sweep in ``folder`` until told to end, or until the driver is gone.

    Args:
        share: of this machine's processors, to be used before that word at most.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        # What MLflow prints must not be taken for an answer.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        run = Run.open(folder)
        follower = Follower(run, Tracker(run, uri))
        if _follow(follower, Allowance(float(share)), answers) == "last":
            # Now the driver reads, and is told of every step.
            follower.finish(partial(_answer, answers, None))
            _answer(answers, follower.problem, last=True)


def _follow(follower: Follower, allowance: Allowance, answers: TextIO) -> str:
    """Project study by study as far as the allowance goes, until there is a word."""
    word: str | None = None
    cost = _START_SECONDS
    while word is None:
        before, is_busy = follower.problem, False
        if allowance.covers(cost):
            follower.scan()
            is_busy = follower.take()
            cost = _STUDY_SECONDS if is_busy else cost
        if follower.problem != before:
            _answer(answers, follower.problem)
        word = _next_word(0.0 if is_busy else POLL_SECONDS)
    return word


def _in_short(problems: Sequence[str]) -> str | None:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"tracking: {problems[0]}{more}" if problems else None


def _answer(answers: TextIO, problem: str | None, *, last: bool = False) -> None:
    answers.write(json.dumps({"problem": problem, "last": last}) + "\n")
    answers.flush()


def _next_word(timeout: float) -> str | None:
    """The latest word of the driver, "" once it is gone, None where it says nothing."""
    ready, _, _ = select.select([0], [], [], timeout)
    if not ready:
        return None
    words = os.read(0, 4096).decode().split()
    return words[-1] if words else ""


def _stamp(run: Run, study: StudyEntry) -> _Stamp:
    """When the study and the other islands of its search were summed up; None for one that was not."""
    return tuple(_written(run, study_id) for study_id in (study.id, *study.peers))


def _written(run: Run, study_id: str) -> tuple[int, int] | None:
    try:
        status = (run.study_folder(study_id) / "summary.json").stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


if __name__ == "__main__":
    main(*sys.argv[1:])
