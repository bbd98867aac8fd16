"""A unit: whole studies, one after the other. All executors run units."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from backtune.errors import ResultsError
from backtune.results.log.segments import count_trials
from backtune.results.log.summary import SUMMARY_FILE, StudySummary
from backtune.search.study_loop.crash_guard import DeathNote, note_death
from backtune.search.study_loop.study import Stop, Study, run_study
from backtune.storage.files import is_file, list_names, remove_file, write_bytes
from backtune.storage.location import Location, get_local_path

Unit = Sequence[Study]

# Islands that wait for others give their worker to another unit after this time.
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.02
# The shortest time between two looks at the stop flag. In S3 a look costs money, and as much time as ten candidates.
_STOP_CHECK_SECONDS, _S3_STOP_CHECK_SECONDS = 0.1, 1.0


@dataclass(frozen=True)
class StopFlag:
    """Tells whether a search must stop: at a point in time, or once a file exists. Works across processes.

    Attributes:
        file: The file whose existence asks for a stop.
        deadline: The time of the stop, in seconds since the epoch; None without a time budget.
    """

    file: Location
    deadline: float | None

    def __call__(self) -> bool:
        return self.is_out_of_time or is_file(self.file)

    @property
    def is_out_of_time(self) -> bool:
        return self.deadline is not None and time.time() >= self.deadline

    def set(self) -> None:
        write_bytes(self.file, b"")

    def clear(self) -> None:
        remove_file(self.file)


@dataclass(frozen=True)
class UnitContext:
    """The folder in which units run, and the rules under which they do.

    Attributes:
        folder: The folder with a folder for each study.
        stop: A function that tells whether to stop.
        max_deaths: The number of workers that a candidate may cost.
        keeps_trials: True where a finished search keeps its trials, besides its summary.
    """

    folder: Location
    stop: Stop
    max_deaths: int = 1
    keeps_trials: bool = True

    def study_folder(self, study: Study) -> Location:
        """Return the folder of a study."""
        return self.folder / study.id


class ThrottledStop:
    """Asks whether to stop ten times a second at most, and once a second in S3.

    Looking for a file on a network takes longer than evaluating a candidate.
    """

    def __init__(self, context: UnitContext) -> None:
        self._stop = context.stop
        is_remote = get_local_path(context.folder) is None
        self._seconds = _S3_STOP_CHECK_SECONDS if is_remote else _STOP_CHECK_SECONDS
        self._next = 0.0
        self._answer = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now >= self._next:
            self._answer, self._next = self._stop(), now + self._seconds
        return self._answer


def run_unit(unit: Unit, context: UnitContext) -> bool:
    """Run the studies of a unit that have not reached their budget yet.

    An error in one study is written into its folder and does not affect the others.

    Returns:
        Whether everything that can be done is done; False where islands wait for others that are not in this unit.

    Raises:
        ResultsError: The runs folder cannot be written, so that no other study could run either.
        MemoryError: The machine is too small or too busy; the unit may be tried again elsewhere.
    """
    context = replace(context, stop=ThrottledStop(context))
    is_done = True
    for _, islands in groupby(unit, key=lambda study: min((study.id, *study.peers))):
        if context.stop():
            return True
        search, unfinished = list(islands), []
        for study in search:
            summary = StudySummary.read(context.study_folder(study))
            if summary is None or not summary.covers(study.search.trials):
                unfinished.append(study)
        is_done &= _run_islands(unfinished, context)
        if not context.keeps_trials:
            _drop_trials(search[0], context)
    return is_done


def _drop_trials(study: Study, context: UnitContext) -> None:
    """Remove everything but the summaries of a search whose islands are all finished, here or elsewhere.

    Before that, an island may still have to read the trials of another one.
    """
    folders = [context.folder / name for name in (study.id, *study.peers)]
    summaries = [StudySummary.read(folder) for folder in folders]
    if all(summary is not None and summary.is_over for summary in summaries):
        for folder in folders:
            for name in list_names(folder):
                if name != SUMMARY_FILE:
                    remove_file(folder / name)


def _run_islands(islands: Unit, context: UnitContext) -> bool:
    """Run the islands of one search in turns, since they wait for each other; return False where none advances any more."""
    searches = {
        study.id: run_study(study, context.study_folder(study), context.stop, context.max_deaths)
        for study in islands
    }
    advanced_at = time.monotonic()
    while searches:
        for study_id, search in list(searches.items()):
            has_advanced = _resume(search, context.folder / study_id)
            if has_advanced is None:
                del searches[study_id]
            if has_advanced is not False:
                advanced_at = time.monotonic()
        if searches:
            if time.monotonic() - advanced_at > _PATIENCE_SECONDS:
                return False
            time.sleep(_POLL_SECONDS)
    return True


def _resume(search: Iterator[bool], folder: Location) -> bool | None:
    """Let a study run until it waits; return whether it has advanced, and None where it has ended."""
    try:
        return next(search, None)
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ResultsError) and isinstance(error.__cause__, OSError):
            raise
        text = " ".join(str(error).split())
        StudySummary(state="failed", reason=f"{type(error).__name__}: {text}"[:1000]).write(folder)
        return None


def note_unit_death(unit: Unit, context: UnitContext) -> None:
    """Note that the worker of a unit died, at the study that it was running.

    Raises:
        ResultsError: The runs folder cannot be written.
    """
    for study in unit:
        folder = context.study_folder(study)
        summary = StudySummary.read(folder)
        if summary is None or not (summary.state == "failed" or summary.covers(study.search.trials)):
            note_death(folder)
            return


def read_progress(unit: Unit, context: UnitContext) -> object:
    """Return a value that differs after any progress of a unit, even if only the candidate that ends its workers was found."""
    folders = [context.study_folder(study) for study in unit]
    return tuple(
        (count_trials(folder), StudySummary.read(folder), DeathNote.read(folder)) for folder in folders
    )
