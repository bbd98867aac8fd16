"""What clients see of jobs. Looked up at most once a second a job, however many ask."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from backtune.errors import ResultsError
from backtune.gateway.problems import without_paths
from backtune.gateway.records.jobs import JobRecords
from backtune.gateway.records.values import End, JobRecord
from backtune.gateway.result import result_of
from backtune.gateway.schemas import Best, Job, JobSummary
from backtune.results.progress import ProgressReader, read_best_params
from backtune.results.stored_sweep import StoredSweep

_FRESH_SECONDS: Final = 1.0
_KEPT_VIEWS: Final = 4096
_KEPT_READERS: Final = 64


class JobViews:
    """Safe to use from several threads; one looks at a sweep's folder at a time."""

    def __init__(self, records: JobRecords, runs: Path) -> None:
        self._records = records
        self._progress = _ProgressOfSweeps(runs)
        self._views: OrderedDict[str, tuple[float, Job]] = OrderedDict()
        self._lock = threading.Lock()

    def fresh(self, job_id: str) -> Job | None:
        """What was looked up within the last second; None where nothing was. Does not wait."""
        kept = self._views.get(job_id)
        return kept[1] if kept is not None and time.monotonic() - kept[0] < _FRESH_SECONDS else None

    def look(self, job_id: str) -> Job | None:
        """The job now; None where there is none.

        Raises:
            RecordsError: the database does not answer.
        """
        record = self._records.get(job_id)
        if record is None:
            return None
        view = self._view(record)
        with self._lock:
            self._views[job_id] = (time.monotonic(), view)
            self._views.move_to_end(job_id)
            while len(self._views) > _KEPT_VIEWS:
                self._views.popitem(last=False)
        return view

    def recent(self, job_id: str) -> Job | None:
        """The job as it is or was within the last second: for those who may ask often.

        Raises:
            RecordsError: the database does not answer.
        """
        return self.fresh(job_id) or self.look(job_id)

    def forget(self, job_id: str) -> None:
        """The job has changed."""
        with self._lock:
            self._views.pop(job_id, None)

    def _view(self, record: JobRecord) -> Job:
        end = record.end
        # An open job that waits, for its next attempt or a cluster that is away, has got somewhere too.
        has_begun = record.is_open and (record.started_at is not None or record.attempt > 1)
        progress = self._progress.read(record.sweep_id) if has_begun else None
        n_trials = end.n_trials if end else progress.n_trials if progress else 0
        planned = end.n_trials_planned if end else progress.n_trials_planned if progress else 0
        percent = 100.0 if record.state == "completed" else _percent(n_trials, planned)
        return Job(
            **summary_of(record).model_dump(),
            progress=percent, n_trials=n_trials, n_trials_planned=planned,
            best_so_far=_best_at_end(end) if end else progress.best if progress else None,
            result=result_of(record), error=_told(record.error), message=_told(record.message),
            warnings=[without_paths(warning) for warning in end.warnings] if end else [],
        )  # fmt: skip


def summary_of(record: JobRecord) -> JobSummary:
    """A record as it is listed."""
    return JobSummary(
        job_id=record.id, name=record.name, sweep_id=record.sweep_id, owner=record.owner, status=record.status,
        attempt=record.attempt, created_at=_moment(record.created_at),
        started_at=None if record.started_at is None else _moment(record.started_at),
        ended_at=None if record.ended_at is None else _moment(record.ended_at),
    )  # fmt: skip


@dataclass(frozen=True)
class _Seen:
    """How far a sweep is."""

    n_trials: int
    n_trials_planned: int
    best: Best | None


class _ProgressOfSweeps:
    """Keeps the readers of the sweeps asked about last: each only reads what is new."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._readers: OrderedDict[str, _SweepReader] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, sweep_id: str) -> _Seen | None:
        """None where the sweep's folder cannot be read (yet)."""
        with self._lock:
            try:
                reader = self._readers.pop(sweep_id, None) or _SweepReader(
                    StoredSweep.open(self._runs / sweep_id)
                )
                seen = reader.read()
            except ResultsError:
                return None
            self._readers[sweep_id] = reader
            while len(self._readers) > _KEPT_READERS:
                self._readers.popitem(last=False)
            return seen


class _SweepReader:
    """Of one sweep; the log is opened only when the best has changed."""

    def __init__(self, run: StoredSweep) -> None:
        self._run = run
        self._reader = ProgressReader(run)
        self._best: Best | None = None

    def read(self) -> _Seen:
        """How far it is now.

        Raises:
            ResultsError: the log of the best cannot be read.
        """
        now = self._reader.read()
        if now.best_study is not None and (self._best is None or self._best.value != now.best):
            self._best = Best(value=now.best, parameters=read_best_params(self._run, now.best_study))
        return _Seen(now.n_trials, now.n_trials_planned, self._best)


def _best_at_end(end: End) -> Best | None:
    return Best(value=end.best["values"][0], parameters=end.best["params"]) if end.best else None


def _told(text: str | None) -> str | None:
    """What Ray or a driver said, without the places of its machine."""
    return None if text is None else without_paths(text)


def _percent(done: int, planned: int) -> float:
    # Only what has ended is at 100.
    return min(99.9, round(100.0 * done / planned, 1)) if planned else 0.0


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
