"""The record of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from backtune.wire.answers import Status

# queued: not known to be at Ray. submitted: Ray has it. running: its driver works. All other states are final.
State = Literal["queued", "submitted", "running", "completed", "failed", "cancelled", "partial"]
FinalState = Literal["completed", "failed", "cancelled", "partial"]

OPEN: Final[tuple[State, ...]] = ("queued", "submitted", "running")
RESUMABLE: Final[tuple[State, ...]] = ("partial", "failed", "cancelled")


@dataclass(frozen=True)
class NewJob:
    """A job that is to be recorded.

    Attributes:
        owner: The id of the key that submits the job.
        request_id: The id of the request that submits the job.
        spec: The spec as plain data, which was checked before.
        sweep_id: The id of the spec's sweep.
        name: The name of the spec.
        body_hash: The hash of the request's body; a repeated request must have the same.
        idempotency_key: The client's name of the request, by which a repeated one gets the same job; None if it has none.
    """

    owner: str
    request_id: str
    spec: dict[str, Any]
    sweep_id: str
    name: str
    body_hash: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class JobEnd:
    """The outcome of a job, recorded so that it can be shown without the sweep's folder.

    Attributes:
        best: The first row of the leaderboard; None if there is none.
        n_trials: The number of trials in the log.
        n_trials_planned: The number of trials in the plan.
        warnings: The problems outside the search.
    """

    best: dict[str, Any] | None = None
    n_trials: int = 0
    n_trials_planned: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRecord:
    """A row of the table of jobs. Times are seconds since the epoch.

    Attributes:
        number: The position in the order of arrival.
        id: The id that clients use.
        owner: The id of the key that submitted the job.
        attempt: The number of starts, from 1.
        submission_id: Ray's name of this attempt; None as long as Ray cannot have been asked.
        n_lost: The number of attempts that were lost in a row.
        not_before: The earliest time of the next attempt.
        message: The reason for which the job is waiting; None if there is nothing to explain.
        error: The reason for which the job failed; None if it did not fail.
        end: The outcome; None while the job is open.
    """

    number: int
    id: str
    owner: str
    request_id: str
    name: str
    sweep_id: str
    state: State
    attempt: int
    submission_id: str | None
    is_cancel_requested: bool
    n_lost: int
    created_at: float
    not_before: float
    started_at: float | None
    ended_at: float | None
    message: str | None
    error: str | None
    end: JobEnd | None

    @property
    def status(self) -> Status:
        """The state that clients see: a job that Ray has not started yet is still in the queue."""
        return "queued" if self.state == "submitted" else self.state

    @property
    def is_open(self) -> bool:
        """True until the job has ended."""
        return self.state in OPEN

    @property
    def next_submission_id(self) -> str:
        """Ray's name of this attempt, which every gateway computes alike; Ray starts it once."""
        return f"{self.id}-{self.attempt}"
