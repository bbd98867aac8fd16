"""The spec of a sweep: frozen, validated, with a content id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from backtune.errors import SpecError
from backtune.space import Parameter, parse_parameter
from backtune.timeframe import Timeframe

SamplerName = Literal["tpe", "cma-es", "nsga2", "random", "grid"]
EngineName = Literal["auto", "optuna", "rustuna"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _utc(value: object) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO date such as 2018-01-01 or 2018-01-01T12:00") from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), tzinfo=UTC)
    return value


def _seconds(value: object) -> object:
    return Timeframe.parse(value, key="duration").seconds if isinstance(value, str) else value


UtcTime = Annotated[datetime, BeforeValidator(_utc)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]


class Data(_Frozen):
    """Which bars: a catalog, a window in UTC (start inclusive, end exclusive), a calendar."""

    root: str = "data/market"
    start: UtcTime | None = None
    end: UtcTime | None = None
    calendar: Annotated[str, Field(pattern=r"^(24/7|sessions-[1-9]\d*)$")] = "24/7"

    @model_validator(mode="after")
    def _start_before_end(self) -> Data:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"end {self.end:%Y-%m-%d %H:%M} is not after start {self.start:%Y-%m-%d %H:%M}")
        return self


class StrategyFile(_Frozen):
    """A strategy class in a Python file of the user's."""

    file: str
    class_name: str = Field(alias="class")

    def __str__(self) -> str:
        return self.class_name


class Grid(_Frozen):
    """The cells of the sweep: every strategy on every asset in every timeframe."""

    strategies: Annotated[tuple[str | StrategyFile, ...], Field(min_length=1)]
    assets: Annotated[tuple[str, ...], Field(min_length=1)]
    timeframes: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("timeframes")
    @classmethod
    def _known_units(cls, timeframes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(Timeframe.parse(text, key="grid.timeframes")) for text in timeframes)

    @model_validator(mode="after")
    def _no_repeats(self) -> Grid:
        for name in ("strategies", "assets", "timeframes"):
            entries = [str(entry) for entry in getattr(self, name)]
            repeated = next((entry for entry in entries if entries.count(entry) > 1), None)
            if repeated is not None:
                raise ValueError(f"{name} lists {repeated!r} twice")
        return self


class Execution(_Frozen):
    """How targets become fills.

    Attributes:
        initial_cash: equity before the first bar, in quote currency.
        size: fraction of equity that a target of 1 commits.
        fee_bps: fee in basis points of the notional of every fill.
        slippage_bps: how far a fill is moved against the order, in basis points of the open.
        allow_short: whether negative targets are taken; otherwise they mean flat.
    """

    initial_cash: Annotated[float, Field(gt=0)] = 10_000.0
    size: Annotated[float, Field(gt=0, le=1)] = 1.0
    fee_bps: Annotated[float, Field(ge=0, lt=10_000)] = 10.0
    slippage_bps: Annotated[float, Field(ge=0, lt=10_000)] = 2.0
    allow_short: bool = True


class Objective(_Frozen):
    """A metric to maximize, or to minimize where written with a leading minus."""

    metric: str
    minimize: bool = False

    @classmethod
    def parse(cls, text: str) -> Objective:
        return cls(metric=text.removeprefix("-").strip(), minimize=text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.metric}" if self.minimize else self.metric


class Constraint(_Frozen):
    """A bound on a metric, such as ``total_trades >= 30``."""

    metric: str
    at_least: bool
    bound: float

    @classmethod
    def parse(cls, metric: str, text: str) -> Constraint:
        match = re.fullmatch(r"\s*(>=|<=)\s*([-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)\s*", str(text))
        if match is None:
            raise ValueError(f"{metric}: {text!r} is not a bound; write '>= 30' or '<= 0.5'")
        return cls(metric=metric, at_least=match[1] == ">=", bound=float(match[2]))

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.at_least else '<='} {self.bound:g}"

    def violation(self, value: float | None) -> float:
        """How far ``value`` is on the wrong side, relative to the bound; 0 where it holds, 1 where undefined."""
        if value is None:
            return 1.0
        distance = self.bound - value if self.at_least else value - self.bound
        return max(0.0, distance) / (abs(self.bound) or 1.0)


class Search(_Frozen):
    """The search of every study. ``trials`` is the budget; all else decides what is found with it."""

    sampler: SamplerName = "tpe"
    trials: Annotated[int, Field(ge=1)] = 100
    objectives: Annotated[tuple[str, ...], Field(min_length=1)] = ("sharpe_ratio",)
    constraints: dict[str, str] = {}
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    engine: EngineName = "auto"
    islands: Literal[1] = 1

    @field_validator("constraints")
    @classmethod
    def _readable(cls, constraints: dict[str, str]) -> dict[str, str]:
        return {
            metric: str(Constraint.parse(metric, text)).split(" ", 1)[1]
            for metric, text in constraints.items()
        }

    @property
    def goals(self) -> tuple[Objective, ...]:
        return tuple(Objective.parse(text) for text in self.objectives)

    @property
    def bounds(self) -> tuple[Constraint, ...]:
        return tuple(Constraint.parse(metric, text) for metric, text in self.constraints.items())


class Validation(_Frozen):
    """How the winner is tested on bars that the search never saw."""

    method: Literal["none", "holdout"] = "holdout"
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3


class Compute(_Frozen):
    """Where and how long; changes no result."""

    cpus_per_unit: Annotated[float, Field(gt=0)] = 1.0
    unit_seconds: Annotated[float, Field(gt=0)] = 20.0
    time_budget: Seconds | None = None
    max_failures: Annotated[int, Field(ge=0)] = 3


class Tracking(_Frozen):
    """Which MLflow; without a uri, a SQLite file in the runs folder."""

    uri: str | None = None
    top_k: Annotated[int, Field(ge=0)] = 20


class SweepSpec(_Frozen):
    """One sweep: what is searched, on which bars, under which costs, with which budget."""

    name: Annotated[str, Field(pattern=r"^[\w][\w .-]{0,79}$")]
    data: Data = Data()
    grid: Grid
    space: dict[str, dict[str, Any]] = {}
    execution: Execution = Execution()
    search: Search = Search()
    validation: Validation = Validation()
    compute: Compute = Compute()
    tracking: Tracking = Tracking()

    @field_validator("space")
    @classmethod
    def _readable(cls, space: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for pattern, changes in space.items():
            for name, definition in changes.items():
                parse_parameter(definition, key=f"space.{pattern}.{name}")
        return space

    @classmethod
    def load(cls, path: str | Path) -> SweepSpec:
        """Read a YAML or JSON file; the short one-cell form is accepted too. A strategy file named in it is
        looked up beside the spec.

        Raises:
            SpecError: the file cannot be read, or the spec is not valid.
        """
        path = Path(path)
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(
                str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from None
        except yaml.YAMLError as error:
            raise SpecError(str(path), f"is not YAML or JSON: {' '.join(str(error).split())}") from None
        if not isinstance(document, Mapping):
            raise SpecError(str(path), "holds no mapping of keys")
        return cls.parse(document, folder=path.parent)

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, folder: Path | None = None) -> SweepSpec:
        """Validate a mapping of the spec's keys, or of the short one-cell form.

        Args:
            folder: where relative strategy files are looked up first.

        Raises:
            SpecError: names the key, the value and what is allowed.
        """
        full = _expand_short_form(document) if "strategy_name" in document else dict(document)
        try:
            spec = cls.model_validate(full)
        except ValidationError as error:
            raise _spec_error(error) from None
        return spec._with_strategy_files_from(folder) if folder is not None else spec

    @property
    def id(self) -> str:
        """Content id: the same for equal searches, whatever their budget, computing and tracking.

        Raising ``trials`` therefore goes on in the same runs folder instead of starting another.
        """
        content = self.model_dump(mode="json", by_alias=True, exclude={"compute", "tracking"})
        del content["search"]["trials"]
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") or "sweep"
        return f"{slug}-{content_hash(content)[:10]}"

    def overrides(self, strategy: str, asset: str, timeframe: str) -> dict[str, Parameter]:
        """The ranges that the spec replaces in a cell; a later, matching pattern wins.

        Patterns are ``Strategy``, ``Strategy/ASSET`` or ``Strategy/ASSET/TIMEFRAME``, with ``*`` for any.
        """
        cell = (strategy, asset, timeframe)
        return {
            name: parse_parameter(definition, key=f"space.{pattern}.{name}")
            for pattern, changes in self.space.items()
            if all(part in ("*", name) for part, name in zip(pattern.split("/"), cell, strict=False))
            for name, definition in changes.items()
        }

    def _with_strategy_files_from(self, folder: Path) -> SweepSpec:
        def resolved(entry: str | StrategyFile) -> str | StrategyFile:
            if isinstance(entry, str) or Path(entry.file).is_absolute():
                return entry
            beside = folder / entry.file
            return entry.model_copy(update={"file": str(beside)}) if beside.is_file() else entry

        strategies = tuple(resolved(entry) for entry in self.grid.strategies)
        return self.model_copy(update={"grid": self.grid.model_copy(update={"strategies": strategies})})


def content_hash(content: object) -> str:
    """SHA-256 of the canonical JSON of plain data."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


_SHORT_METHODS = {
    "bayesian": "tpe",
    "optuna": "tpe",
    "genetic": "nsga2",
    "cmaes": "cma-es",
    "grid_search": "grid",
}
_SHORT_KEYS = ("strategy_name", "asset", "timeframe", "parameters", "optimization")


def _expand_short_form(document: Mapping[str, Any]) -> dict[str, Any]:
    shared = ("name", "data", "execution", "validation", "compute", "tracking")
    for key in document:
        if key not in (*_SHORT_KEYS, *shared):
            raise SpecError(key, "unknown key", value=key, allowed=(*_SHORT_KEYS, *shared))
    for key in ("asset", "timeframe"):
        if key not in document:
            raise SpecError(key, "is missing")
    strategy = document["strategy_name"]
    search, time_budget = _short_search(document.get("optimization") or {})
    full: dict[str, Any] = {key: document[key] for key in shared if key in document}
    full.setdefault("name", f"{strategy} {document['asset']} {document['timeframe']}")
    full["grid"] = {
        "strategies": [strategy],
        "assets": [document["asset"]],
        "timeframes": [document["timeframe"]],
    }
    full["search"] = search
    if document.get("parameters"):
        full["space"] = {str(strategy): document["parameters"]}
    if time_budget is not None:
        full["compute"] = {**full.get("compute", {}), "time_budget": time_budget}
    return full


def _short_search(optimization: Mapping[str, Any]) -> tuple[dict[str, Any], object]:
    search = dict(optimization)
    time_budget = search.pop("timeout", None)
    if "method" in search:
        method = search.pop("method")
        search["sampler"] = _SHORT_METHODS.get(str(method), method)
    return search, time_budget


def _spec_error(error: ValidationError) -> SpecError:
    """The first problem, with the way out; pydantic lists unions as several problems of one key."""
    problems = error.errors(include_url=False)
    first = problems[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, SpecError):
        return inner
    location = [part for part in first["loc"] if part not in ("str", "StrategyFile")]
    key = ".".join(str(part) for part in location) or "spec"
    if first["type"] == "extra_forbidden":
        return SpecError(key, "unknown key", value=location[-1], allowed=_keys_at(location[:-1]))
    if first["type"] == "missing":
        return SpecError(key, "is missing")
    if first["type"] == "literal_error":
        allowed = [str(choice) for choice in _literal_at(location)]
        return SpecError(key, f"{first['input']!r} is not known", value=first["input"], allowed=allowed)
    message = first["msg"].removeprefix("Value error, ")
    return SpecError(key, f"{message} (given: {first['input']!r})", value=first["input"])


def _model_at(location: list[Any]) -> type[BaseModel]:
    model: type[BaseModel] = SweepSpec
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
        elif isinstance(part, int):
            model = StrategyFile
    return model


def _keys_at(location: list[Any]) -> list[str]:
    return [field.alias or name for name, field in _model_at(location).model_fields.items()]


def _literal_at(location: list[Any]) -> tuple[Any, ...]:
    annotation = _model_at(location[:-1]).model_fields[location[-1]].annotation
    return get_args(annotation)
