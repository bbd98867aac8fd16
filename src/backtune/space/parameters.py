"""What may vary: one parameter, its range, and the condition under which it matters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

from backtune.errors import SpecError
from backtune.space.numbers import as_number, is_finite, is_number

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
        return is_number(value) and self.low <= value <= self.high  # type: ignore[operator]

    def read(self, value: object, *, key: str) -> Value:
        """Return a number that may lie outside the range, which bounds a search only.

        Raises:
            SpecError: it is no finite number.
        """
        return _number(value, key)

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
        return is_number(value) and _is_whole(value) and self.low <= value <= self.high  # type: ignore[operator, arg-type]

    def read(self, value: object, *, key: str) -> Value:
        """Return a whole number that may lie outside the range; 10.0, as tables write it, is 10.

        Raises:
            SpecError: it is no whole number.
        """
        return _whole_number(value, key)

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
            if not isinstance(choice, Value) or (is_number(choice) and not is_finite(choice)):  # type: ignore[arg-type]
                raise SpecError(
                    "choices", f"{choice!r} is not a finite number, a text or a truth value", value=choice
                )
        if self.default is not None and self.default not in self.choices:
            raise SpecError("default", f"{self.default!r} is not one of the choices {list(self.choices)}")

    def __contains__(self, value: object) -> bool:
        return value in self.choices

    def read(self, value: object, *, key: str) -> Value:
        """Return the choice that a value is; 1 is 1.0, and neither is True.

        Where all choices are numbers, another number is one outside the range, as for :class:`Float` and :class:`Int`.

        Raises:
            SpecError: it is none of the choices, and not outside their range either.
        """
        for choice in self.choices if isinstance(value, str | Real) else ():
            if value == choice and isinstance(value, bool) == isinstance(choice, bool):
                return choice
        if self.is_numeric:
            return _whole_number(value, key) if self.is_whole else _number(value, key)
        is_text_due = not isinstance(value, str) and any(isinstance(choice, str) for choice in self.choices)
        hint = "; quote words such as on and no, which YAML reads as true and false" if is_text_due else ""
        raise SpecError(
            key, f"{value!r} is not one of the choices{hint}", value=value, allowed=map(repr, self.choices)
        )

    @property
    def is_numeric(self) -> bool:
        return all(map(is_number, self.choices))

    @property
    def is_whole(self) -> bool:
        return self.is_numeric and all(_is_whole(choice) for choice in self.choices)  # type: ignore[arg-type]

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
        if not is_number(number) or not is_finite(number):
            raise SpecError(name, f"{number!r} is not a finite number", value=number)
        if isinstance(parameter, Int) and not _is_whole(number):
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


def numeric(parameter: Parameter) -> Parameter:
    """Return a parameter whose choices are numbers where their texts stand for some."""
    if not isinstance(parameter, Choice):
        return parameter
    read: list[Any] = [as_number(choice) for choice in (*parameter.choices, parameter.default)]
    if any(isinstance(value, float) and not math.isfinite(value) for value in read):
        return parameter
    return replace(parameter, choices=tuple(read[:-1]), default=read[-1])


def _number(value: object, key: str) -> int | float:
    """Return a number as one of Python's own; those of other libraries count too."""
    if isinstance(value, bool) or not isinstance(value, Real) or not is_finite(value):  # type: ignore[arg-type]
        raise SpecError(
            key,
            f"{value!r} is not a finite number" if is_number(value) else f"{value!r} is not a number",
            value=value,
        )
    return int(value) if isinstance(value, Integral) else float(value)


def _whole_number(value: object, key: str) -> int:
    number = _number(value, key)
    if not _is_whole(number):
        raise SpecError(key, f"{value!r} is not a whole number", value=value)
    return int(number)


def _is_whole(number: int | float) -> bool:
    return isinstance(number, int) or number.is_integer()


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
