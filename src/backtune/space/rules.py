"""A rule between two parameters of a space, such as ``fast_period < slow_period``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backtune.errors import SpecError
from backtune.space.numbers import NUMBER, is_number
from backtune.space.parameters import Parameter, Params

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIDE = re.compile(rf"\s*(?:({NUMBER})\s*\*\s*)?([A-Za-z_]\w*)(?:\s*([-+])\s*({NUMBER}))?\s*")


@dataclass(frozen=True)
class Side:
    """One side of a rule, ``factor * name + offset``."""

    name: str
    factor: float = 1.0
    offset: float = 0.0

    @classmethod
    def of_match(cls, match: re.Match[str]) -> Side:
        """Read the groups of a match: factor, name, sign and offset."""
        factor, name, sign, offset = match.groups()
        return cls(name, float(factor or 1), float(f"{sign or ''}{offset or 0}"))

    def evaluate(self, number: float) -> float:
        return self.factor * number + self.offset

    def __str__(self) -> str:
        factor = "" if self.factor == 1.0 else f"{_plain(self.factor)} * "
        offset = (
            "" if self.offset == 0.0 else f" {'-' if self.offset < 0 else '+'} {_plain(abs(self.offset))}"
        )
        return f"{factor}{self.name}{offset}"


@dataclass(frozen=True)
class Rule:
    """The comparison of two sides; it is written the same way whatever its spaces were."""

    left: Side
    comparison: str
    right: Side

    @classmethod
    def parse(cls, text: object, *, key: str) -> Rule:
        """Read a rule.

        Raises:
            SpecError: The text is not a rule, or compares a parameter with itself.
        """
        parts = re.split(r"(<=|>=|<|>)", text) if isinstance(text, str) else []
        sides = [_SIDE.fullmatch(part) for part in parts[::2]]
        if len(parts) != 3 or sides[0] is None or sides[1] is None:
            problem = f"{text!r} is not a rule; write 'fast < slow', 'slow >= 2 * fast' or 'fast + 5 <= slow'"
            raise SpecError(key, problem, value=text)
        left, right = (Side.of_match(match) for match in sides if match is not None)
        if left.name == right.name:
            raise SpecError(key, f"{text!r} compares {left.name!r} with itself; narrow its range", value=text)
        return cls(left, parts[1], right)

    @property
    def names(self) -> tuple[str, str]:
        """The names of the two parameters."""
        return self.left.name, self.right.name

    def holds(self, params: Params) -> bool:
        """Return whether a candidate keeps the rule; one without either parameter does."""
        if self.left.name not in params or self.right.name not in params:
            return True
        left, right = (
            self.left.evaluate(float(params[self.left.name])),
            self.right.evaluate(float(params[self.right.name])),
        )
        return _COMPARE[self.comparison](left, right)

    def check(self, parameters: Mapping[str, Parameter]) -> None:
        """Refuse a rule that makes no sense for these parameters.

        Raises:
            SpecError: The rule names a parameter that is not there or is no number, or holds for no values of the ranges.
        """
        for name in self.names:
            if name not in parameters:
                problem = f"'{self}': {name!r} is not a parameter"
                raise SpecError("rules", problem, value=name, allowed=parameters)
            if not all(is_number(end) for end in parameters[name].ends()):
                raise SpecError("rules", f"'{self}': {name!r} is not a number", value=name)
        if any(parameters[name].when for name in self.names):
            return
        left, right = ([float(end) for end in parameters[name].ends()] for name in self.names)
        if not any(self.holds({self.left.name: a, self.right.name: b}) for a in left for b in right):
            ranges = " and ".join(f"{name} is {_describe_range(parameters[name])}" for name in self.names)
            raise SpecError("rules", f"'{self}' can never hold: {ranges}", value=str(self))

    def __str__(self) -> str:
        return f"{self.left} {self.comparison} {self.right}"


def _plain(number: float) -> str:
    return repr(number).removesuffix(".0")


def _describe_range(parameter: Parameter) -> str:
    ends = parameter.ends()
    if parameter.scale is None and len(ends) > 1:
        return f"one of {list(ends)}"
    return str(ends[0]) if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}"
