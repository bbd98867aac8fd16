"""The evaluator that finds the candidate that ends its worker.

It costs nothing as long as no worker dies. When a worker dies, the driver leaves a note in the folder of the study that the
worker was at. The next worker of that study writes each candidate into the note before it evaluates it. If it dies too, the
driver counts that death against the candidate in the note. A candidate that has cost too many workers is not evaluated
again: it gets a failed row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backtune.errors import StrategyError
from backtune.results.trial import Trial
from backtune.search.study_loop.evaluator import Evaluator, NumberedCandidate
from backtune.search.study_loop.segment_writer import SegmentWriter
from backtune.storage.files import read_json, remove_file, write_json
from backtune.storage.location import Location

_FILE = ".deaths.json"
# Trials are written once a second, so the candidate at which the worker died comes up again within that time.
_GUARDED_SECONDS = 3.0
MAX_DEADLY_CANDIDATES = 5
DEADLY = "its worker died whenever it was evaluated"


@dataclass(frozen=True)
class DeathNote:
    """The deaths of a study's workers, in a file beside its log.

    Attributes:
        number: The candidate that a worker started last; None as long as no worker has noted one.
        deaths: The number of workers that died after they had started that candidate.
    """

    number: int | None = None
    deaths: int = 0

    @classmethod
    def read(cls, folder: Location) -> DeathNote | None:
        """Return the note in a study's folder; None where no worker has died."""
        content = read_json(folder / _FILE)
        return cls(**content) if content is not None else None

    def write(self, folder: Location) -> None:
        """Write the note into a study's folder.

        Raises:
            ResultsError: The folder cannot be written.
        """
        write_json(folder / _FILE, {"number": self.number, "deaths": self.deaths})


def note_death(folder: Location) -> None:
    """Note that a worker died at a study, and count the death against the candidate that it had noted.

    Raises:
        ResultsError: The folder cannot be written.
    """
    before = DeathNote.read(folder)
    has_candidate = before is not None and before.number is not None
    note = DeathNote(before.number, before.deaths + 1) if before and has_candidate else DeathNote()
    note.write(folder)


class DeathWatch:
    """Keeps the note about the candidate that a worker is at, for as long as its study is under suspicion."""

    def __init__(self, folder: Location, max_deaths: int) -> None:
        """Read the note of the workers before.

        Args:
            folder: The study's folder.
            max_deaths: The number of workers that a candidate may cost.
        """
        self._folder = folder
        self._max_deaths = max_deaths
        self._note = DeathNote.read(folder)
        self._suspect = self._note.number if self._note and self._note.number is not None else -1
        self._until: float | None = None

    @property
    def suspect(self) -> int:
        """The number of the candidate at which a worker died last; -1 where it is not known."""
        return self._suspect

    @property
    def is_active(self) -> bool:
        """Return whether each candidate must be announced before it is evaluated."""
        return self._note is not None

    def announce(self, number: int) -> bool:
        """Note that a candidate is about to be evaluated.

        Returns:
            Whether it may be evaluated; False where it has cost too many workers.
        """
        if self._note is None:
            return True
        self._until = self._until or time.monotonic() + _GUARDED_SECONDS
        deaths = self._note.deaths if self._note.number == number else 0
        if deaths >= max(self._max_deaths, 1):
            return False
        if number > self._suspect and time.monotonic() > self._until:
            self.end()
            return True
        self._note = DeathNote(number, deaths)
        self._note.write(self._folder)
        return True

    def end(self) -> None:
        """Remove the note: the study is finished, or past the candidate at which a worker died."""
        self._note = None
        remove_file(self._folder / _FILE)


@dataclass(frozen=True)
class CrashGuard(Evaluator):
    """Evaluates one candidate at a time after a worker died, each noted before it is evaluated.

    Attributes:
        inner: The evaluator of the candidates.
        watch: The watch of this worker over the study.
        writer: The writer of the study's trials.
        trials: All trials of the study so far; the caller appends those that it receives.
        strategy: The name of the strategy.
    """

    inner: Evaluator
    watch: DeathWatch
    writer: SegmentWriter
    trials: Sequence[Trial]
    strategy: str

    def evaluate(self, candidates: Sequence[NumberedCandidate]) -> Iterator[Trial]:
        """Yield the trials of the candidates.

        Raises:
            StrategyError: Too many candidates have ended their workers.
        """
        if not self.watch.is_active:
            yield from self.inner.evaluate(candidates)
            return
        for candidate in candidates:
            number, params = candidate
            # Written first, so that a note is always about the first trial that the log does not have.
            self.writer.flush()
            if self.watch.announce(number):
                yield from self.inner.evaluate([candidate])
                continue
            n_deadly = sum(trial.reason == DEADLY for trial in self.trials)
            if n_deadly >= MAX_DEADLY_CANDIDATES:
                raise StrategyError(
                    f"{self.strategy}: {n_deadly + 1} candidates ended their workers, such as {params}; "
                    "run it alone with --executor inline to see why"
                )
            yield Trial.without_result(number, params, "failed", DEADLY)
