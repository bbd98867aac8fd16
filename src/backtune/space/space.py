"""What a strategy, or a study, searches: named parameters, and the rules between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from backtune.errors import SpecError
from backtune.space.parameters import (
    Choice,
    Float,
    Int,
    Parameter,
    Params,
    Value,
    n_steps,
    numeric,
    parameter_to_json,
)
from backtune.space.rules import Rule

RULES = "rules"


class Space(Mapping[str, Parameter]):
    """Named parameters, in a fixed order, and rules between them. Immutable.

    A parameter with a condition, as in ``trail=Float(0.01, 0.1, when={"exit": "trailing"})``, matters only where the
    parameter ``exit``, named before it, has that value or one of those values. Elsewhere it is inactive: candidates
    leave it out, and its default applies.

    Args:
        parameters: by name; of another space with its rules.
        rules: that each candidate keeps, such as ``"fast_period < slow_period"``: ``<``, ``<=``, ``>`` or ``>=``
            between two numbers, each a parameter, a number times one (``2 * fast_period``), or either plus or minus
            a number (``fast_period + 5``). A rule about an inactive parameter holds.

    Raises:
        SpecError: a rule or a condition cannot be read, or names what is not there.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter] | None = None,
        /,
        *,
        rules: Iterable[str] = (),
        **named: Parameter,
    ) -> None:
        self._parameters: dict[str, Parameter] = {**(parameters or {}), **named}
        given = parameters.rules if isinstance(parameters, Space) else ()
        self._rules = tuple(dict.fromkeys((*given, *(Rule.parse(text, key=RULES) for text in rules))))
        _check_conditions(self._parameters)
        for rule in self._rules:
            rule.check(self._parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        rules = f", rules={[str(rule) for rule in self._rules]}" if self._rules else ""
        return f"Space({self._parameters!r}{rules})"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What each candidate keeps."""
        return self._rules

    def active(self, params: Params) -> Params:
        """``params`` without the parameters that do not matter beside the others."""
        kept: Params = {}
        for name, parameter in self.items():
            if name in params and all(
                other in kept and _is_among(kept[other], values) for other, values in parameter.when.items()
            ):
                kept[name] = params[name]
        return kept

    def broken_rule(self, params: Params) -> Rule | None:
        """The first rule that a candidate breaks; None where it keeps all."""
        return next((rule for rule in self._rules if not rule.holds(params)), None)

    def defaults(self) -> Params:
        """The default of every parameter; the middle of the range, or the first choice, where none is set."""
        return {name: _default(parameter) for name, parameter in self.items()}

    def override(self, changes: Mapping[str, Parameter], *, key: str = "space") -> Space:
        """The same parameters with some ranges replaced; conditions stay where the changes have none.

        A parameter that can no longer matter is left out, and the rules about it with it.

        Raises:
            SpecError: a name is not a parameter of this space, or a value would be of another type: a fraction for a whole
                number, a text for a number, or none of a choice's.
        """
        for name in changes:
            if name not in self:
                raise SpecError(
                    f"{key}.{name}", "is not a parameter of the strategy", value=name, allowed=self
                )
        typed = {name: _typed(change, self[name], f"{key}.{name}") for name, change in changes.items()}
        kept = {name: _conditioned(typed.get(name, old), old) for name, old in self.items()}
        left = _that_can_matter(kept)
        return _built(left, (str(rule) for rule in self._rules if left.keys() >= set(rule.names)), key)

    def with_rules(self, rules: Iterable[str], *, key: str) -> Space:
        """The same parameters under more rules.

        Raises:
            SpecError: a rule cannot be read, names what is not there, or can never hold.
        """
        return _built(self._parameters, (*(str(rule) for rule in self._rules), *rules), key)

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
        return _built({**self._parameters, **more}, (str(rule) for rule in self._rules), key)

    def complete(self, params: Mapping[str, Any], *, key: str = "params") -> Params:
        """``params`` with defaults for those left out; values may lie outside the ranges, which bound a search only.

        A whole number written as 10.0, as tables do, is read as 10.

        Raises:
            SpecError: a name is not a parameter of this space, or a value is not of its type: no whole number, no number, or
                none of the choices.
        """
        for name in params:
            if name not in self:
                raise SpecError(
                    f"{key}.{name}", "is not a parameter of the strategy", value=name, allowed=self
                )
        given = {name: self[name].read(value, key=f"{key}.{name}") for name, value in params.items()}
        return {**self.defaults(), **given}

    def to_json(self) -> dict[str, Any]:
        """A plain mapping that ``parse_space`` reads back."""
        rules = {RULES: [str(rule) for rule in self._rules]} if self._rules else {}
        return {**{name: parameter_to_json(parameter) for name, parameter in self.items()}, **rules}


def _default(parameter: Parameter) -> Value:
    if parameter.default is not None:
        return parameter.default
    if isinstance(parameter, Choice):
        return parameter.choices[0]
    if parameter.step is not None:
        middle = (n_steps(parameter.low, parameter.high, parameter.step) - 1) // 2
        return parameter.low + middle * parameter.step if isinstance(parameter, Int) else parameter.at(middle)
    if parameter.log:
        return math.sqrt(parameter.low * parameter.high)
    return (parameter.low + parameter.high) / 2


def _typed(change: Parameter, own: Parameter, key: str) -> Parameter:
    """Return a change with values of the type that the strategy's own parameter has."""
    if isinstance(own, Choice) and not own.is_numeric:
        for value in change.grid() or change.ends():
            own.read(value, key=key)
        return change
    change = numeric(change)
    takes_whole = isinstance(own, Int) or (isinstance(own, Choice) and own.is_whole)
    if takes_whole and isinstance(change, Float):
        raise SpecError(key, f"takes whole numbers: use type int, not {change}", value=change)
    if not isinstance(change, Choice):
        return change
    try:
        choices = tuple(own.read(choice, key=key) for choice in change.choices)
        default = None if change.default is None else own.read(change.default, key=key)
    except SpecError as error:
        due = "whole numbers" if takes_whole else "numbers"
        raise SpecError(key, f"takes {due}: {error.problem}", value=error.value) from None
    return replace(change, choices=choices, default=default)


def _built(parameters: Mapping[str, Parameter], rules: Iterable[str], key: str) -> Space:
    """A space; what is wrong with it is said of ``key``."""
    try:
        return Space(dict(parameters), rules=rules)
    except SpecError as error:
        raise SpecError(f"{key}.{error.key}", str(error).split(": ", 1)[1], value=error.value) from None


def _conditioned(parameter: Parameter, before: Parameter) -> Parameter:
    return parameter if parameter.when else replace(parameter, when=before.when)


def _that_can_matter(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    kept: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        if all(
            other in kept and any(_takes(kept[other], value) for value in values)
            for other, values in parameter.when.items()
        ):
            kept[name] = parameter
    return kept


def _check_conditions(parameters: Mapping[str, Parameter]) -> None:
    before: list[str] = []
    for name, parameter in parameters.items():
        if name == RULES:
            raise SpecError(
                RULES, "is no name for a parameter: it stands for the rules between them", value=name
            )
        for other, values in parameter.when.items():
            _check_condition(f"{name}.when.{other}", other, values, {k: parameters[k] for k in before})
        before.append(name)


def _check_condition(
    key: str, other: str, values: tuple[Value, ...], before: Mapping[str, Parameter]
) -> None:
    if other not in before:
        raise SpecError(key, f"{other!r} is not a parameter named before it", value=other, allowed=before)
    if isinstance(before[other], Float):
        raise SpecError(key, f"{other!r} is a real number; a condition needs an int or a choice", value=other)
    if not any(_takes(before[other], value) for value in values):
        raise SpecError(
            key, f"{list(values)!r} is not among the values of {other!r}", value=values,
            allowed=[repr(value) for value in before[other].ends()],
        )  # fmt: skip


def _takes(parameter: Parameter, value: Value) -> bool:
    return _is_among(value, parameter.choices) if isinstance(parameter, Choice) else value in parameter


def _is_among(value: Value, values: Iterable[Value]) -> bool:
    """Whether a value is one of several; 1 is 1.0, and neither is True."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)
