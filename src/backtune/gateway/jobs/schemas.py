"""The requests about jobs, as the API describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ShortText = Annotated[str, Field(min_length=1, max_length=120)]
JobId = Annotated[str, Field(pattern=r"^job-[0-9a-f]{24}$")]
Method = Literal[
    "tpe",
    "cma-es",
    "nsga2",
    "random",
    "grid",
    "qmc",
    "gp",
    "bayesian",
    "optuna",
    "genetic",
    "cmaes",
    "grid_search",
]


class SearchRequest(BaseModel):
    """The search on one cell; a member that is left out has the default of the spec."""

    model_config = ConfigDict(extra="forbid")

    trials: Annotated[int, Field(ge=1)] = 100
    timeout_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    optimization_metric: ShortText | Annotated[list[ShortText], Field(min_length=1, max_length=8)] = (
        "sharpe_ratio"
    )
    method: Method = "tpe"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    constraints: dict[str, str] = Field(
        {}, description="Conditions on metrics, such as {'total_trades': '>= 30'}."
    )
    parameters: dict[str, Any] = Field(
        {}, description="Ranges that replace the strategy's own, by parameter."
    )
    execution: dict[str, Any] = Field({}, description="Costs, size and stops, as in a spec.")
    validation: dict[str, Any] = Field({}, description="Test of the winner, as in a spec.")


class SingleRequest(BaseModel):
    """A sweep of one cell: one strategy on one asset in one timeframe."""

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

    strategy_name: ShortText
    asset: ShortText
    timeframe: ShortText
    start_date: ShortText | None = Field(
        None, description="First date or time in UTC, in ISO form; the first bar stored if it is left out."
    )
    end_date: ShortText | None = Field(
        None,
        description="Date or time after the last bar, in UTC; the last bar stored is included if it is left out.",
    )
    optimization_config: SearchRequest = SearchRequest()
