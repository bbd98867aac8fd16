"""Jobs as clients see them. A job is read at most once a second, however many clients ask."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cachetools import LRUCache, TTLCache

from backtune.errors import ResultsError
from backtune.gateway.error_answers import hide_paths
from backtune.gateway.jobs.job_record import JobRecord
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.jobs.result import make_result
from backtune.results.progress import Progress, ProgressReader, read_best_params
from backtune.results.stored_sweep import StoredSweep
from backtune.wire.answers import BestCandidate, Job, JobSummary, format_time

_CACHE_SECONDS: Final = 1.0
_MAX_JOBS: Final = 4096
_MAX_READERS: Final = 64


class JobService:
    """The present state of jobs. Safe to use from several threads; one thread at a time reads a sweep's folder.

    Every method raises :class:`~backtune.errors.RecordsError` if the database fails.
    """

    def __init__(self, records: JobRecords, runs: Path) -> None:
        self._records = records
        self._runs = runs
        self._jobs: TTLCache[str, Job] = TTLCache(_MAX_JOBS, _CACHE_SECONDS)
        self._jobs_lock = threading.Lock()
        self._readers: LRUCache[str, _SweepReader] = LRUCache(_MAX_READERS)
        self._readers_lock = threading.Lock()

    def find_cached(self, job_id: str) -> Job | None:
        """Return the job if it was read within the last second, without waiting; None if it was not."""
        with self._jobs_lock:
            return self._jobs.get(job_id)

    def find(self, job_id: str) -> Job | None:
        """Return the job as it is now; None if there is no job of that id."""
        record = self._records.get(job_id)
        if record is None:
            return None
        job = self._describe(record)
        with self._jobs_lock:
            self._jobs[job_id] = job
        return job

    def find_recent(self, job_id: str) -> Job | None:
        """Return the job as it is or was within the last second, for callers that may ask often."""
        return self.find_cached(job_id) or self.find(job_id)

    def forget(self, job_id: str) -> None:
        """Have the job read anew at the next call, because it has changed."""
        with self._jobs_lock:
            self._jobs.pop(job_id, None)

    def _describe(self, record: JobRecord) -> Job:
        n_trials = n_planned = 0
        best: BestCandidate | None = None
        warnings: list[str] = []
        # An open job that waits for its next attempt, or for a cluster that does not answer, has made progress too.
        has_started = record.is_open and (record.started_at is not None or record.attempt > 1)
        if record.end is not None:
            n_trials, n_planned = record.end.n_trials, record.end.n_trials_planned
            if record.end.best is not None:
                best = BestCandidate(value=record.end.best["values"][0], parameters=record.end.best["params"])
            warnings = [hide_paths(warning) for warning in record.end.warnings]
        elif has_started:
            progress, best = self._read_progress(record.sweep_id)
            if progress is not None:
                n_trials, n_planned = progress.n_trials, progress.n_trials_planned
        return Job(
            **make_summary(record),
            progress=_compute_percentage(record, n_trials, n_planned),
            n_trials=n_trials,
            n_trials_planned=n_planned,
            best_so_far=best,
            result=make_result(record),
            # Both may quote Ray or a driver, which know paths of their machine.
            error=None if record.error is None else hide_paths(record.error),
            message=None if record.message is None else hide_paths(record.message),
            warnings=warnings,
        )

    def _read_progress(self, sweep_id: str) -> tuple[Progress | None, BestCandidate | None]:
        """Return the progress of a sweep and its best candidate; None for both if its folder cannot be read (yet)."""
        with self._readers_lock:
            # A reader that fails is not used again.
            reader = self._readers.pop(sweep_id, None)
            try:
                reader = reader or _SweepReader(StoredSweep.open(self._runs / sweep_id))
                found = reader.read()
            except ResultsError:
                return None, None
            self._readers[sweep_id] = reader
            return found


class _SweepReader:
    """A reader of one sweep's folder, which reads only what is new, and the log only if the best has changed."""

    def __init__(self, sweep: StoredSweep) -> None:
        self._sweep = sweep
        self._reader = ProgressReader(sweep)
        self._best: BestCandidate | None = None

    def read(self) -> tuple[Progress, BestCandidate | None]:
        progress = self._reader.read()
        study = progress.best_study
        if study is not None and (self._best is None or self._best["value"] != progress.best):
            parameters = read_best_params(self._sweep, study)
            self._best = BestCandidate(value=progress.best, parameters=parameters)
        return progress, self._best


def make_summary(record: JobRecord) -> JobSummary:
    """Return a job as it appears in a list."""
    return JobSummary(
        job_id=record.id,
        name=record.name,
        sweep_id=record.sweep_id,
        owner=record.owner,
        status=record.status,
        attempt=record.attempt,
        created_at=_format_seconds(record.created_at),
        started_at=None if record.started_at is None else _format_seconds(record.started_at),
        ended_at=None if record.ended_at is None else _format_seconds(record.ended_at),
    )


def _compute_percentage(record: JobRecord, n_trials: int, n_planned: int) -> float:
    if record.state == "completed":
        return 100.0
    # Only a completed job is at 100.
    return min(99.9, round(100.0 * n_trials / n_planned, 1)) if n_planned else 0.0


def _format_seconds(seconds: float) -> str:
    return format_time(datetime.fromtimestamp(seconds, tz=UTC))
