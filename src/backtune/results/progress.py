"""The progress of a sweep, read from its folder: the same for every executor, and from any terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from backtune.errors import ResultsError
from backtune.results.log.segments import decode_params, read_log
from backtune.results.log.summary import StudySummary
from backtune.results.permuted_searches.permuted_folder import PermutedSearchCounter
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.space import Params
from backtune.spec import Objective
from backtune.storage.files import list_names, list_stamps, read_bytes
from backtune.storage.location import Location
from backtune.storage.storage import Stamp

_SEGMENT = re.compile(r"\d+-\d+\.parquet")


@dataclass(frozen=True)
class Progress:
    """The counts of a sweep at one moment.

    Attributes:
        n_studies, n_studies_done: The number of studies, and of those with nothing left to do, failed ones among them.
        n_trials, n_trials_planned: The number of trials in the logs, and the number planned.
        best: The best value of the first objective so far; None before the first.
        best_study: The id of the study that has the best value.
        n_permuted, n_permuted_done: The number of searches on permuted bars of this start, and of those that are finished; 0 until
            the studies are done.
    """

    n_studies: int
    n_studies_done: int
    n_trials: int
    n_trials_planned: int
    best: float | None
    best_study: str | None = None
    n_permuted: int = 0
    n_permuted_done: int = 0


class ProgressReader:
    """Reads what is new in a sweep's folder at each call.

    A look costs a name for every study that was started, a stat for every one that is not done, and files only where a
    folder has changed: it is made every second, also for a hundred thousand studies.
    """

    def __init__(self, run: StoredSweep) -> None:
        self._run = run
        self._objective = run.studies[0].objectives[0] if run.studies else Objective(metric="")
        self._waiting = {study.id: _StudyProgress(study) for study in run.studies}
        self._n_trials = 0
        self._n_planned = sum(study.budget for study in run.studies)
        self._best: float | None = None
        self._best_study: str | None = None
        self._permuted = PermutedSearchCounter(run)

    def read(self) -> Progress:
        """Return the progress now."""
        for name, stamp in list_stamps(self._run.folder / "studies", self._waiting.keys()):
            seen = self._waiting[name]
            if seen.has_changed(stamp) and self._is_done(seen):
                del self._waiting[name]
        n_permuted_done, n_permuted = (
            self._permuted.count() if self._run.spec.validation.permutations else (0, 0)
        )
        return Progress(
            n_studies=len(self._run.studies),
            n_studies_done=len(self._run.studies) - len(self._waiting),
            n_trials=self._n_trials,
            n_trials_planned=self._n_planned,
            best=self._best,
            best_study=self._best_study,
            n_permuted=n_permuted,
            n_permuted_done=n_permuted_done,
        )

    def _is_done(self, seen: _StudyProgress) -> bool:
        folder = self._run.study_folder(seen.study.id)
        fresh = [
            name for name in list_names(folder) if _SEGMENT.fullmatch(name) and name not in seen.segments
        ]
        self._count(seen, fresh)
        summary = self._run.read_summary(seen.study)
        if summary is not None and summary.winners and summary.n_trials >= seen.n_trials:
            # The winner is the best of all segments, which need not be opened then.
            self._take(summary.winners[0].values[0], seen.study)
        else:
            for name in fresh:
                self._take(_best_value(folder / name, minimize=self._objective.minimize), seen.study)
        return summary is not None and _is_done(summary, seen)

    def _count(self, seen: _StudyProgress, names: Sequence[str]) -> None:
        seen.segments.update(names)
        before, budget = seen.n_trials, seen.study.budget
        seen.n_trials = max([before, *(int(name.partition(".")[0].partition("-")[2]) + 1 for name in names)])
        self._n_trials += seen.n_trials - before
        self._n_planned += max(budget, seen.n_trials) - max(budget, before)

    def _take(self, value: float | None, study: StoredStudy) -> None:
        sign = -1.0 if self._objective.minimize else 1.0
        if value is not None and (self._best is None or sign * value > sign * self._best):
            self._best, self._best_study = value, study.id


@dataclass
class _StudyProgress:
    """The part of a study that has been counted.

    Attributes:
        study: The study, which is not done.
        n_trials: The number of trials counted.
        stamp: The stamp of the folder at the last look; None to look again.
        segments: The names of the segments that are counted.
    """

    study: StoredStudy
    n_trials: int = 0
    stamp: Stamp | None = None
    segments: set[str] = field(default_factory=set)

    def has_changed(self, stamp: Stamp | None) -> bool:
        """Return whether the folder may have changed since the last look, and remember its stamp."""
        is_same = stamp is not None and stamp == self.stamp
        self.stamp = stamp
        return not is_same


def read_best_params(run: StoredSweep, study_id: str) -> Params | None:
    """Return the parameters of the best trial of a study so far, in the first objective; None where none is complete.

    Raises:
        ResultsError: The log cannot be read.
    """
    study = next(entry for entry in run.studies if entry.id == study_id)
    log = read_log(run.study_folder(study_id))
    complete = log.filter(pl.col("state") == "complete") if log is not None else None
    if complete is None or complete.is_empty():
        return None
    objective = study.objectives[0]
    best = complete.sort("values_0", descending=not objective.minimize, maintain_order=True).head(1)
    return decode_params(best.row(0, named=True), study.parse_space())


def list_unfinished_studies(run: StoredSweep) -> Sequence[StoredStudy]:
    """Return the studies of the plan that are not complete; failed ones are among them, and are tried again."""
    started = set(run.list_started_studies())
    return [study for study in run.studies if study.id not in started or not run.is_complete(study)]


def _is_done(summary: StudySummary, seen: _StudyProgress) -> bool:
    return summary.state == "failed" or summary.exhausted or seen.n_trials >= seen.study.budget


def _best_value(path: Location, *, minimize: bool) -> float | None:
    try:
        content = read_bytes(path) or b""
        frame = pl.read_parquet(content, columns=["state", "values_0"])
        values = frame.filter(pl.col("state") == "complete")["values_0"]
    except (ResultsError, pl.exceptions.PolarsError):
        # Merged away in the meantime; the whole is read at the next look.
        return None
    best = values.min() if minimize else values.max()
    return float(best) if isinstance(best, int | float) else None
