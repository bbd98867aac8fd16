"""What may vary: one parameter, its range, and the condition under which it matters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backtune.errors import SpecError

Value = int | float | str | bool
Params = dict[str, Value]
# For each other parameter that decides: its value, or several, at which this one matters. Kept as tuples.
When = Mapping[str, Any]


def _no_condition() -> When:
    return {}


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], both included; on a grid from ``low`` where ``step`` is given."""

    low: float
    high: float
    default: float | None = None
    log: bool = False
    step: float | None = None
    when: When = field(default_factory=_no_condition, hash=False)

    def __post_init__(self) -> None:
        _check_range(self)
        _read_condition(self)

    def __contains__(self, value: object) -> bool:
        return is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]

    def ends(self) -> tuple[Value, ...]:
        """The lowest and the highest value."""
        return self.low, self.high

    def grid(self) -> tuple[float, ...]:
        """All values where there is a step, an empty tuple where the range is continuous."""
        if self.step is None:
            return ()
        return tuple(self.at(i) for i in range(n_steps(self.low, self.high, self.step)))

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
    when: When = field(default_factory=_no_condition, hash=False)

    def __post_init__(self) -> None:
        _check_range(self)
        _read_condition(self)

    def __contains__(self, value: object) -> bool:
        return is_number(value) and float(value).is_integer() and self.low <= value <= self.high  # type: ignore[arg-type, operator]

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
    when: When = field(default_factory=_no_condition, hash=False)

    def __post_init__(self) -> None:
        _read_condition(self)
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


def parameter_to_json(parameter: Parameter) -> dict[str, Any]:
    """The mapping that ``parse_parameter`` reads back."""
    when = {"when": {name: list(values) for name, values in parameter.when.items()}} if parameter.when else {}
    if isinstance(parameter, Choice):
        return {
            "type": "choice", "choices": list(parameter.choices), "default": parameter.default, **when,
        }  # fmt: skip
    kind = "int" if isinstance(parameter, Int) else "float"
    return {
        "type": kind, "low": parameter.low, "high": parameter.high,
        "step": parameter.step, "log": parameter.log, "default": parameter.default, **when,
    }  # fmt: skip


def _check_range(parameter: Float | Int) -> None:
    numbers = {"low": parameter.low, "high": parameter.high}
    if parameter.step is not None:
        numbers["step"] = parameter.step
    if parameter.default is not None:
        numbers["default"] = parameter.default
    for name, number in numbers.items():
        if not is_number(number) or not math.isfinite(number):
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


def n_steps(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step + 1e-9) + 1


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_condition(parameter: Parameter) -> None:
    """Keep the condition as a tuple of values for each name."""
    if not isinstance(parameter.when, Mapping):
        raise SpecError(
            "when", f"{parameter.when!r} is not a mapping such as {{exit: trailing}}", value=parameter.when
        )
    when: dict[str, tuple[Value, ...]] = {}
    for name, values in parameter.when.items():
        when[str(name)] = tuple(values) if isinstance(values, list | tuple) else (values,)
        if not when[str(name)] or not all(isinstance(value, Value) for value in when[str(name)]):
            raise SpecError(
                f"when.{name}", f"{values!r} is neither a value nor a list of values", value=values
            )
    object.__setattr__(parameter, "when", when)
