"""A round over the open jobs: observe, decide, act. Every step can be repeated, and can be interrupted anywhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from backtune.errors import ClusterError, ResultsError
from backtune.gateway.error_answers import hide_paths
from backtune.gateway.failpoints import pass_failpoint
from backtune.gateway.jobs.driver_logs import DriverLogs, find_last_error
from backtune.gateway.jobs.job_record import JobRecord
from backtune.gateway.jobs.reconciliation.cluster import ClusterJobs
from backtune.gateway.jobs.reconciliation.decision import (
    Finish,
    Observation,
    RecordState,
    StartAgain,
    Step,
    Stop,
    Submit,
    Wait,
    decide_step,
)
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.jobs.result import read_job_end
from backtune.gateway.monitoring.logs import bind_log_context, log
from backtune.gateway.monitoring.metrics import Metrics
from backtune.gateway.settings import Settings
from backtune.results.start_outcome import StartOutcome
from backtune.results.stored_sweep import is_driven

_MAX_DELAY_SECONDS: Final = 60.0
_LAST_OUTPUT_SECONDS: Final = 60.0
_NO_ANSWER: Final = "the cluster does not answer"
_OTHER_DRIVER: Final = "another driver works on this sweep"


class Reconciler:
    """The reconciliation of recorded jobs with Ray and with the folders of their sweeps."""

    def __init__(
        self,
        settings: Settings,
        records: JobRecords,
        cluster: ClusterJobs,
        logs: DriverLogs,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._records = records
        self._cluster = cluster
        self._logs = logs
        self._metrics = metrics
        # The submissions whose driver has reported its end and may still print, with the time of the report.
        self._unfinished_logs: dict[str, float] = {}

    def reconcile_jobs(self) -> None:
        """Do one round over all open jobs.

        Raises:
            RecordsError: The database does not answer.
        """
        for record in self._records.list_open():
            if record.submission_id is not None:
                self._run_step(record, self._reconcile)
        for record in self._next_jobs():
            self._run_step(record, self._begin)
        for submission_id in list(self._unfinished_logs):
            self._finish_log(submission_id)

    def stop_jobs(self, seconds: float) -> None:
        """Have all jobs at Ray save their results and end, and wait for that; they continue at the next start.

        Raises:
            RecordsError: The database does not answer.
        """
        until = time.monotonic() + seconds
        running = [record for record in self._records.list_open() if record.submission_id is not None]
        for record in running:
            self._run_step(record, self._stop)
        while running and time.monotonic() < until:
            time.sleep(0.2)
            running = [record for record in running if is_driven(self._find_folder(record))]
        for record in self._records.list_open():
            if record.submission_id is not None:
                self._run_step(record, self._set_aside)

    def _run_step(self, record: JobRecord, step: Callable[[JobRecord], object]) -> None:
        """Run a step with one job, so that a failure does not keep the other jobs from theirs."""
        with bind_log_context(request_id=record.request_id, job_id=record.id, attempt=record.attempt):
            try:
                step(record)
            except ClusterError as error:
                log.warning("cluster", error=str(error))
                self._set_message(record, _NO_ANSWER)
            except ResultsError as error:
                log.error("folder", error=str(error))
                self._set_message(record, hide_paths(str(error)))

    def _reconcile(self, record: JobRecord) -> None:
        self._act(record, decide_step(record, self._observe(record)))

    def _act(self, record: JobRecord, step: Step) -> None:
        match step:
            case Wait(message):
                self._set_message(record, message)
            case RecordState(state):
                if record.state != state or record.message is not None:
                    self._records.record_state(record, state)
            case Submit():
                self._submit(record)
            case Stop():
                self._stop(record)
            case StartAgain():
                self._start_again(record, step)
            case Finish():
                self._finish(record, step)

    def _observe(self, record: JobRecord) -> Observation:
        submission_id = record.next_submission_id
        outcome = StartOutcome.read(self._find_folder(record), submission_id)
        try:
            job, has_answer = self._cluster.find(submission_id), True
        except ClusterError as error:
            log.warning("cluster", error=str(error))
            job, has_answer = None, False
        if outcome is None and (job is None or job.is_over):
            # The driver may have written its outcome and ended since the first look, so this one comes before the last.
            is_alive = is_driven(self._find_folder(record))
            outcome = StartOutcome.read(self._find_folder(record), submission_id)
            return Observation(outcome, job, has_answer, is_alive)
        return Observation(outcome, job, has_answer, is_driver_alive=False)

    def _next_jobs(self) -> Iterator[JobRecord]:
        """Yield the jobs to begin now, in the order of arrival: no two of one sweep, and not more than may be active."""
        jobs = self._records.list_open()
        active = [record for record in jobs if record.submission_id is not None]
        sweeps = {record.sweep_id for record in active}
        n_free = self._settings.limits.active_jobs - len(active)
        for record in jobs:
            if n_free <= 0:
                return
            is_due = record.submission_id is None and record.not_before <= time.time()
            if is_due and record.sweep_id not in sweeps:
                sweeps.add(record.sweep_id)
                n_free -= 1
                yield record

    def _begin(self, record: JobRecord) -> None:
        # Ray is asked before the claim, so that a job stays in the queue, and can be cancelled there, while Ray is away.
        self._cluster.find(record.next_submission_id)
        if is_driven(self._find_folder(record)):
            self._set_message(record, _OTHER_DRIVER)
        elif self._records.claim(record):
            pass_failpoint("claimed")
            self._submit(record)

    def _submit(self, record: JobRecord) -> None:
        self._cluster.submit(record, self._records.read_spec(record.id))
        pass_failpoint("submitted")
        self._records.record_state(record, "submitted")
        self._metrics.submissions.inc()
        log.info("submitted", submission_id=record.next_submission_id, sweep_id=record.sweep_id)

    def _stop(self, record: JobRecord) -> None:
        self._cluster.stop(record.next_submission_id)
        log.info("told to stop", submission_id=record.next_submission_id)

    def _start_again(self, record: JobRecord, step: StartAgain) -> None:
        self._save_log(record)
        n_lost = record.n_lost + step.is_lost
        if n_lost >= self._settings.limits.attempts:
            self._finish(record, Finish("failed", f"lost {n_lost} times in a row, last: {step.message}"))
            return
        delay = min(2.0 ** (n_lost - 1), _MAX_DELAY_SECONDS) if step.is_lost else 0.0
        if self._records.requeue(record, message=step.message, is_lost=step.is_lost, delay=delay):
            self._metrics.lost_attempts.inc(step.is_lost)
            log.warning("next attempt", reason=step.message, lost=step.is_lost, n_lost=n_lost)

    def _finish(self, record: JobRecord, step: Finish) -> None:
        output = self._save_log(record)
        error = step.error
        if step.has_error_in_log:
            error = find_last_error(output) or "the sweep was refused; its log says why"
        end = read_job_end(self._find_folder(record), record.next_submission_id)
        if self._records.record_end(record, step.state, end, None if error is None else hide_paths(error)):
            self._metrics.ended_jobs.labels(step.state).inc()
            log.info("ended", state=step.state, error=error, n_trials=end.n_trials)

    def _set_aside(self, record: JobRecord) -> None:
        """Record a job whose head is about to end as finished, if its folder says so, else as waiting."""
        outcome = StartOutcome.read(self._find_folder(record), record.next_submission_id)
        step = decide_step(record, Observation(outcome, None, has_answer=False, is_driver_alive=False))
        if not isinstance(step, Finish):
            step = StartAgain("the gateway was stopped", is_lost=False)
        self._act(record, step)

    def _save_log(self, record: JobRecord) -> str:
        self._unfinished_logs[record.next_submission_id] = time.monotonic()
        with contextlib.suppress(ClusterError, ResultsError):
            return self._logs.save(record.next_submission_id)
        return ""

    def _finish_log(self, submission_id: str) -> None:
        """Save a log once more when its driver can print no more, and give up after a minute."""
        since = self._unfinished_logs[submission_id]
        with contextlib.suppress(ClusterError, ResultsError):
            job = self._cluster.find(submission_id)
            if job is not None and job.is_over:
                self._logs.save(submission_id)
                del self._unfinished_logs[submission_id]
        if time.monotonic() - since > _LAST_OUTPUT_SECONDS:
            self._unfinished_logs.pop(submission_id, None)

    def _set_message(self, record: JobRecord, message: str | None) -> None:
        if record.message != message:
            self._records.record_message(record, message)

    def _find_folder(self, record: JobRecord) -> Path:
        return self._settings.runs / record.sweep_id
