"""What may vary: the parameters of a strategy and their ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backtune.errors import SpecError

Value = int | float | str | bool
Params = dict[str, Value]

_NUMBERS = ("low", "high", "step", "default")


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], both included; on a grid from ``low`` where ``step`` is given."""

    low: float
    high: float
    default: float | None = None
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _check_range(self)

    def __contains__(self, value: object) -> bool:
        return _is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]

    def ends(self) -> tuple[Value, ...]:
        """The lowest and the highest value."""
        return self.low, self.high

    def grid(self) -> tuple[float, ...]:
        """All values where there is a step, an empty tuple where the range is continuous."""
        if self.step is None:
            return ()
        return tuple(self.at(i) for i in range(_count(self.low, self.high, self.step)))

    def at(self, i: int) -> float:
        """The i-th value of the grid; rounding does not carry the last one past ``high``."""
        return min(self.low + i * (self.step or 0.0), self.high)


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], both included, in steps of ``step`` from ``low``."""

    low: int
    high: int
    default: int | None = None
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _check_range(self)

    def __contains__(self, value: object) -> bool:
        return _is_number(value) and float(value).is_integer() and self.low <= value <= self.high  # type: ignore[arg-type, operator]

    def ends(self) -> tuple[Value, ...]:
        """The lowest and the highest value."""
        return self.low, self.high

    def grid(self) -> tuple[int, ...]:
        """All values."""
        return tuple(range(self.low, self.high + 1, self.step))


@dataclass(frozen=True)
class Choice:
    """One of the listed values; a list of one fixes the parameter."""

    choices: tuple[Value, ...]
    default: Value | None = None

    def __post_init__(self) -> None:
        if not self.choices:
            raise SpecError("choices", "an empty list leaves nothing to choose")
        for choice in self.choices:
            if not isinstance(choice, Value) or (isinstance(choice, float) and not math.isfinite(choice)):
                raise SpecError(
                    "choices", f"{choice!r} is not a finite number, a text or a truth value", value=choice
                )
        if self.default is not None and self.default not in self.choices:
            raise SpecError("default", f"{self.default!r} is not one of the choices {list(self.choices)}")

    def __contains__(self, value: object) -> bool:
        return value in self.choices

    def ends(self) -> tuple[Value, ...]:
        """Every value."""
        return self.choices

    def grid(self) -> tuple[Value, ...]:
        """All values."""
        return self.choices


Parameter = Float | Int | Choice


class Space(Mapping[str, Parameter]):
    """Named parameters, in a fixed order. Immutable."""

    def __init__(self, parameters: Mapping[str, Parameter] | None = None, /, **named: Parameter) -> None:
        self._parameters: dict[str, Parameter] = {**(parameters or {}), **named}

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"Space({self._parameters!r})"

    def defaults(self) -> Params:
        """The default of every parameter; the middle of the range, or the first choice, where none is set."""
        return {name: _default(parameter) for name, parameter in self.items()}

    def override(self, changes: Mapping[str, Parameter], *, key: str = "space") -> Space:
        """The same parameters with some ranges replaced.

        Raises:
            SpecError: a name is not a parameter of this space, or a whole number would become a fraction.
        """
        for name, change in changes.items():
            if name not in self:
                raise SpecError(
                    f"{key}.{name}", "is not a parameter of the strategy", value=name, allowed=self
                )
            if isinstance(self[name], Int) and not _is_whole(change):
                raise SpecError(
                    f"{key}.{name}", f"takes whole numbers: use type int, not {change}", value=change
                )
        return Space({name: changes.get(name, parameter) for name, parameter in self.items()})

    def extend(self, more: Mapping[str, Parameter], *, key: str) -> Space:
        """These parameters and then ``more``.

        Raises:
            SpecError: a name is there already.
        """
        for name in more:
            if name in self:
                raise SpecError(
                    f"{key}.{name}", "is a parameter of the strategy too; rename that one", value=name
                )
        return Space({**self._parameters, **more})

    def complete(self, params: Mapping[str, Any], *, key: str = "params") -> Params:
        """``params`` with defaults for those left out; values may lie outside the ranges, which bound a search only.

        A whole number written as 10.0, as tables do, is read as 10.

        Raises:
            SpecError: a name is not a parameter of this space.
        """
        for name in params:
            if name not in self:
                raise SpecError(
                    f"{key}.{name}", "is not a parameter of the strategy", value=name, allowed=self
                )
        given = {name: int(v) if _is_whole_float(self[name], v) else v for name, v in params.items()}
        return {**self.defaults(), **given}

    def to_json(self) -> dict[str, dict[str, Any]]:
        """A plain mapping that ``parse_parameter`` reads back."""
        return {name: parameter_to_json(parameter) for name, parameter in self.items()}


def parse_parameter(definition: object, *, key: str) -> Parameter:
    """Read one parameter from a spec.

    Accepted: ``{type: int|float, low, high, step, log, default}``, ``{type: int|float, range: [low, high]}``,
    ``{type: choice, choices: [...]}``, or a bare value, which fixes the parameter.

    Raises:
        SpecError: names the key and what is allowed.
    """
    if not isinstance(definition, Mapping):
        if isinstance(definition, int | float | str | bool):
            return _build(Choice, {"choices": [definition]}, key)
        raise SpecError(key, f"{definition!r} is not a range", value=definition)
    fields = dict(definition)
    kind = str(fields.pop("type", "choice" if "choices" in fields else "float"))
    if "range" in fields:
        bounds = fields.pop("range")
        if not isinstance(bounds, list | tuple) or len(bounds) != 2:
            raise SpecError(f"{key}.range", f"{bounds!r} is not a pair [min, max]", value=bounds)
        fields["low"], fields["high"] = bounds
    kinds: dict[str, tuple[type[Parameter], tuple[str, ...]]] = {
        "float": (Float, ("low", "high", "default", "log", "step")),
        "int": (Int, ("low", "high", "default", "log", "step")),
        "choice": (Choice, ("choices", "default")),
    }
    kind = {"integer": "int", "categorical": "choice"}.get(kind, kind)
    if kind not in kinds:
        raise SpecError(f"{key}.type", f"unknown type {kind!r}", value=kind, allowed=kinds)
    parameter, allowed = kinds[kind]
    for name in fields:
        if name not in allowed:
            raise SpecError(f"{key}.{name}", "unknown key", value=name, allowed=("type", *allowed))
    return _build(parameter, {k: v for k, v in fields.items() if v is not None}, key)


def parameter_to_json(parameter: Parameter) -> dict[str, Any]:
    """The mapping that ``parse_parameter`` reads back."""
    if isinstance(parameter, Choice):
        return {"type": "choice", "choices": list(parameter.choices), "default": parameter.default}
    kind = "int" if isinstance(parameter, Int) else "float"
    return {
        "type": kind, "low": parameter.low, "high": parameter.high,
        "step": parameter.step, "log": parameter.log, "default": parameter.default,
    }  # fmt: skip


def _build(parameter: type[Parameter], fields: dict[str, Any], key: str) -> Parameter:
    if parameter is Choice:
        choices = fields.get("choices")
        if not isinstance(choices, list | tuple):
            raise SpecError(f"{key}.choices", f"{choices!r} is not a list", value=choices)
        fields["choices"] = tuple(choices)
    for bound in ("low", "high"):
        if parameter is not Choice and bound not in fields:
            raise SpecError(f"{key}.{bound}", "is missing")
    if parameter is not Choice:
        # YAML reads 1e-3, without a dot, as text.
        fields = {name: _number(value) if name in _NUMBERS else value for name, value in fields.items()}
    try:
        return parameter(**fields)
    except SpecError as error:
        raise SpecError(f"{key}.{error.key}", str(error).split(": ", 1)[1], value=error.value) from None


def _check_range(parameter: Float | Int) -> None:
    numbers = {"low": parameter.low, "high": parameter.high}
    if parameter.step is not None:
        numbers["step"] = parameter.step
    if parameter.default is not None:
        numbers["default"] = parameter.default
    for name, number in numbers.items():
        if not _is_number(number) or not math.isfinite(number):
            raise SpecError(name, f"{number!r} is not a finite number", value=number)
        if isinstance(parameter, Int) and not float(number).is_integer():
            raise SpecError(name, f"{number!r} is not a whole number", value=number)
        if isinstance(parameter, Int):
            object.__setattr__(parameter, name, int(number))
    if not isinstance(parameter.log, bool):
        raise SpecError("log", f"{parameter.log!r} is neither true nor false", value=parameter.log)
    if parameter.low > parameter.high:
        raise SpecError("low", f"{parameter.low} is above high {parameter.high}", value=parameter.low)
    if parameter.step is not None and parameter.step <= 0:
        raise SpecError("step", f"{parameter.step} must be above 0", value=parameter.step)
    if parameter.log and parameter.low <= 0:
        raise SpecError("low", f"{parameter.low} must be above 0 on a log scale", value=parameter.low)
    if parameter.log and parameter.step not in (None, 1):
        raise SpecError("step", "a log scale takes no step", value=parameter.step)
    if parameter.default is not None and parameter.default not in parameter:
        raise SpecError("default", f"{parameter.default} is outside [{parameter.low}, {parameter.high}]")


def _default(parameter: Parameter) -> Value:
    if parameter.default is not None:
        return parameter.default
    if isinstance(parameter, Choice):
        return parameter.choices[0]
    if parameter.step is not None:
        middle = (_count(parameter.low, parameter.high, parameter.step) - 1) // 2
        return parameter.low + middle * parameter.step if isinstance(parameter, Int) else parameter.at(middle)
    if parameter.log:
        return math.sqrt(parameter.low * parameter.high)
    return (parameter.low + parameter.high) / 2


def _count(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step + 1e-9) + 1


def _is_whole(parameter: Parameter) -> bool:
    if isinstance(parameter, Choice):
        return all(_is_number(choice) and float(choice).is_integer() for choice in parameter.choices)
    return isinstance(parameter, Int)


def _is_whole_float(parameter: Parameter, value: object) -> bool:
    return isinstance(parameter, Int) and isinstance(value, float) and value.is_integer()


def _number(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
