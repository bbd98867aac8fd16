"""The process that follows a sweep and projects its studies as they finish; :mod:`.projection` starts and ends it.

It looks every two seconds. The word ``last`` on its standard input means to project all and end; the end of the input,
that the driver is gone. It writes what is wrong, a line of JSON each time that this changes.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from backtune.errors import BacktuneError
from backtune.results.runs import Run, StudyEntry
from backtune.tracking.sync import Tracker

POLL_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0
# Rather in the gaps of the search than beside it; with a lower priority all of it would be left for the end.
_NICE = 5


@dataclass
class Follower:
    """Projects what is new in a sweep's folder; after a failure it pauses, each time longer.

    Attributes:
        problem: why the latest attempt failed, else None.
        seen: for every study, the summary that was projected or refused: a projected one is not looked at again.
    """

    run: Run
    tracker: Tracker
    problem: str | None = None
    n_failures: int = 0
    not_before: float = 0.0
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def look(self, *, last: bool = False) -> None:
        """Project studies whose summary is new; at last all of them, and the sweep as a whole."""
        if not last and time.monotonic() < self.not_before:
            return
        stamps = {study.id: _stamp(self.run, study) for study in self.run.studies}
        new = [study for study in self.run.studies if stamps[study.id] != self.seen.get(study.id)]
        try:
            report = self.tracker.project(self.run.studies if last else new, finish=last)
            self.problem = _in_short(report.problems)
        except BacktuneError as error:
            self.problem = str(error)
            self.n_failures += 1
            self.not_before = time.monotonic() + min(_LONGEST_PAUSE_SECONDS, 2.0**self.n_failures)
        else:
            self.seen.update({study.id: stamp for study in new if (stamp := stamps[study.id])})
            self.n_failures = 0


def main(folder: str, uri: str) -> None:
    """Follow the sweep in ``folder`` until told to end, or until the driver is gone."""
    os.nice(_NICE)
    run = Run.open(folder)
    follower = Follower(run, Tracker(run, uri))
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        # What MLflow prints must not be taken for an answer.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        word: str | None = None
        while word != "":
            before = follower.problem
            follower.look(last=word == "last")
            if word == "last":
                _answer(answers, follower.problem, last=True)
                return
            if follower.problem != before:
                _answer(answers, follower.problem)
            word = _next_word(POLL_SECONDS)


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


def _stamp(run: Run, study: StudyEntry) -> tuple[int, int] | None:
    try:
        status = (run.study_folder(study.id) / "summary.json").stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


if __name__ == "__main__":
    main(*sys.argv[1:])
