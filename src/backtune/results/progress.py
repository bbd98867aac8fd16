"""How far a sweep is, read from its folder: the same for every executor, and from any terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backtune.results.runs import Run, StudyEntry
from backtune.results.summary import StudySummary
from backtune.spec import Goal

_SEGMENT = re.compile(r"(\d+)-(\d+)\.parquet")


@dataclass(frozen=True)
class Progress:
    """Counts at one moment.

    Attributes:
        n_studies, n_studies_done: all, and those with nothing left to do (failed ones among them).
        n_trials, n_trials_planned: finished and written, and planned.
        best: best value of the first objective so far, None before the first.
    """

    n_studies: int
    n_studies_done: int
    n_trials: int
    n_trials_planned: int
    best: float | None


class ProgressReader:
    """Reads what is new in a sweep's folder at each call; finished studies and old segments are not read again."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._goal = Goal.parse(run.studies[0].objectives[0]) if run.studies else Goal(metric="")
        self._counts = {study.id: 0 for study in run.studies}
        self._done: set[str] = set()
        self._seen: set[Path] = set()
        self._best: float | None = None

    def read(self) -> Progress:
        """The progress now."""
        for study in self._run.studies:
            if study.id not in self._done:
                self._read_study(study)
        return Progress(
            n_studies=len(self._run.studies),
            n_studies_done=len(self._done),
            n_trials=sum(self._counts.values()),
            n_trials_planned=sum(max(study.budget, self._counts[study.id]) for study in self._run.studies),
            best=self._best,
        )

    def _read_study(self, study: StudyEntry) -> None:
        folder = self._run.study_folder(study.id)
        files = (
            [path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name)] if folder.is_dir() else []
        )
        for path in files:
            match = _SEGMENT.fullmatch(path.name)
            if match and path not in self._seen:
                self._seen.add(path)
                self._counts[study.id] = max(self._counts[study.id], int(match[2]) + 1)
                self._take(_best_value(path, minimize=self._goal.minimize))
        summary = self._run.summary(study)
        if summary is not None and _is_done(summary, study, self._counts[study.id]):
            self._done.add(study.id)

    def _take(self, value: float | None) -> None:
        if value is None:
            return
        choose = min if self._goal.minimize else max
        self._best = value if self._best is None else choose(self._best, value)


def unfinished(run: Run) -> Sequence[StudyEntry]:
    """The studies of the plan that are not complete; failed ones are among them, and are tried again."""
    found = []
    for study in run.studies:
        summary = run.summary(study)
        if summary is None or not summary.covers(study.budget):
            found.append(study)
    return found


def _is_done(summary: StudySummary, study: StudyEntry, n_trials: int) -> bool:
    return summary.state == "failed" or summary.exhausted or n_trials >= study.budget


def _best_value(path: Path, *, minimize: bool) -> float | None:
    try:
        values = pl.read_parquet(path, columns=["state", "values_0"]).filter(pl.col("state") == "complete")[
            "values_0"
        ]
    except (OSError, pl.exceptions.PolarsError):
        # Merged away in the meantime; the whole is read at the next look.
        return None
    best = values.min() if minimize else values.max()
    return float(best) if isinstance(best, int | float) else None
