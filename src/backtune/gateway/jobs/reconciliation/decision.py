"""The decision on the next step with an open job. The driver's own report counts more than Ray's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backtune.cluster.ray_jobs import RayJob
from backtune.gateway.jobs.job_record import FinalState, JobRecord
from backtune.results.start_outcome import StartOutcome

# Exit statuses of `backtune run`.
_COMPLETE, _FAILED, _REFUSED = 0, 1, 2


@dataclass(frozen=True)
class Observation:
    """The evidence about one attempt.

    Attributes:
        outcome: The outcome that the driver wrote at its end; None if it has not.
        job: The job in Ray's view; None if Ray does not know the job, or did not answer.
        has_answer: True if Ray answered.
        is_driver_alive: True if a driver holds the sweep's folder; only looked at if Ray knows of no driver at work.
    """

    outcome: StartOutcome | None
    job: RayJob | None
    has_answer: bool
    is_driver_alive: bool


@dataclass(frozen=True)
class Wait:
    """The step to leave the job as it is.

    Attributes:
        message: The reason; None if there is nothing to explain.
    """

    message: str | None = None


@dataclass(frozen=True)
class RecordState:
    """The step to record that Ray has the job, or that its driver works."""

    state: Literal["submitted", "running"]


@dataclass(frozen=True)
class Submit:
    """The step to submit an attempt that Ray never had."""


@dataclass(frozen=True)
class Stop:
    """The step to have Ray end the job."""


@dataclass(frozen=True)
class StartAgain:
    """The step to begin another attempt, because this one is over before the sweep is.

    Attributes:
        message: The reason.
        is_lost: True if the attempt was lost, which counts against the job.
    """

    message: str
    is_lost: bool


@dataclass(frozen=True)
class Finish:
    """The step to record the end of the job.

    Attributes:
        error: The reason of a failure; None if there is none or the log has it.
        has_error_in_log: True if the last error in the driver's log is the reason.
    """

    state: FinalState
    error: str | None = None
    has_error_in_log: bool = False


Step = Wait | RecordState | Submit | Stop | StartAgain | Finish


def decide_step(record: JobRecord, observation: Observation) -> Step:
    """Return the next step with a job that Ray may have."""
    job = observation.job
    if observation.outcome is not None:
        return _decide_by_outcome(record, observation.outcome, job)
    if not observation.has_answer:
        # Without a driver the job is certainly not running.
        is_stale = record.state == "running" and not observation.is_driver_alive
        return RecordState("submitted") if is_stale else Wait("the cluster does not answer")
    if job is None:
        return _decide_on_unknown_job(record, observation)
    # Ray may take a running job for failed when one of its own calls went wrong.
    if job.is_over and not observation.is_driver_alive:
        return _decide_by_ray(record, job)
    if record.is_cancel_requested:
        return Stop()
    return RecordState("submitted" if job.state == "PENDING" else "running")


def _decide_by_outcome(record: JobRecord, outcome: StartOutcome, job: RayJob | None) -> Step:
    if outcome.exit_status == _COMPLETE:
        return Finish("completed")
    if outcome.stopped_by == "signal":
        if record.is_cancel_requested or (job is not None and job.state == "STOPPED"):
            return Finish("cancelled")
        return StartAgain("its driver was told to stop", is_lost=False)
    if outcome.exit_status == _FAILED:
        return Finish("failed", _describe_failures(outcome))
    return Finish("partial")


def _decide_on_unknown_job(record: JobRecord, observation: Observation) -> Step:
    if observation.is_driver_alive:
        return Wait("a driver that Ray no longer knows still works on this sweep")
    if record.is_cancel_requested:
        return Finish("cancelled")
    if record.state == "queued":
        return Submit()
    return StartAgain("the cluster lost it with its head", is_lost=True)


def _decide_by_ray(record: JobRecord, job: RayJob) -> Step:
    if record.is_cancel_requested or job.state == "STOPPED":
        return Finish("cancelled")
    if job.state == "SUCCEEDED":
        return Finish("failed", "the job ended in order, but left no result in the gateway's runs folder")
    if job.exit_code == _REFUSED:
        return Finish("failed", has_error_in_log=True)
    return StartAgain(f"its driver was lost: {job.message[:200] or 'no reason given'}", is_lost=True)


def _describe_failures(outcome: StartOutcome) -> str:
    n_failures = sum(outcome.failures.values())
    if n_failures <= 1:
        return f"a study failed: {next(iter(outcome.failures), '')}"
    reasons = "; ".join(f"{count} x {reason}" for reason, count in list(outcome.failures.items())[:3])
    return f"{n_failures} studies failed: {reasons}"
