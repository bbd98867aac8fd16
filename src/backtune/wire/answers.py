"""The types of what a gateway answers: plain data for the client, and the schema of the gateway's API.

Times are ISO 8601 in UTC; an undefined metric is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from typing_extensions import TypedDict

Status = Literal["queued", "running", "completed", "failed", "cancelled", "partial"]
FINAL: Final[tuple[Status, ...]] = ("completed", "failed", "cancelled", "partial")


@dataclass(frozen=True)
class SchemaNote:
    """Further keywords of a member in the JSON schema of the API."""

    description: str = ""
    format: str | None = None

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the member's schema with the keywords; pydantic calls this where the gateway describes its API."""
        keywords = {"description": self.description, "format": self.format}
        return handler(core_schema) | {name: value for name, value in keywords.items() if value}


Time = Annotated[str, SchemaNote(format="date-time")]


def format_time(moment: datetime) -> str:
    """Return a moment as answers show it; one without a time zone is in UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


class Accepted(TypedDict):
    """The answer to a new job, which is recorded and will be run whatever happens to the gateway."""

    job_id: str
    status: Status
    sweep_id: str


class BestCandidate(TypedDict):
    """The best candidate so far."""

    value: Annotated[float | None, SchemaNote("Value of the first objective, in-sample.")]
    parameters: dict[str, Any] | None


class JobResult(TypedDict):
    """The best candidate of a sweep; its metrics are out-of-sample if the sweep has a validation."""

    strategy_name: str
    asset: str
    timeframe: str
    study: str
    sample: Literal["in_sample", "out_of_sample"]
    sharpe_ratio: float | None
    total_return: float | None
    max_drawdown: float | None
    family_p: Annotated[
        float | None,
        SchemaNote(
            "Upper limit of the share of sweeps in which the best test is as good without skill; "
            "null if it was not tested."
        ),
    ]
    haircut_sharpe_ratio: Annotated[
        float | None,
        SchemaNote(
            "Sharpe ratio out of sample that is left once it is known to be one of many; "
            "null if it was not tested."
        ),
    ]
    best_parameters: dict[str, Any]
    detailed_metrics: Annotated[
        dict[str, Any],
        SchemaNote(
            "Members is_<metric> and oos_<metric>, and the evidence: family_p, dsr, plateau and more."
        ),
    ]
    n_trials: Annotated[int, SchemaNote("Number of trials that the best was picked from.")]
    warnings: list[str]


class JobSummary(TypedDict):
    """A job in a list."""

    job_id: str
    name: str
    sweep_id: str
    owner: Annotated[str, SchemaNote("Id of the key that submitted the job.")]
    status: Status
    attempt: Annotated[int, SchemaNote("Number of starts: a job lost with its head is started again.")]
    created_at: Time
    started_at: Time | None
    ended_at: Time | None


class Job(JobSummary):
    """A job as it is now."""

    progress: Annotated[float, SchemaNote("Finished trials, in per cent of the trials planned.")]
    n_trials: int
    n_trials_planned: int
    best_so_far: BestCandidate | None
    result: Annotated[
        JobResult | None, SchemaNote("Result of a completed job, and of a partial one that found something.")
    ]
    error: str | None
    message: Annotated[str | None, SchemaNote("Reason for which the job is waiting.")]
    warnings: list[str]


class JobUpdate(Job):
    """A job that is pushed over a socket as it changes."""

    type: Literal["job_update"]
    best_params: dict[str, Any] | None
    best_value: float | None


class JobPage(TypedDict):
    """A page of the list of jobs, the latest first."""

    jobs: list[JobSummary]
    next_cursor: Annotated[str | None, SchemaNote("Cursor of the next page; null on the last page.")]


class JobLogs(TypedDict):
    """The end of the output of a job's driver."""

    job_id: str
    attempt: int
    logs: str
    truncated: bool


class Strategy(TypedDict):
    """A strategy that may be named in a request."""

    name: str
    description: str
    parameters: Annotated[
        dict[str, Any], SchemaNote("Parameters that may vary, with their ranges and defaults.")
    ]


class Strategies(TypedDict):
    """All strategies of the gateway."""

    strategies: list[Strategy]


class Asset(TypedDict):
    """An asset that the gateway has bars of."""

    asset: str
    timeframes: Annotated[
        list[str], SchemaNote("Stored timeframes; whole multiples of these can be requested too.")
    ]
    start: Time
    end: Time
    has_funding: bool


class Assets(TypedDict):
    """All assets of the gateway."""

    assets: list[Asset]


class PineScript(TypedDict):
    """A Pine script for TradingView."""

    pine_script: str


class Health(TypedDict):
    """The gateway's sign of life."""

    status: Literal["ok"]
    version: str


class Readiness(TypedDict):
    """The state of the gateway and of everything that it needs to do all of its work."""

    ready: bool
    gateway: str
    database: str
    runs: str
    cluster: str
    reconciler: str
