"""A job as it is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

# queued: not known to be at Ray. submitted: Ray has it. running: its driver works. The others are final.
State = Literal["queued", "submitted", "running", "completed", "failed", "cancelled", "partial"]
Status = Literal["queued", "running", "completed", "failed", "cancelled", "partial"]
FinalState = Literal["completed", "failed", "cancelled", "partial"]

OPEN: Final[tuple[State, ...]] = ("queued", "submitted", "running")
RESUMABLE: Final[tuple[State, ...]] = ("partial", "failed", "cancelled")


@dataclass(frozen=True)
class NewJob:
    """A job to be recorded.

    Attributes:
        owner: id of the key that asks for it.
        request_id: of the request.
        spec: as plain data, checked.
        sweep_id, name: of the spec.
        idempotency_key: the client's name for the request; the same one gets the same job.
        body_hash: of the request, which must then be the same too.
    """

    owner: str
    request_id: str
    spec: dict[str, Any]
    sweep_id: str
    name: str
    body_hash: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class End:
    """How a job ended, kept so that it needs no file to be told.

    Attributes:
        best: the leaderboard's first row; None where there is none.
        n_trials, n_trials_planned: in the log, and of the plan.
        warnings: what went wrong beside the search.
    """

    best: dict[str, Any] | None = None
    n_trials: int = 0
    n_trials_planned: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRecord:
    """One row.

    Attributes:
        number: in the order of arrival.
        id: for clients.
        attempt: counts starts, from 1.
        submission_id: Ray's name of this attempt; None before Ray may have been asked.
        n_lost: attempts that were lost in a row.
        created_at, started_at, ended_at: seconds since the epoch.
        not_before: earliest time of the next attempt.
        message: why it is waiting, where there is something to tell.
        error: why it failed.
        end: None while it is open.
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
    end: End | None

    @property
    def status(self) -> Status:
        """As clients see it: what Ray has but has not begun is still in the queue."""
        return "queued" if self.state == "submitted" else self.state

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def next_submission_id(self) -> str:
        """Ray's name of this attempt, the same whoever makes it: Ray takes it once."""
        return f"{self.id}-{self.attempt}"
