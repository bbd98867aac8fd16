"""One round over the open jobs: see, decide, act. Every step may be repeated, and may be cut off anywhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from backtune.errors import ClusterError, ResultsError
from backtune.gateway.driver_logs import DriverLogs, last_error
from backtune.gateway.failpoints import failpoint
from backtune.gateway.keeper.cluster import Cluster
from backtune.gateway.keeper.decision import Again, Finish, Note, Seen, Step, Stop, Submit, Wait, decide
from backtune.gateway.keeper.ending import end_of
from backtune.gateway.observing.logs import bound, log
from backtune.gateway.observing.metrics import Metrics
from backtune.gateway.problems import without_paths
from backtune.gateway.records.jobs import JobRecords
from backtune.gateway.records.values import JobRecord
from backtune.gateway.settings import Settings
from backtune.results.start_outcome import StartOutcome
from backtune.results.stored_sweep import is_driven

_LONGEST_DELAY_SECONDS: Final = 60.0
_LAST_WORDS_SECONDS: Final = 60.0
_SILENT: Final = "the cluster does not answer"
_BUSY: Final = "another driver works on this sweep"


class Work:
    """What the keeper does while it holds the lease."""

    def __init__(
        self, settings: Settings, records: JobRecords, cluster: Cluster, logs: DriverLogs, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._records = records
        self._cluster = cluster
        self._logs = logs
        self._metrics = metrics
        # Of drivers that have told how they ended, and may still print.
        self._unfinished_logs: dict[str, float] = {}

    def round(self) -> None:
        """Look at every open job once.

        Raises:
            RecordsError: the database does not answer.
        """
        for record in self._records.open_jobs():
            if record.submission_id is not None:
                self._guarded(record, self._keep)
        for record in self._next():
            self._guarded(record, self._begin)
        for submission_id in list(self._unfinished_logs):
            self._finish_log(submission_id)

    def stop_all(self, seconds: float) -> None:
        """Have all jobs at Ray write what they have and end; they go on when a gateway starts again.

        Raises:
            RecordsError: the database does not answer.
        """
        until = time.monotonic() + seconds
        waiting = [record for record in self._records.open_jobs() if record.submission_id is not None]
        for record in waiting:
            self._guarded(record, self._stop)
        while waiting and time.monotonic() < until:
            time.sleep(0.2)
            waiting = [record for record in waiting if is_driven(self._folder(record))]
        for record in self._records.open_jobs():
            if record.submission_id is not None:
                self._guarded(record, self._set_aside)

    def _guarded(self, record: JobRecord, act: Callable[[JobRecord], object]) -> None:
        """A job that cannot be kept now keeps no other from being kept."""
        with bound(request_id=record.request_id, job_id=record.id, attempt=record.attempt):
            try:
                act(record)
            except ClusterError as error:
                log().warning("cluster", error=str(error))
                self._say(record, _SILENT)
            except ResultsError as error:
                log().error("folder", error=str(error))
                self._say(record, without_paths(str(error)))

    def _keep(self, record: JobRecord) -> None:
        self._act(record, decide(record, self._seen(record)))

    def _act(self, record: JobRecord, step: Step) -> None:
        match step:
            case Wait(message):
                self._say(record, message)
            case Note(state):
                if record.state != state or record.message is not None:
                    self._records.note_state(record, state)
            case Submit():
                self._submit(record)
            case Stop():
                self._stop(record)
            case Again():
                self._again(record, step)
            case Finish():
                self._finish(record, step)

    def _seen(self, record: JobRecord) -> Seen:
        submission = record.next_submission_id
        outcome = StartOutcome.read(self._folder(record), submission)
        try:
            job, has_answer = self._cluster.find(submission), True
        except ClusterError as error:
            log().warning("cluster", error=str(error))
            job, has_answer = None, False
        if outcome is None and (job is None or job.over):
            # It may have written its last word and ended between the two looks.
            is_alive = is_driven(self._folder(record))
            return Seen(StartOutcome.read(self._folder(record), submission), job, has_answer, is_alive)
        return Seen(outcome, job, has_answer, is_driver_alive=False)

    def _next(self) -> Iterator[JobRecord]:
        """Jobs to be begun now: the first come first, no two of one sweep, no more than are to be active."""
        jobs = self._records.open_jobs()
        active = [record for record in jobs if record.submission_id is not None]
        sweeps = {record.sweep_id for record in active}
        free = self._settings.limits.active_jobs - len(active)
        for record in jobs:
            if free <= 0:
                return
            is_due = record.submission_id is None and record.not_before <= time.time()
            if is_due and record.sweep_id not in sweeps:
                sweeps.add(record.sweep_id)
                free -= 1
                yield record

    def _begin(self, record: JobRecord) -> None:
        # Asked before the claim, so that a job waits in the queue, and can be cancelled there, while Ray is away.
        self._cluster.find(record.next_submission_id)
        if is_driven(self._folder(record)):
            self._say(record, _BUSY)
        elif self._records.claim(record):
            failpoint("claimed")
            self._submit(record)

    def _submit(self, record: JobRecord) -> None:
        self._cluster.submit(record, self._records.spec(record.id))
        failpoint("submitted")
        self._records.note_state(record, "submitted")
        self._metrics.submissions.inc()
        log().info("submitted", submission_id=record.next_submission_id, sweep_id=record.sweep_id)

    def _stop(self, record: JobRecord) -> None:
        self._cluster.stop(record.next_submission_id)
        log().info("told to stop", submission_id=record.next_submission_id)

    def _again(self, record: JobRecord, step: Again) -> None:
        self._keep_log(record)
        n_lost = record.n_lost + step.lost
        if n_lost >= self._settings.limits.attempts:
            self._finish(record, Finish("failed", f"lost {n_lost} times in a row, last: {step.message}"))
            return
        delay = min(2.0 ** (n_lost - 1), _LONGEST_DELAY_SECONDS) if step.lost else 0.0
        if self._records.next_attempt(record, message=step.message, lost=step.lost, delay=delay):
            self._metrics.lost.inc(step.lost)
            log().warning("next attempt", reason=step.message, lost=step.lost, n_lost=n_lost)

    def _finish(self, record: JobRecord, step: Finish) -> None:
        text = self._keep_log(record)
        error = step.error
        if step.asks_log:
            error = last_error(text) or "the sweep was refused; its log says why"
        end = end_of(self._folder(record), record.next_submission_id)
        if self._records.end(record, step.state, end, None if error is None else without_paths(error)):
            self._metrics.ended.labels(step.state).inc()
            log().info("ended", state=step.state, error=error, n_trials=end.n_trials)

    def _set_aside(self, record: JobRecord) -> None:
        """The head is about to end; whether the job was done by then, its folder says."""
        outcome = StartOutcome.read(self._folder(record), record.next_submission_id)
        step = decide(record, Seen(outcome, None, has_answer=False, is_driver_alive=False))
        self._act(record, step if isinstance(step, Finish) else Again("the gateway was stopped", lost=False))

    def _keep_log(self, record: JobRecord) -> str:
        self._unfinished_logs[record.next_submission_id] = time.monotonic()
        with contextlib.suppress(ClusterError, ResultsError):
            return self._logs.keep(record.next_submission_id)
        return ""

    def _finish_log(self, submission_id: str) -> None:
        since = self._unfinished_logs[submission_id]
        with contextlib.suppress(ClusterError, ResultsError):
            job = self._cluster.find(submission_id)
            if job is not None and job.over:
                self._logs.keep(submission_id)
                del self._unfinished_logs[submission_id]
        if time.monotonic() - since > _LAST_WORDS_SECONDS:
            self._unfinished_logs.pop(submission_id, None)

    def _say(self, record: JobRecord, message: str | None) -> None:
        if record.message != message:
            self._records.note_message(record, message)

    def _folder(self, record: JobRecord) -> Path:
        return self._settings.runs / record.sweep_id
