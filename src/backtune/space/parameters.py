"""The parameters of a strategy: the values that each may take, and the condition under which it matters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from backtune.errors import SearchError, SpecError
from backtune.space.numbers import is_finite, is_number, parse_number
from backtune.space.scale import Scale

if TYPE_CHECKING:
    import numpy as np

Value = int | float | str | bool
Params = dict[str, Value]
# The values of other parameters at which a parameter matters, by their names; kept as tuples.
When = Mapping[str, Any]


def _no_condition() -> When:
    return {}


class Parameter(ABC):
    """The values that a parameter of a strategy may take.

    Attributes:
        default: The value that holds where none is given; None for the middle of a range, or the first choice.
        when: The values of other parameters at which this one matters, by their names.
    """

    default: Value | None
    when: When

    @property
    @abstractmethod
    def scale(self) -> Scale | None:
        """The numbers of a range and their arithmetic; None for a choice."""

    @property
    @abstractmethod
    def is_numeric(self) -> bool:
        """True if all values are numbers."""

    @property
    @abstractmethod
    def is_whole(self) -> bool:
        """True if all values are whole numbers."""

    @property
    @abstractmethod
    def value_types(self) -> frozenset[type]:
        """The types of the values: int, float, bool or str; several where choices are mixed."""

    @property
    @abstractmethod
    def is_continuous(self) -> bool:
        """True if the values cannot be counted."""

    @property
    @abstractmethod
    def n_levels(self) -> int:
        """The number of values; of a continuous range that of the levels that a grid search visits."""

    @abstractmethod
    def __contains__(self, value: object) -> bool: ...

    @abstractmethod
    def level(self, index: int) -> Value:
        """Return the level with an index, counted from the lowest value or the first choice."""

    def levels(self) -> tuple[Value, ...]:
        """Return all levels."""
        return tuple(map(self.level, range(self.n_levels)))

    @abstractmethod
    def ends(self) -> tuple[Value, ...]:
        """Return the lowest and the highest value of a range, or all choices."""

    @abstractmethod
    def default_value(self) -> Value:
        """Return the default: where none is set, the middle of a range, or the first choice."""

    @abstractmethod
    def read(self, value: object, *, key: str) -> Value:
        """Return a given value as one of this parameter's type; it may lie outside of a range, which bounds a search only.

        Whole numbers written as 10.0, as tables do, are read as 10.

        Raises:
            SpecError: The value is of another type, or none of the choices.
        """

    @abstractmethod
    def nearest(self, value: Value) -> Value:
        """Return the value that is nearest to a number; for what is no number or no choice the lowest value or the default."""

    @abstractmethod
    def draw(self, random: np.random.Generator) -> Value:
        """Return a random value, uniform on the scale or among the choices."""

    @abstractmethod
    def axis(self, levels_as_real: float) -> Parameter:
        """Return the parameter that a search backend sees in place of this one: codes instead of levels and choices.

        Args:
            levels_as_real: The number of levels from which on a range with steps is searched as a continuous one.
        """

    @abstractmethod
    def encode(self, value: object, *, key: str) -> int | float:
        """Return the code of a value on the axis.

        Raises:
            SearchError: The value is none of this parameter's.
        """

    @abstractmethod
    def decode(self, code: Value) -> Value:
        """Return the value that a code on the axis stands for; a code beyond the axis stands for the value at its end."""

    def under_condition(self, when: When) -> Parameter:
        """Return this parameter with another condition."""
        return replace(self, when=when)  # type: ignore[type-var]

    @abstractmethod
    def convert_choices(self, convert: Callable[[Value], Value]) -> Parameter:
        """Return this parameter with each of its choices converted; a range has none and stays as it is."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the mapping that :func:`~backtune.space.reading.parse_parameter` reads back."""


class _Range(Parameter):
    """A parameter whose values are the numbers of a scale."""

    low: float
    high: float
    log: bool
    step: float | None

    is_numeric = True

    def __post_init__(self) -> None:
        _check_range(self)
        _read_condition(self)

    def __contains__(self, value: object) -> bool:
        if not is_number(value) or (self.is_whole and not _is_whole(value)):  # type: ignore[arg-type]
            return False
        return self.low <= value <= self.high  # type: ignore[operator]

    @cached_property
    def scale(self) -> Scale:
        return Scale(self.low, self.high, self.step, self.log, is_whole=self.is_whole)

    @property
    def value_types(self) -> frozenset[type]:
        return frozenset({int if self.is_whole else float})

    @property
    def is_continuous(self) -> bool:
        return self.scale.is_continuous

    @property
    def n_levels(self) -> int:
        return self.scale.n_levels

    def level(self, index: int) -> Value:
        return self.scale.level(index)

    def ends(self) -> tuple[Value, ...]:
        return self.low, self.high

    def default_value(self) -> Value:
        return self.scale.middle() if self.default is None else self.default

    def read(self, value: object, *, key: str) -> Value:
        return _read_number(value, key, is_whole=self.is_whole)

    def nearest(self, value: Value) -> Value:
        if isinstance(value, str | bool) or not is_finite(value):
            return self.level(0)
        return self.scale.nearest(value)

    def draw(self, random: np.random.Generator) -> Value:
        return self.scale.draw(random)

    def axis(self, levels_as_real: float) -> Parameter:
        axis = self.scale.axis(levels_as_real)
        if axis.is_whole:
            return Int(int(axis.low), int(axis.high), log=axis.is_log)
        return Float(axis.low, axis.high, log=axis.is_log)

    def encode(self, value: object, *, key: str) -> int | float:
        return self.scale.encode(value, key=key)

    def decode(self, code: Value) -> Value:
        return self.scale.decode(float(code))

    def convert_choices(self, convert: Callable[[Value], Value]) -> Parameter:
        del convert
        return self

    def to_json(self) -> dict[str, Any]:
        return {
            "type": "int" if self.is_whole else "float",
            "low": self.low,
            "high": self.high,
            "step": self.step,
            "log": self.log,
            "default": self.default,
            **_condition_to_json(self.when),
        }


@dataclass(frozen=True)
class Float(_Range):
    """A real number in [low, high], both included; in steps from ``low`` where ``step`` is given."""

    low: float
    high: float
    default: float | None = None
    log: bool = False
    step: float | None = None
    when: When = field(default_factory=_no_condition, hash=False)

    is_whole = False


@dataclass(frozen=True)
class Int(_Range):
    """A whole number in [low, high], both included, in steps of ``step`` from ``low``."""

    low: int
    high: int
    default: int | None = None
    log: bool = False
    step: int = 1
    when: When = field(default_factory=_no_condition, hash=False)

    is_whole = True


@dataclass(frozen=True)
class Choice(Parameter):
    """One of the listed values; a list of one fixes the parameter."""

    choices: tuple[Value, ...]
    default: Value | None = None
    when: When = field(default_factory=_no_condition, hash=False)

    scale = None
    is_continuous = False

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

    @property
    def is_numeric(self) -> bool:
        return all(map(is_number, self.choices))

    @property
    def is_whole(self) -> bool:
        return self.is_numeric and all(_is_whole(choice) for choice in self.choices)  # type: ignore[arg-type]

    @property
    def value_types(self) -> frozenset[type]:
        return frozenset(map(type, self.choices))

    @property
    def n_levels(self) -> int:
        return len(self.choices)

    def __contains__(self, value: object) -> bool:
        return value in self.choices

    def level(self, index: int) -> Value:
        return self.choices[index]

    def ends(self) -> tuple[Value, ...]:
        return self.choices

    def default_value(self) -> Value:
        return self.choices[0] if self.default is None else self.default

    def read(self, value: object, *, key: str) -> Value:
        """Return the choice that a value is; 1 is 1.0, and neither is True.

        Where all choices are numbers, another number is one outside the range, as for :class:`Float` and :class:`Int`.
        """
        for choice in self.choices if isinstance(value, str | Real) else ():
            if value == choice and isinstance(value, bool) == isinstance(choice, bool):
                return choice
        if self.is_numeric:
            return _read_number(value, key, is_whole=self.is_whole)
        is_text_due = not isinstance(value, str) and any(isinstance(choice, str) for choice in self.choices)
        hint = "; quote words such as on and no, which YAML reads as true and false" if is_text_due else ""
        raise SpecError(
            key, f"{value!r} is not one of the choices{hint}", value=value, allowed=map(repr, self.choices)
        )

    def nearest(self, value: Value) -> Value:
        return self.default_value() if self._index_of(value) is None else value

    def draw(self, random: np.random.Generator) -> Value:
        return self.choices[int(random.integers(len(self.choices)))]

    def axis(self, levels_as_real: float) -> Parameter:
        del levels_as_real
        return Choice(tuple(range(len(self.choices))))

    def encode(self, value: object, *, key: str) -> int | float:
        index = self._index_of(value)
        if index is None:
            raise SearchError(f"{key}: {value!r} is not one of the choices {list(self.choices)}")
        return index

    def decode(self, code: Value) -> Value:
        return self.choices[int(code)]

    def convert_choices(self, convert: Callable[[Value], Value]) -> Parameter:
        default = None if self.default is None else convert(self.default)
        return replace(self, choices=tuple(map(convert, self.choices)), default=default)

    def to_json(self) -> dict[str, Any]:
        return {
            "type": "choice",
            "choices": list(self.choices),
            "default": self.default,
            **_condition_to_json(self.when),
        }

    def _index_of(self, value: object) -> int | None:
        """Return the place of a value among the choices, where 1, 1.0 and True are different values."""
        for index, choice in enumerate(self.choices):
            if type(choice) is type(value) and choice == value:
                return index
        return None


def read_numeric_choices(parameter: Parameter) -> Parameter:
    """Return a parameter with numbers for the choices that are finite numbers written as text."""

    def convert(value: Value) -> Value:
        number = parse_number(value)
        return number if is_number(number) and is_finite(number) else value

    return parameter.convert_choices(convert)


def _condition_to_json(when: When) -> dict[str, Any]:
    return {"when": {name: list(values) for name, values in when.items()}} if when else {}


def _check_range(parameter: _Range) -> None:
    numbers: dict[str, Any] = {"low": parameter.low, "high": parameter.high}
    if parameter.step is not None:
        numbers["step"] = parameter.step
    if parameter.default is not None:
        numbers["default"] = parameter.default
    for name, number in numbers.items():
        if not is_number(number) or not is_finite(number):
            raise SpecError(name, f"{number!r} is not a finite number", value=number)
        if parameter.is_whole:
            if not _is_whole(number):
                raise SpecError(name, f"{number!r} is not a whole number", value=number)
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


def _read_number(value: object, key: str, *, is_whole: bool) -> int | float:
    """Return a number as one of Python's own; those of other libraries count too."""
    if isinstance(value, bool) or not isinstance(value, Real) or not is_finite(value):  # type: ignore[arg-type]
        kind = "a finite number" if is_number(value) else "a number"
        raise SpecError(key, f"{value!r} is not {kind}", value=value)
    number = int(value) if isinstance(value, Integral) else float(value)
    if not is_whole:
        return number
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
