"""One unit: whole studies, one after the other. What both executors run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backtune.errors import ResultsError
from backtune.results.segments import count_trials
from backtune.results.summary import StudySummary
from backtune.search.study import Stop, Study, run_study
from backtune.search.wary import Note, note_death

Unit = Sequence[Study]


@dataclass(frozen=True)
class Brake:
    """When to stop asking: at a point in time, or once a file is there. Picklable, so that it works across processes.

    Attributes:
        file: a stop is asked for by making it.
        deadline: seconds since the epoch, or None.
    """

    file: Path
    deadline: float | None

    def __call__(self) -> bool:
        return (self.deadline is not None and time.time() >= self.deadline) or self.file.exists()

    @property
    def out_of_time(self) -> bool:
        return self.deadline is not None and time.time() >= self.deadline

    def pull(self) -> None:
        self.file.touch()

    def release(self) -> None:
        self.file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Place:
    """Where units run and under which rules.

    Attributes:
        folder: with a folder for each study.
        stop: whether to stop asking.
        max_deaths: how many workers a candidate may cost.
    """

    folder: Path
    stop: Stop
    max_deaths: int = 1

    def of(self, study: Study) -> Path:
        return self.folder / study.id


def run_unit(unit: Unit, place: Place) -> None:
    """Run the studies of a unit that are not at their budget yet.

    What goes wrong in one is written beside it and costs the others nothing.

    Raises:
        ResultsError: the runs folder cannot be written, which no other study would survive either.
        MemoryError: the machine is too small or too busy; the unit may be tried again elsewhere.
    """
    for study in unit:
        if place.stop():
            return
        folder = place.of(study)
        if _is_done(study, folder):
            continue
        try:
            run_study(study, folder, place.stop, place.max_deaths)
        except MemoryError:
            raise
        except ResultsError as error:
            if isinstance(error.__cause__, OSError):
                raise
            _note_failure(folder, error)
        except Exception as error:  # noqa: BLE001
            _note_failure(folder, error)


def note_unit_death(unit: Unit, place: Place) -> None:
    """The worker of a unit died: let the next one be wary of the study that it was at.

    Raises:
        ResultsError: the runs folder cannot be written.
    """
    at = next((study for study in unit if not _is_over(study, place.of(study))), None)
    if at is not None:
        note_death(place.of(at))


def state_of(unit: Unit, place: Place) -> object:
    """How far a unit is, to be compared. Not the same after any progress, be it only in finding the candidate that ends its workers."""
    folders = [place.of(study) for study in unit]
    return tuple((count_trials(folder), StudySummary.read(folder), Note.read(folder)) for folder in folders)


def _is_done(study: Study, folder: Path) -> bool:
    summary = StudySummary.read(folder)
    return summary is not None and summary.covers(study.search.trials)


def _is_over(study: Study, folder: Path) -> bool:
    summary = StudySummary.read(folder)
    return summary is not None and (summary.state == "failed" or summary.covers(study.search.trials))


def _note_failure(folder: Path, error: Exception) -> None:
    text = " ".join(str(error).split())
    StudySummary(state="failed", reason=f"{type(error).__name__}: {text}"[:1000]).write(folder)
