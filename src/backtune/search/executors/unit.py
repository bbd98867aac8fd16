"""One unit: whole studies, one after the other. What both executors run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from backtune.errors import ResultsError
from backtune.results.log.segments import count_trials
from backtune.results.log.summary import SUMMARY_FILE, StudySummary
from backtune.search.study_loop.study import Stop, Study, run_study
from backtune.search.study_loop.wary import Note, note_death
from backtune.storage.files import exists, names_in, remove, touch
from backtune.storage.location import Location, S3Path

# How long islands wait for others before they give their worker to somebody else.
_PATIENCE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.02

Unit = Sequence[Study]

_STOP_SECONDS = 0.1
# A request is paid for, and takes as long as ten candidates.
_S3_STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Brake:
    """When to stop asking: at a point in time, or once a file is there. Picklable, so that it works across processes.

    Attributes:
        file: a stop is asked for by making it.
        deadline: seconds since the epoch, or None.
    """

    file: Location
    deadline: float | None

    def __call__(self) -> bool:
        return (self.deadline is not None and time.time() >= self.deadline) or exists(self.file)

    @property
    def out_of_time(self) -> bool:
        return self.deadline is not None and time.time() >= self.deadline

    def pull(self) -> None:
        touch(self.file)

    def release(self) -> None:
        remove(self.file)


@dataclass(frozen=True)
class Place:
    """Where units run and under which rules.

    Attributes:
        folder: with a folder for each study.
        stop: whether to stop asking.
        max_deaths: how many workers a candidate may cost.
        keeps_trials: whether a finished search keeps its trials, or its summary alone.
    """

    folder: Location
    stop: Stop
    max_deaths: int = 1
    keeps_trials: bool = True

    def of(self, study: Study) -> Location:
        return self.folder / study.id


class Seldom:
    """Asks whether to stop ten times a second at most, and in S3 once: a file on a network takes longer to look for than a
    candidate does.
    """

    def __init__(self, place: Place) -> None:
        self._stop = place.stop
        self._seconds = _S3_STOP_SECONDS if isinstance(place.folder, S3Path) else _STOP_SECONDS
        self._next = 0.0
        self._answer = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now >= self._next:
            self._answer, self._next = self._stop(), now + self._seconds
        return self._answer


def run_unit(unit: Unit, place: Place) -> bool:
    """Run the studies of a unit that are not at their budget yet.

    What goes wrong in one is written beside it and costs the others nothing.

    Returns:
        Whether all is done that can be done; False where islands wait for others that are not in this unit.

    Raises:
        ResultsError: the runs folder cannot be written, which no other study would survive either.
        MemoryError: the machine is too small or too busy; the unit may be tried again elsewhere.
    """
    place = replace(place, stop=Seldom(place))
    arrived = True
    for together in _companies(unit):
        if place.stop():
            return True
        arrived &= _run_company([study for study in together if not _is_done(study, place.of(study))], place)
        if not place.keeps_trials:
            _drop_trials(together[0], place)
    return arrived


def _drop_trials(study: Study, place: Place) -> None:
    """Remove all but the summaries of a search whose islands are all finished, here or elsewhere.

    Before that, an island may still have to read the trials of another one.
    """
    folders = [place.folder / name for name in (study.id, *study.peers)]
    summaries = [StudySummary.read(folder) for folder in folders]
    if all(summary is not None and summary.is_over for summary in summaries):
        for folder in folders:
            for name in names_in(folder):
                if name != SUMMARY_FILE:
                    remove(folder / name)


def _companies(unit: Unit) -> Iterator[Unit]:
    """The islands of one search side by side, since they wait for each other; other studies alone."""
    for _, company in groupby(unit, key=lambda study: min((study.id, *study.peers))):
        yield list(company)


def _run_company(company: Unit, place: Place) -> bool:
    """Run studies in turns, each as far as it gets; False where none gets any further."""
    under_way = {
        study.id: run_study(study, place.of(study), place.stop, place.max_deaths) for study in company
    }
    moved = time.monotonic()
    while under_way:
        for name, search in list(under_way.items()):
            waits = _advance(search, place.folder / name)
            if waits is None:
                del under_way[name]
            if waits is not False:
                moved = time.monotonic()
        if under_way:
            if time.monotonic() - moved > _PATIENCE_SECONDS:
                return False
            time.sleep(_LOOK_AGAIN_SECONDS)
    return True


def _advance(search: Iterator[bool], folder: Location) -> bool | None:
    """Let a study go on until it waits: whether it got any further, None where it ended."""
    try:
        return next(search, None)
    except MemoryError:
        raise
    except ResultsError as error:
        if isinstance(error.__cause__, OSError):
            raise
        _note_failure(folder, error)
    except Exception as error:  # noqa: BLE001
        _note_failure(folder, error)
    return None


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


def _is_done(study: Study, folder: Location) -> bool:
    summary = StudySummary.read(folder)
    return summary is not None and summary.covers(study.search.trials)


def _is_over(study: Study, folder: Location) -> bool:
    summary = StudySummary.read(folder)
    return summary is not None and (summary.state == "failed" or summary.covers(study.search.trials))


def _note_failure(folder: Location, error: Exception) -> None:
    text = " ".join(str(error).split())
    StudySummary(state="failed", reason=f"{type(error).__name__}: {text}"[:1000]).write(folder)
