"""The requests to a gateway and their outcomes, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final, Literal

from backtune.errors import UnreachableError

Report = dict[str, Any] | str | bytes

_SEARCH_FIELDS: Final = (
    "trials",
    "timeout_hours",
    "optimization_metric",
    "method",
    "seed",
    "constraints",
    "parameters",
    "execution",
    "validation",
)


@dataclass(frozen=True)
class GatewayRequest:
    """A request, to be signed and sent as often as it takes.

    Attributes:
        path: Path below the address of the API, percent-encoded.
        is_repeatable: False where the request must not be sent again once the gateway may have received it.
        seconds: Longest wait for the answer; None for the client's own limit.
    """

    method: Literal["GET", "POST"]
    path: str
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    seconds: float | None = None


@dataclass(frozen=True)
class Answer:
    """The gateway's response to a request.

    Attributes:
        headers: Headers of the response, their names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as plain data.

        Raises:
            UnreachableError: The body is no JSON, so that no gateway sent it.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise UnreachableError(
                "the answer is not a gateway's: it is no JSON", status=self.status
            ) from None


@dataclass(frozen=True)
class Failure:
    """A request that got no answer.

    Attributes:
        was_sent: True where the gateway may have received the request.
    """

    message: str
    was_sent: bool


@dataclass(frozen=True)
class OptimizationConfig:
    """A search on one strategy, one asset and one timeframe. The gateway has a default for every field that is None.

    Attributes:
        start_date: First day of the bars, in UTC; the first day that is stored where it is None.
        end_date: Day after the last day of the bars, in UTC; the bars are used to their end where it is None.
        timeout_hours: Time limit of the whole job.
        optimization_metric: One metric, or several for a multi-objective search; a leading ``-`` minimizes.
        constraints: Conditions on metrics, such as ``{"total_trades": ">= 30"}``.
        parameters: Ranges that replace the strategy's own, by parameter.
        execution: Settings of the execution, as in a spec.
        validation: Settings of the validation, as in a spec.
    """

    strategy_name: str
    asset: str
    timeframe: str
    start_date: str | date | None = None
    end_date: str | date | None = None
    trials: int | None = None
    timeout_hours: float | None = None
    optimization_metric: str | Sequence[str] | None = None
    method: str | None = None
    seed: int | None = None
    constraints: Mapping[str, str] | None = None
    parameters: Mapping[str, Any] | None = None
    execution: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the body of the request that starts this search."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        search = {name: given.pop(name) for name in _SEARCH_FIELDS if name in given}
        return {**given, "optimization_config": search}
