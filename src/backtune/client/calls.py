"""Every request as a value, and how its answer is read."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final, Generic, Literal, TypeVar, cast
from urllib.parse import quote, urlencode

from backtune.client.answers import Asset, Health, Job, JobLogs, JobPage, Status, Strategy
from backtune.errors import UnreachableError

Format = Literal["json", "html", "pdf", "xlsx"]
Report = dict[str, Any] | str | bytes
Read = TypeVar("Read")

_REPORT_SECONDS: Final = 180.0
_IN_THE_CONFIG: Final = (
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
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as plain data.

        Raises:
            UnreachableError: it is no JSON, so that no gateway sent it.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise UnreachableError(
                "the answer is not a gateway's: it is no JSON", status=self.status
            ) from None


@dataclass(frozen=True)
class Call(Generic[Read]):
    """A request, to be signed and sent as often as it takes.

    Attributes:
        path: below the address of the API, percent-encoded.
        read: the answer, once it is a good one.
        is_repeatable: whether it may be sent again when it is not known if the gateway got it.
        seconds: for the answer; None for the client's own.
    """

    method: Literal["GET", "POST"]
    path: str
    read: Callable[[Answer], Read]
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    seconds: float | None = None


@dataclass(frozen=True)
class OptimizationConfig:
    """One strategy on one asset in one timeframe, and how to search. What is left out is the gateway's default.

    Attributes:
        start_date, end_date: UTC, inclusive and exclusive; all there is where they are left out.
        timeout_hours: for the whole job.
        optimization_metric: one, or several for a multi-objective search; a leading ``-`` minimizes.
        constraints: bounds on metrics, such as ``{"total_trades": ">= 30"}``.
        parameters: ranges that replace the strategy's own, by parameter.
        execution, validation: as in a spec.
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
        """The body of the request."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        config = {name: given.pop(name) for name in _IN_THE_CONFIG if name in given}
        for name in ("start_date", "end_date"):
            if isinstance(given.get(name), date):
                given[name] = given[name].isoformat()
        return {**given, "optimization_config": config}


def health() -> Call[Health]:
    return _get("/health", Health)


def strategies() -> Call[list[Strategy]]:
    return Call("GET", "/strategies", lambda answer: cast("list[Strategy]", answer.json()["strategies"]))


def assets() -> Call[list[Asset]]:
    return Call("GET", "/assets", lambda answer: cast("list[Asset]", answer.json()["assets"]))


def start(config: OptimizationConfig, idempotency_key: str | None = None) -> Call[str]:
    """Answered with the id of the job; the same key always gets the same job."""
    return _start("/optimize/single", config.to_json(), idempotency_key)


def start_batch(spec: Mapping[str, Any], idempotency_key: str | None = None) -> Call[str]:
    """A whole spec as plain data; answered with the id of the job."""
    return _start("/optimize/batch", spec, idempotency_key)


def job(job_id: str) -> Call[Job]:
    return _get(f"/jobs/{_quoted(job_id)}", Job)


def jobs(statuses: Sequence[Status], limit: int, cursor: str | None) -> Call[JobPage]:
    parameters = [("status", status) for status in statuses] + [("limit", str(limit))]
    if cursor is not None:
        parameters.append(("cursor", cursor))
    return _get("/jobs", JobPage, urlencode(parameters, quote_via=quote))


def cancel(job_id: str) -> Call[Job]:
    return Call("POST", f"/jobs/{_quoted(job_id)}/cancel", _json(Job))


def resume(job_id: str) -> Call[Job]:
    # Sent again after it was heard, it would be refused: the job is no longer one to be resumed.
    return Call("POST", f"/jobs/{_quoted(job_id)}/resume", _json(Job), is_repeatable=False)


def logs(job_id: str, attempt: int | None) -> Call[JobLogs]:
    return _get(
        f"/jobs/{_quoted(job_id)}/logs", JobLogs, "" if attempt is None else f"attempt={int(attempt)}"
    )


def pine_script(job_id: str) -> Call[str]:
    def read(answer: Answer) -> str:
        return str(answer.json()["pine_script"])

    return Call("POST", f"/export/pine-script/{_quoted(job_id)}", read, seconds=_REPORT_SECONDS)


def report(job_id: str, report_format: Format) -> Call[Report]:
    readers: dict[Format, Callable[[Answer], Report]] = {
        "json": lambda answer: cast("dict[str, Any]", answer.json()),
        "html": lambda answer: answer.body.decode(),
    }
    read = readers.get(report_format, lambda answer: answer.body)
    query = f"format={_quoted(report_format)}"
    return Call("GET", f"/reports/{_quoted(job_id)}", read, query, seconds=_REPORT_SECONDS)


def _start(path: str, document: Mapping[str, Any], idempotency_key: str | None) -> Call[str]:
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key or secrets.token_hex(16),
    }
    body = json.dumps(document, separators=(",", ":"), default=_plain).encode()
    return Call("POST", path, lambda answer: str(answer.json()["job_id"]), body=body, headers=headers)


def _get(path: str, kind: type[Read], query: str = "") -> Call[Read]:
    return Call("GET", path, _json(kind), query)


def _json(_kind: type[Read]) -> Callable[[Answer], Read]:
    return lambda answer: cast("Read", answer.json())


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not plain data: {value!r}")


def _quoted(text: str) -> str:
    return quote(str(text), safe="")
