"""The types of the plain data that a gateway answers. Times are ISO 8601 in UTC; an undefined metric is None."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

Status = Literal["queued", "running", "completed", "failed", "cancelled", "partial"]
FINAL: tuple[Status, ...] = ("completed", "failed", "cancelled", "partial")


class Strategy(TypedDict):
    """A strategy that may be named, with the parameters that may vary."""

    name: str
    description: str
    parameters: dict[str, Any]


class Asset(TypedDict):
    """An asset that the gateway has bars of."""

    asset: str
    timeframes: list[str]
    start: str
    end: str
    has_funding: bool


class Best(TypedDict):
    """The best candidate so far; ``value`` is that of the first objective, in-sample."""

    value: float | None
    parameters: dict[str, Any] | None


class Result(TypedDict):
    """The best candidate of a sweep; its metrics are out-of-sample where the sweep has a validation, see ``sample``."""

    strategy_name: str
    asset: str
    timeframe: str
    study: str
    sample: Literal["in_sample", "out_of_sample"]
    sharpe_ratio: float | None
    total_return: float | None
    max_drawdown: float | None
    best_parameters: dict[str, Any]
    detailed_metrics: dict[str, Any]
    n_trials: int
    warnings: list[str]


class JobSummary(TypedDict):
    """A job in a list."""

    job_id: str
    name: str
    sweep_id: str
    owner: str
    status: Status
    attempt: int
    created_at: str
    started_at: str | None
    ended_at: str | None


class Job(JobSummary):
    """A job as it is now; ``progress`` is in per cent, ``result`` is there once it is completed."""

    progress: float
    n_trials: int
    n_trials_planned: int
    best_so_far: Best | None
    result: Result | None
    error: str | None
    message: str | None
    warnings: list[str]


class JobUpdate(Job):
    """A job, pushed as it changes."""

    type: Literal["job_update"]
    best_params: dict[str, Any] | None
    best_value: float | None


class JobPage(TypedDict):
    """A page of the list of jobs, the latest first."""

    jobs: list[JobSummary]
    next_cursor: str | None


class JobLogs(TypedDict):
    """The end of the output of a job's driver."""

    job_id: str
    attempt: int
    logs: str
    truncated: bool


class Health(TypedDict):
    """The gateway's sign of life."""

    status: Literal["ok"]
    version: str
