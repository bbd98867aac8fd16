"""What goes in and comes out, as OpenAPI has it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backtune.gateway.records.values import Status

Text = Annotated[str, Field(min_length=1, max_length=120)]
JobId = Annotated[str, Field(pattern=r"^job-[0-9a-f]{24}$")]
Method = Literal[
    "tpe", "cma-es", "nsga2", "random", "grid", "qmc", "gp", "bayesian", "optuna", "genetic", "cmaes", "grid_search"
]  # fmt: skip


class OptimizationConfig(BaseModel):
    """How to search; what is left out is as in a spec."""

    model_config = ConfigDict(extra="forbid")

    trials: Annotated[int, Field(ge=1)] = 100
    timeout_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    optimization_metric: Text | Annotated[list[Text], Field(min_length=1, max_length=8)] = "sharpe_ratio"
    method: Method = "tpe"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    constraints: dict[str, str] = Field(
        {}, description="Bounds on metrics, such as {'total_trades': '>= 30'}."
    )
    parameters: dict[str, Any] = Field(
        {}, description="Ranges that replace the strategy's own, by parameter."
    )
    execution: dict[str, Any] = Field({}, description="As in a spec: costs, size, stops.")
    validation: dict[str, Any] = Field({}, description="As in a spec: how the winner is tested.")


class OptimizeSingle(BaseModel):
    """One strategy on one asset in one timeframe."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "strategy_name": "RSIStrategy",
                    "asset": "BTCUSD",
                    "timeframe": "1h",
                    "start_date": "2018-01-01",
                    "end_date": "2020-01-01",
                    "optimization_config": {
                        "trials": 500,
                        "timeout_hours": 2,
                        "optimization_metric": "sharpe_ratio",
                        "constraints": {"total_trades": ">= 30"},
                        "validation": {"method": "holdout", "test_fraction": 0.3},
                    },
                }
            ]
        },
    )

    strategy_name: Text
    asset: Text
    timeframe: Text
    start_date: Text | None = Field(
        None, description="ISO date or time in UTC, inclusive; all there is without it."
    )
    end_date: Text | None = Field(None, description="Exclusive.")
    optimization_config: OptimizationConfig = OptimizationConfig()


class Accepted(BaseModel):
    """The job is recorded, and will be run whatever happens to the gateway."""

    job_id: JobId
    status: Status
    sweep_id: str


class Best(BaseModel):
    """The best so far."""

    value: float | None = Field(description="Of the first objective, in-sample.")
    parameters: dict[str, Any] | None


class Result(BaseModel):
    """What a sweep found. The metrics are out-of-sample where the sweep has a validation."""

    strategy_name: str
    asset: str
    timeframe: str
    study: str
    sample: Literal["in_sample", "out_of_sample"]
    sharpe_ratio: float | None
    total_return: float | None
    max_drawdown: float | None
    family_p: float | None = Field(
        description="The share of sweeps, at most, in which the best test is as good without skill; null where it was not tested."
    )
    haircut_sharpe_ratio: float | None = Field(
        description="The Sharpe ratio out of sample that is left once it is known to be one of many; null where it was not tested."
    )
    best_parameters: dict[str, Any]
    detailed_metrics: dict[str, Any] = Field(
        description="is_<metric> and oos_<metric>, and the evidence: family_p, timing_p, dsr, plateau and more."
    )
    n_trials: int = Field(description="That the best was picked from.")
    warnings: list[str]


class Job(BaseModel):
    """A job as it is now."""

    job_id: JobId
    name: str
    sweep_id: str
    owner: str
    status: Status
    progress: float = Field(description="Per cent of the trials planned.", ge=0, le=100)
    n_trials: int
    n_trials_planned: int
    attempt: int = Field(description="Counts starts: a job lost with its head is started again.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    best_so_far: Best | None
    result: Result | None = Field(description="When completed, and when partial with something found.")
    error: str | None
    message: str | None = Field(description="Why it is waiting.")
    warnings: list[str]


class JobSummary(BaseModel):
    """A job in a list."""

    job_id: JobId
    name: str
    sweep_id: str
    owner: str
    status: Status
    attempt: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class JobPage(BaseModel):
    """Some jobs, the latest first."""

    jobs: list[JobSummary]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class JobLogs(BaseModel):
    """What the driver printed, its end."""

    job_id: JobId
    attempt: int
    logs: str
    truncated: bool


class Strategy(BaseModel):
    """A strategy that may be named."""

    name: str
    description: str
    parameters: dict[str, Any] = Field(description="What may vary, with ranges and defaults.")


class Strategies(BaseModel):
    strategies: list[Strategy]


class Asset(BaseModel):
    """Bars that there are."""

    asset: str
    timeframes: list[str] = Field(description="Stored; whole multiples of these can be asked for too.")
    start: datetime
    end: datetime
    has_funding: bool


class Assets(BaseModel):
    assets: list[Asset]


class PineScript(BaseModel):
    pine_script: str


class Health(BaseModel):
    status: Literal["ok"]
    version: str


class Ready(BaseModel):
    """Whether the gateway can do all of its work."""

    ready: bool
    gateway: str
    database: str
    runs: str
    cluster: str
    keeper: str
