"""The process that projects the studies of a running sweep as they finish; :mod:`.live_sync_process` starts and ends it.

The word ``last`` on its standard input means to project all and end; the end of the input means that the driver is gone.
The process writes a line of JSON when its problem has changed and, after that word, at every step.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from backtune.tracking.follower import LiveSync

POLL_SECONDS = 2.0
# Processor time for loading MLflow and opening a store, and for projecting one study.
_START_SECONDS, _STUDY_SECONDS = 4.0, 0.2


@dataclass(frozen=True)
class ProcessorBudget:
    """The processor time that may be used beside the search.

    A low priority is no substitute: on a busy machine the projection would never finish.

    Attributes:
        share: Share of all processors.
        start: Start of the search, by the monotonic clock.
    """

    share: float
    start: float = field(default_factory=time.monotonic)

    def covers(self, seconds: float) -> bool:
        """Return whether ``seconds`` more of processor time may be used now."""
        earned = self.share * len(os.sched_getaffinity(0)) * (time.monotonic() - self.start)
        return time.process_time() + seconds <= earned


def main(folder: str, uri: str, share: str) -> None:
    """Follow the sweep in ``folder`` until told to end, or until the driver is gone.

    Args:
        folder: The folder of the sweep.
        uri: The address of the MLflow store.
        share: The largest share of this machine's processors to use before the word ``last``.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        # Output of MLflow must not be taken for an answer.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        budget = ProcessorBudget(float(share))
        word = _wait_for_start(budget)
        if word != "":
            follower = _open_live_sync(folder, uri)
            word = word or _project_until_word(follower, budget, answers)
            if word == "last":
                # Now the driver reads, and is told of every step.
                follower.finish(partial(_write_answer, answers, None))
                _write_answer(answers, follower.problem, last=True)


def _wait_for_start(budget: ProcessorBudget) -> str | None:
    """Wait for a word, or for enough processor time to begin."""
    word = None
    while word is None and not budget.covers(_START_SECONDS):
        word = _read_word(POLL_SECONDS)
    return word


def _open_live_sync(folder: str, uri: str) -> LiveSync:
    # Loading all this takes the search a second of a processor: not before it is needed.
    from backtune.results.stored_sweep import StoredSweep
    from backtune.tracking.follower import LiveSync
    from backtune.tracking.sync import SweepTracker

    run = StoredSweep.open(folder)
    return LiveSync(run, SweepTracker(run, uri))


def _project_until_word(follower: LiveSync, budget: ProcessorBudget, answers: TextIO) -> str:
    """Project study by study as far as the budget goes, until there is a word."""
    word: str | None = None
    while word is None:
        before, is_busy = follower.problem, False
        if budget.covers(_STUDY_SECONDS):
            follower.scan()
            is_busy = follower.project_next()
        if follower.problem != before:
            _write_answer(answers, follower.problem)
        word = _read_word(0.0 if is_busy else POLL_SECONDS)
    return word


def _write_answer(answers: TextIO, problem: str | None, *, last: bool = False) -> None:
    answers.write(json.dumps({"problem": problem, "last": last}) + "\n")
    answers.flush()


def _read_word(timeout: float) -> str | None:
    """Return the latest word of the driver, "" once it is gone, None where it says nothing."""
    ready, _, _ = select.select([0], [], [], timeout)
    if not ready:
        return None
    words = os.read(0, 4096).decode().split()
    return words[-1] if words else ""


if __name__ == "__main__":
    main(*sys.argv[1:])
