"""The sections of a spec: frozen, unknown keys refused, each usable on its own."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backtune.errors import SpecError
from backtune.space import (
    NUMBER,
    Parameter,
    parse_number,
    parse_parameter,
    read_numeric_bounds,
    read_numeric_choices,
)
from backtune.spec.origin import UTC_MIDNIGHT, Origin
from backtune.spec.timeframe import Timeframe
from backtune.storage.location import Location, parse_location, resolve_location

SamplerName = Literal["tpe", "cma-es", "nsga2", "random", "grid", "qmc", "gp"]
BackendName = Literal["auto", "optuna", "rustuna"]

# Any number of sessions is allowed.
CALENDARS = ("24/7", "sessions-252", "auto")


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: object, info: ValidationInfo) -> object:
        kind = cls.model_fields[str(info.field_name)].annotation
        # Text that was due is missed below, in other words.
        if isinstance(value, bool) and kind is not bool and not _is_text(kind):
            raise ValueError("must not be a truth value")
        # pydantic reads 1e3 as a number, and not as a whole one.
        return parse_number(value) if kind is int else value


def _is_text(annotation: object) -> bool:
    return annotation is str or any(map(_is_text, get_args(annotation)))


def _read_utc(value: object) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be an ISO date such as 2018-01-01 or 2018-01-01T12:00") from None
    if isinstance(value, datetime):
        try:
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            raise ValueError("must be a date of the years 1 to 9999 in UTC") from None
    if isinstance(value, date):
        return datetime.combine(value, time(), tzinfo=UTC)
    if value is not None:
        raise ValueError("must be a date such as 2018-01-01")
    return value


def _read_seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return Timeframe.parse(value).seconds
    except SpecError:
        raise ValueError("must be seconds, or a whole number and a unit, as in 90s, 30m, 8h, 2d") from None


UtcTime = Annotated[datetime, BeforeValidator(_read_utc, json_schema_input_type=str)]
Seconds = Annotated[float, Field(gt=0), BeforeValidator(_read_seconds, json_schema_input_type=float | str)]


def read_sessions_per_year(calendar: str) -> int | None:
    """Return the number of session days a year that ``sessions-N`` states; None for ``auto`` and ``24/7``.

    Raises:
        SpecError: The calendar is none of these.
    """
    if calendar in ("auto", "24/7"):
        return None
    match = re.fullmatch(r"sessions-([1-9]\d*)", calendar)
    if match is None:
        raise SpecError("data.calendar", f"{calendar!r} is unknown", value=calendar, allowed=CALENDARS)
    return int(match[1])


class Data(Section):
    """The bars that are traded.

    Attributes:
        root: The catalog: a folder, or ``s3://bucket/prefix``. A relative one starts at ``$BACKTUNE_HOME``, or at the current folder.
        start, end: The window as ISO dates or times in UTC, start inclusive, end exclusive; without one, from the first bar or to
            the last. A bar that lies partly outside is left out; if the data itself begins or ends within a bar, the bar is kept.
        calendar: The number of bars a year, which annualises ratios: ``auto``, as many as the bars show; ``24/7``, a year full of
            bars; ``sessions-252``, 252 trading days a year, with the median over the data as the bars of a day. Of a stated number
            and the one that the bars show, the smaller one is used.
        funding: True if positions pay the funding rates that the catalog holds beside the bars.
        origin: The local time at which the days of built bars begin, and weeks, months and shorter bars with them, such as
            ``09:15 Asia/Kolkata`` or ``17:00 America/New_York``. A timeframe that is stored is read as it is.
    """

    root: str = "data/market"
    start: UtcTime | None = None
    end: UtcTime | None = None
    calendar: str = "auto"
    funding: bool = False
    # Left out of the content id where it is the default.
    origin: str = Field(default=str(UTC_MIDNIGHT), exclude_if=lambda origin: origin == str(UTC_MIDNIGHT))

    @field_validator("origin")
    @classmethod
    def _read_origin(cls, origin: str) -> str:
        return str(Origin.parse(origin, key="data.origin"))

    @field_validator("root")
    @classmethod
    def _check_root(cls, root: str) -> str:
        parse_location(root, key="data.root")
        return root

    @field_validator("calendar")
    @classmethod
    def _check_calendar(cls, calendar: str) -> str:
        read_sessions_per_year(calendar)
        return calendar

    @property
    def location(self) -> str:
        """The root as an address that holds in any process of this machine; see :func:`base_folder`."""
        return self.root if "://" in self.root else str(resolve_location(base_folder(), self.root))

    @model_validator(mode="after")
    def _check_order(self) -> Data:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise SpecError(
                "data.end",
                f"{self.end:%Y-%m-%d %H:%M} is not after start {self.start:%Y-%m-%d %H:%M}",
                value=self.end,
            )
        return self


class StrategyFile(Section):
    """A strategy class in a Python file of the user's.

    Attributes:
        file: The path of the file, looked up beside the spec first.
        class: The name of the class in it.
    """

    file: str
    class_name: str = Field(alias="class")

    def __str__(self) -> str:
        return self.class_name


class Grid(Section):
    """The cells of the sweep: every strategy on every asset in every timeframe.

    Attributes:
        strategies: The names, as ``backtune strategies`` lists them, or files.
        assets: The names in the catalog, as ``backtune data list`` shows them.
        timeframes: The lengths of a bar, a whole number and one of s, m, h, d, w, mo, y; ``1M`` is a month too. One that is not
            stored is built from the finest stored one that divides it; days divide months, weeks do not.
    """

    strategies: Annotated[tuple[str | StrategyFile, ...], Field(min_length=1)]
    assets: Annotated[tuple[str, ...], Field(min_length=1)]
    timeframes: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("timeframes", mode="before")
    @classmethod
    def _read_timeframes(cls, timeframes: object) -> object:
        if not isinstance(timeframes, list | tuple):
            return timeframes
        # What is neither text nor a number is refused as what it is.
        return tuple(
            str(Timeframe.parse(str(given), key="grid.timeframes")) if type(given) in (str, int) else given
            for given in timeframes
        )

    @model_validator(mode="after")
    def _refuse_repeats(self) -> Grid:
        for name in ("strategies", "assets", "timeframes"):
            entries = [str(entry) for entry in getattr(self, name)]
            repeated = next((entry for entry in entries if entries.count(entry) > 1), None)
            if repeated is not None:
                raise SpecError(f"grid.{name}", f"lists {repeated!r} twice", value=repeated)
        return self


_Rate = Annotated[float, Field(ge=0, lt=10_000)]
_Fee = Annotated[float, Field(ge=0, lt=1e12)]
_Increment = Annotated[float, Field(ge=0, lt=1e12)]
# The kernel takes an increment as the quotient of two whole numbers, which doubles hold exactly down to this one.
_SMALLEST_INCREMENT = 1e-18


def _is_unused(value: object) -> bool:
    """Tell whether a key is not used; it is left out of the content id then."""
    return not value


DISTANCES = ("stop_loss", "take_profit", "trailing_stop")


class Execution(Section):
    """The rules by which targets become fills; :mod:`backtune.simulation.backtest` states them in full.

    Attributes:
        initial_cash: The equity before the first bar, in quote currency.
        size: The fraction of equity that a target of 1 commits; up to ``leverage``.
        leverage: The most that may be committed, in multiples of equity.
        fee_bps: The fee of a fill in basis points of its notional.
        maker_fee_bps: The fee of a take-profit fill, a resting order; ``fee_bps`` where it is null.
        slippage_bps: The distance by which a fill is moved against the order, in basis points of its price.
        fee_per_order: The fixed fee of an order, in quote currency, on top of ``fee_bps``.
        fee_per_share: The fee of a share, contract or coin of an order, in quote currency, on top of ``fee_bps``.
        minimum_fee: The least fee of an order, in quote currency; the sum of its fees is raised to it.
        lot_size: The unit of quantities, which are whole multiples of it, rounded toward zero; null or 0 for any quantity.
        tick_size: The unit of prices: those of fills, stops and profit targets are whole multiples of it; null or 0 for any price.
        allow_short: True if negative targets are taken; otherwise they mean flat.
        stop_loss: The distance of the stop from the average entry price, as a fraction of it; null for none.
        take_profit: The distance of the profit target from the average entry price, likewise.
        trailing_stop: The distance of the stop from the best price since entry, as a fraction of it.

    A distance may be a range, as in ``{type: float, low: 0.01, high: 0.1}``: then it is searched beside the strategy's
    parameters, under its own name.
    """

    initial_cash: Annotated[float, Field(gt=0)] = 10_000.0
    size: Annotated[float, Field(gt=0)] = 1.0
    leverage: Annotated[float, Field(ge=1, le=1_000)] = 1.0
    fee_bps: _Rate = 10.0
    maker_fee_bps: _Rate | None = None
    slippage_bps: _Rate = 2.0
    fee_per_order: _Fee = Field(default=0.0, exclude_if=_is_unused)
    fee_per_share: _Fee = Field(default=0.0, exclude_if=_is_unused)
    minimum_fee: _Fee = Field(default=0.0, exclude_if=_is_unused)
    lot_size: _Increment | None = Field(default=None, exclude_if=_is_unused)
    tick_size: _Increment | None = Field(default=None, exclude_if=_is_unused)
    allow_short: bool = True
    stop_loss: float | dict[str, Any] | None = None
    take_profit: float | dict[str, Any] | None = None
    trailing_stop: float | dict[str, Any] | None = None

    @field_validator(*DISTANCES, mode="before")
    @classmethod
    def _read_distance(cls, value: object, info: ValidationInfo) -> object:
        key = f"execution.{info.field_name}"
        value = read_numeric_bounds(parse_number(value))
        ends: tuple[object, ...] = () if value is None else (value,)
        if isinstance(value, Mapping):
            ends = read_numeric_choices(parse_parameter(value, key=key)).ends()
        for end in ends:
            if not _is_distance(end):
                raise SpecError(
                    key, f"{end!r} is not a number between 0 and 1, nor a range of such", value=end
                )
        return value

    @field_validator("lot_size", "tick_size")
    @classmethod
    def _check_increment(cls, increment: float | None) -> float | None:
        if increment and increment < _SMALLEST_INCREMENT:
            raise ValueError(f"must be at least {_SMALLEST_INCREMENT:g}, or null for none")
        return increment or None

    @model_validator(mode="after")
    def _check_size(self) -> Execution:
        if self.size > self.leverage:
            raise SpecError(
                "execution.size",
                f"{self.size:g} is above the leverage of {self.leverage:g}; raise one or lower the other",
                value=self.size,
            )
        return self

    @property
    def searched(self) -> dict[str, Parameter]:
        """The distances that are searched, by name."""
        ranges = {name: getattr(self, name) for name in DISTANCES}
        return {
            name: read_numeric_choices(parse_parameter(value, key=f"execution.{name}"))
            for name, value in ranges.items()
            if isinstance(value, Mapping)
        }

    def with_distances(self, params: Mapping[str, Any]) -> Execution:
        """Return these rules with the distances that ``params`` names; its other names are left out.

        A range under a condition that a candidate leaves out is a distance that it does not use.

        Raises:
            SpecError: A distance is not between 0 and 1, or a range is left.
        """
        given = {name: params[name] for name in DISTANCES if name in params}
        unused = {name: None for name, range_ in self.searched.items() if range_.when and name not in given}
        chosen = {**given, **unused}
        for name, value in {**self.searched, **chosen}.items():
            if value is not None and not _is_distance(value):
                raise SpecError(
                    f"execution.{name}", f"{value!r} is not a number between 0 and 1", value=value
                )
        return self.model_copy(update=chosen) if chosen else self


def _is_distance(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


class Objective(Section):
    """A metric to maximize, or to minimize where it is written with a leading minus."""

    metric: str
    minimize: bool = False

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read ``sharpe_ratio`` or ``-max_drawdown``."""
        return cls(metric=text.removeprefix("-").strip(), minimize=text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.metric}" if self.minimize else self.metric


class Constraint(Section):
    """A limit that a metric must keep, such as ``total_trades >= 30``."""

    metric: str
    at_least: bool
    limit: float

    @classmethod
    def parse(cls, metric: str, text: object) -> Constraint:
        """Read the limit of a metric, such as ``>= 30``.

        Raises:
            SpecError: The text is not a limit.
        """
        match = re.fullmatch(rf"\s*(>=|<=)\s*([-+]?{NUMBER})\s*", str(text))
        if match is None or not math.isfinite(float(match[2])):
            raise SpecError(
                f"search.constraints.{metric}",
                f"{text!r} is not a limit; write '>= 30' or '<= 0.5'",
                value=text,
            )
        return cls(metric=metric, at_least=match[1] == ">=", limit=float(match[2]))

    @property
    def condition(self) -> str:
        """The limit without the metric, such as ``>= 30``."""
        return f"{'>=' if self.at_least else '<='} {repr(self.limit).removesuffix('.0')}"

    def __str__(self) -> str:
        return f"{self.metric} {self.condition}"

    def violation(self, value: float | None) -> float:
        """Return the distance of ``value`` beyond the limit, relative to the limit; 0 where it is kept, 1 where undefined."""
        if value is None:
            return 1.0
        distance = self.limit - value if self.at_least else value - self.limit
        return distance / (abs(self.limit) or 1.0) if distance > 0.0 else 0.0


def _read_objective(value: object) -> Objective:
    if isinstance(value, Objective):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be the name of a metric")
    return Objective.parse(value)


def _read_constraints(value: object) -> tuple[Constraint, ...]:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping):
        raise PydanticCustomError("dict_type", "must be limits by metric")
    return tuple(Constraint.parse(metric, text) for metric, text in value.items())


_ObjectiveText = Annotated[
    Objective,
    PlainValidator(_read_objective),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
_ConstraintsByMetric = Annotated[
    tuple[Constraint, ...],
    PlainValidator(_read_constraints),
    PlainSerializer(
        lambda constraints: {constraint.metric: constraint.condition for constraint in constraints},
        return_type=dict[str, str],
    ),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]


class EarlyStopping(Section):
    """Rungs that a candidate must pass before it is run on the whole train window.

    Attributes:
        rungs: The leading fractions of the train window's bars, increasing.
        top: The share of the complete trials, counted from the best, that a candidate is compared with on a rung.
        startup_trials: The number of complete trials that must exist before a candidate can be stopped.
    """

    rungs: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.25,)
    top: Annotated[float, Field(gt=0, lt=1)] = 0.2
    startup_trials: Annotated[int, Field(ge=1)] = 20

    @field_validator("rungs")
    @classmethod
    def _check_rungs(cls, rungs: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(rungs)):
            raise ValueError("must be increasing fractions of the train window")
        return rungs


class Search(Section):
    """The search of every study. ``trials`` is the budget; all else decides the result.

    Attributes:
        sampler: The method that chooses candidates.
        trials: The number of candidates that each study tries. A larger number continues the same sweep.
        objectives: The metrics to maximize, or to minimize with a leading ``-``. With two or more, each study finds a Pareto front.
        constraints: The limits of metrics, such as ``{total_trades: ">= 30"}``. A candidate that breaks one is infeasible: it cannot
            win, and the search learns to avoid it.
        seed: The seed of all studies; with another one, they try other candidates.
        backend: The library of the sampler: ``auto`` takes rustuna if it has the sampler, because it proposes candidates faster.
        islands: The number of searches, each with its own seed, that share the budget of a study and exchange their best candidates.
        warm_start: The folder, or the id, of an earlier sweep: each study begins with the winners of its cell there.
        early_stopping: The rungs on which hopeless candidates are stopped after the first bars; null is off.
    """

    sampler: SamplerName = "tpe"
    trials: Annotated[int, Field(ge=1)] = 100
    objectives: Annotated[tuple[_ObjectiveText, ...], Field(min_length=1)] = (
        Objective(metric="sharpe_ratio"),
    )
    constraints: _ConstraintsByMetric = ()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    backend: BackendName = "auto"
    islands: Annotated[int, Field(ge=1, le=256)] = 1
    warm_start: Annotated[str, Field(min_length=1)] | None = None
    # Left out of the content id where it is not used.
    early_stopping: EarlyStopping | None = Field(default=None, exclude_if=lambda setting: setting is None)

    @model_validator(mode="after")
    def _check_islands(self) -> Search:
        if self.islands > 1 and self.sampler == "grid":
            raise SpecError(
                "search.islands",
                "a grid has no seed, so its islands would be alike; leave it at 1",
                value=self.islands,
            )
        if self.islands > self.trials:
            raise SpecError(
                "search.islands",
                f"{self.islands} islands share {self.trials} trials; raise search.trials",
                value=self.islands,
            )
        return self

    @property
    def objective_metrics(self) -> list[str]:
        """The metrics of the objectives, in order."""
        return [objective.metric for objective in self.objectives]

    @property
    def n_rungs(self) -> int:
        return len(self.early_stopping.rungs) if self.early_stopping is not None else 0


class Compute(Section):
    """The machines and the time; changes no result.

    Attributes:
        cpus_per_unit: The number of CPUs that Ray sets aside for each unit.
        unit_seconds: The length in seconds that units are planned for; small studies share a unit, and a longer study is one by itself.
        time_budget: The time after which no new candidate is evaluated, in seconds or as in ``8h``; the same command continues the
            sweep.
        max_failures: The number of times that a unit may fail without progress before it is cut in halves.
    """

    cpus_per_unit: Annotated[float, Field(gt=0)] = 1.0
    unit_seconds: Annotated[float, Field(gt=0)] = 20.0
    time_budget: Seconds | None = None
    max_failures: Annotated[int, Field(ge=0)] = 3


class Tracking(Section):
    """The MLflow that results are tracked in; without a uri, a SQLite file in the runs folder.

    Attributes:
        uri: The address: a server, ``postgresql+psycopg://...`` or ``sqlite:///...``.
        top_k: The number of a study's best trials that get a run of their own there; all trials are in a file and in curves.
    """

    uri: str | None = None
    # MLflow takes 15 ms for each and compares some hundred with ease: of 36 studies, 5 make 180.
    top_k: Annotated[int, Field(ge=0)] = 5


def base_folder() -> Location:
    """Return the folder at which relative paths to data and results start: ``$BACKTUNE_HOME``, or the current folder.

    Ray runs a job in a temporary copy of its working directory, where neither would be found again.
    """
    return parse_location(os.environ.get("BACKTUNE_HOME") or Path.cwd()).resolve()
