"""What to do with an open job, from all that is seen of it. The driver's own word outranks Ray's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backtune.gateway.jobs import Job
from backtune.gateway.records.values import FinalState, JobRecord
from backtune.results.start_outcome import StartOutcome

# Exit statuses of `backtune run`.
_COMPLETE, _FAILED, _REFUSED, _PARTIAL = 0, 1, 2, 3


@dataclass(frozen=True)
class Seen:
    """What is known of one attempt.

    Attributes:
        outcome: what the driver wrote at its end; None where it has not.
        job: what Ray says; None where Ray answers that it does not know the job.
        has_answer: whether Ray answered at all.
        is_driver_alive: whether a driver holds the sweep's folder; looked at where Ray knows of none at work.
    """

    outcome: StartOutcome | None
    job: Job | None
    has_answer: bool
    is_driver_alive: bool


@dataclass(frozen=True)
class Wait:
    """Nothing is new, or nothing can be known now; ``message`` says why, where it is worth telling."""

    message: str | None = None


@dataclass(frozen=True)
class Note:
    """It is at Ray, or its driver works."""

    state: Literal["submitted", "running"]


@dataclass(frozen=True)
class Submit:
    """Ray does not have this attempt, and never had."""


@dataclass(frozen=True)
class Stop:
    """Ray is to end it."""


@dataclass(frozen=True)
class Again:
    """The attempt is over before the sweep is; ``lost`` where that is a fault."""

    message: str
    lost: bool


@dataclass(frozen=True)
class Finish:
    """The job is over. ``asks_log``: the driver's last words are the error."""

    state: FinalState
    error: str | None = None
    asks_log: bool = False


Step = Wait | Note | Submit | Stop | Again | Finish


def decide(record: JobRecord, seen: Seen) -> Step:
    """The next step with a job whose attempt may be at Ray."""
    if seen.outcome is not None:
        return _by_outcome(record, seen.outcome, seen)
    if not seen.has_answer:
        # Whatever becomes of it, it is not running.
        is_news = record.state == "running" and not seen.is_driver_alive
        return Note("submitted") if is_news else Wait("the cluster does not answer")
    if seen.job is None:
        return _unknown_to_ray(record, seen)
    # Ray may take a live job for failed when a call of its own went wrong.
    if seen.job.over and not seen.is_driver_alive:
        return _by_ray(record, seen.job)
    if record.is_cancel_requested:
        return Stop()
    return Note("submitted" if seen.job.state == "PENDING" else "running")


def _by_outcome(record: JobRecord, outcome: StartOutcome, seen: Seen) -> Step:
    if outcome.exit_status == _COMPLETE:
        return Finish("completed")
    if outcome.stopped_by == "signal":
        stopped_in_ray = seen.job is not None and seen.job.state == "STOPPED"
        if record.is_cancel_requested or stopped_in_ray:
            return Finish("cancelled")
        return Again("its driver was told to stop", lost=False)
    if outcome.exit_status == _FAILED:
        return Finish("failed", _reasons(outcome))
    return Finish("partial")


def _unknown_to_ray(record: JobRecord, seen: Seen) -> Step:
    if seen.is_driver_alive:
        return Wait("a driver that Ray no longer knows still works on this sweep")
    if record.state == "queued":
        return Finish("cancelled") if record.is_cancel_requested else Submit()
    if record.is_cancel_requested:
        return Finish("cancelled")
    return Again("the cluster lost it with its head", lost=True)


def _by_ray(record: JobRecord, job: Job) -> Step:
    if record.is_cancel_requested or job.state == "STOPPED":
        return Finish("cancelled")
    if job.state == "SUCCEEDED":
        return Finish("failed", "the job ended in order, but left no result in the gateway's runs folder")
    if job.exit_code == _REFUSED:
        return Finish("failed", asks_log=True)
    return Again(f"its driver was lost: {job.message[:200] or 'no reason given'}", lost=True)


def _reasons(outcome: StartOutcome) -> str:
    total = sum(outcome.failures.values())
    told = "; ".join(f"{count} x {reason}" for reason, count in list(outcome.failures.items())[:3])
    return (
        f"{total} studies failed: {told}"
        if total > 1
        else f"a study failed: {next(iter(outcome.failures), '')}"
    )
