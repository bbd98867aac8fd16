"""The writer that brings MLflow up to date with the folder of a sweep, which is the truth.

There is no list that could be lost: the missing parts follow from the runs that MLflow holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from backtune.results.evidence.related_studies import RelatedStudyFinder
from backtune.results.leaderboard.ranking import build_leaderboard, build_search_rows
from backtune.results.leaderboard.row import Row
from backtune.results.log.segments import read_log
from backtune.results.log.summary import StudySummary
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.spec import hash_content
from backtune.storage.files import read_write_time
from backtune.storage.location import Location
from backtune.tracking.artifacts import write_spec, write_study_files, write_sweep_report
from backtune.tracking.descriptions import MOST_ROWS
from backtune.tracking.mlflow import SWEEP_KEY, MlflowStore, RunContent
from backtune.tracking.records import (
    TrackingRecord,
    build_cell_id,
    build_cell_record,
    build_study_record,
    build_sweep_record,
    collect_standing_metrics,
)
from backtune.tracking.trials import build_curve_points, build_trial_records

_TRIALS, _REPORT, _STANDING = "backtune.trials", "backtune.report", "backtune.standing"


class _StudyState(NamedTuple):
    """The record of a study, and the summary and row that it was made from."""

    summary: StudySummary
    row: Row | None
    record: TrackingRecord


class SweepWriter:
    """Writes one sweep to MLflow, part by part; each part may be repeated, and cut off at any moment."""

    def __init__(self, run: StoredSweep, store: MlflowStore) -> None:
        self._run = run
        self._store = store
        self._top_k = run.spec.tracking.top_k
        self._related = RelatedStudyFinder(run)
        self._searches = run.searches

    def put_study(self, study: StoredStudy) -> bool | None:
        """Write a study's results, curves and files; return False where they are there already, None without results.

        Raises:
            RecordRefusedError: MLflow refuses a record.
            ResultsError: The trials cannot be read.
        """
        state = self._read_study_state(study)
        if state is None:
            return None
        if self._store.has_record((study.id, ""), state.record):
            return False
        trials = read_log(self._run.study_folder(study.id))
        ended = _read_write_milliseconds(self._run.study_folder(study.id) / "summary.json")
        seconds = float(trials["duration_seconds"].sum()) if trials is not None else 0.0
        objectives = list(study.objectives)
        self._store.put(
            RunContent(
                (study.id, ""),
                state.record,
                ended - int(seconds * 1_000),
                ended,
                build_curve_points(trials, objectives) if trials is not None else (),
                lambda folder: write_study_files(self._run, state.row, trials, folder),
            )
        )
        return True

    def put_trials(self, study: StoredStudy) -> bool | None:
        """Write a study's best and failed trials below it; return False and None as :meth:`put_study` does.

        Raises:
            RecordRefusedError: MLflow refuses a record.
            ResultsError: The trials cannot be read.
        """
        state = self._read_study_state(study)
        if state is None:
            return None
        parent = (study.id, "")
        mark = hash_content([state.record.content, self._top_k, len(self._run.studies)])[:16]
        if self._store.read_mark(parent, _TRIALS) == mark:
            return False
        trials = read_log(self._run.study_folder(study.id))
        records = (
            build_trial_records(self._run, study, state.summary, trials, self._top_k)
            if trials is not None
            else []
        )
        self._store.keep_trials(study.id, {str(trial.number) for trial in records})
        for trial in records:
            key = (study.id, str(trial.number))
            if not self._store.has_record(key, trial.record):
                started, ended = (
                    self._store.read_start(parent) + int(seconds * 1_000) for seconds in trial.seconds
                )
                self._store.put(RunContent(key, trial.record, started, ended))
        self._store.mark(parent, _TRIALS, mark)
        return True

    def put_sweep(self, *, finished: bool) -> None:
        """Write the run of the sweep; before it is finished, without reading its studies."""
        run = self._run
        record = (
            self._build_sweep_record() if finished else build_sweep_record(run, [None] * len(run.studies))
        )
        if self._store.has_record(SWEEP_KEY, record):
            return
        started = _read_write_milliseconds(run.folder / "sweep.json")
        fill = partial(write_spec, run)
        self._store.put(RunContent(SWEEP_KEY, record, started, self._find_end() or started, fill=fill))

    def put_standings(self) -> None:
        """Write the place of each study's first row on the leaderboard, and its test among those of all rows."""
        if self._run.spec.validation.method == "walk_forward":
            return
        ended = self._find_end()
        first: dict[str, tuple[int, Row]] = {}
        for place, row in enumerate(build_leaderboard(self._run, top=0), start=1):
            first.setdefault(row.study, (place, row))
        for study, (place, row) in first.items():
            metrics = collect_standing_metrics(place, row)
            mark, key = hash_content(metrics)[:16], (study, "")
            if self._store.has_run(key) and self._store.read_mark(key, _STANDING) != mark:
                self._store.mark(key, _STANDING, mark, metrics, ended)

    def put_cells(self) -> None:
        """Write a run for each cell of a walk-forward, as on the leaderboard.

        Raises:
            RecordRefusedError: MLflow refuses a record.
            ResultsError: A log cannot be read.
        """
        if self._run.spec.validation.method != "walk_forward":
            return
        for place, row in enumerate(build_leaderboard(self._run), start=1):
            key, record = (build_cell_id(row), ""), build_cell_record(self._run, row, place)
            if not self._store.has_record(key, record):
                ended = max(
                    _read_write_milliseconds(self._run.study_folder(fold.study) / "summary.json")
                    for fold in row.folds
                )
                fill = partial(write_study_files, self._run, row, None)
                self._store.put(RunContent(key, record, ended, ended, fill=fill))

    def put_report(self) -> None:
        """Write the report of the sweep.

        Raises:
            ResultsError: A log cannot be read.
        """
        content = self._build_sweep_record().content
        if self._store.read_mark(SWEEP_KEY, _REPORT) != content:
            self._store.put_files(SWEEP_KEY, lambda folder: write_sweep_report(self._run, folder))
            self._store.mark(SWEEP_KEY, _REPORT, content)

    def _find_end(self) -> int:
        """Return when the last summary was written, in milliseconds; 0 where there is none."""
        folders = (self._run.study_folder(study.id) for study in self._run.studies)
        return max((_read_write_milliseconds(folder / "summary.json") for folder in folders), default=0)

    def _read_study_state(self, study: StoredStudy) -> _StudyState | None:
        summary = self._run.read_summary(study)
        if summary is None:
            return None
        rows = build_search_rows(self._run, self._searches[study.search_id], self._related)
        row = next((row for row in rows if row.study == study.id and row.values is not None), None)
        return _StudyState(summary, row, build_study_record(self._run, study, summary, row))

    def _build_sweep_record(self) -> TrackingRecord:
        summaries: Sequence[StudySummary | None] = [
            self._run.read_summary(study) for study in self._run.studies
        ]
        return build_sweep_record(self._run, summaries, build_leaderboard(self._run, top=MOST_ROWS))


def _read_write_milliseconds(path: Location) -> int:
    """Return the time when a file was written, in milliseconds since the epoch; 0 without a file."""
    return (read_write_time(path) or 0) // 1_000_000
