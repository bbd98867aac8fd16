"""The space that a strategy or a study searches: named parameters, and the rules between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backtune.errors import SpecError
from backtune.space.parameters import (
    Parameter,
    Params,
    Value,
    read_numeric_choices,
)
from backtune.space.rules import Rule

RULES = "rules"


class Space(Mapping[str, Parameter]):
    """Named parameters, in a fixed order, and rules between them. Immutable.

    A parameter with a condition, as in ``trail=Float(0.01, 0.1, when={"exit": "trailing"})``, matters only where the
    parameter ``exit``, named before it, has that value or one of those values. Elsewhere it is inactive: candidates
    leave it out, and its default applies.

    Args:
        parameters: The parameters by name; another space gives its rules too.
        rules: The rules that each candidate keeps, such as ``"fast_period < slow_period"``: ``<``, ``<=``, ``>`` or ``>=``
            between two numbers, each a parameter, a number times one (``2 * fast_period``), or either plus or minus
            a number (``fast_period + 5``). A rule about an inactive parameter holds.

    Raises:
        SpecError: A rule or a condition cannot be read, or names a parameter that is not there.
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
        """The rules that each candidate keeps."""
        return self._rules

    def select_active(self, params: Params) -> Params:
        """Return ``params`` without the parameters that do not matter beside the others."""
        kept: Params = {}
        for name, parameter in self.items():
            if name in params and all(
                other in kept and _is_among(kept[other], values) for other, values in parameter.when.items()
            ):
                kept[name] = params[name]
        return kept

    def find_broken_rule(self, params: Params) -> Rule | None:
        """Return the first rule that a candidate breaks; None where it keeps all."""
        return next((rule for rule in self._rules if not rule.holds(params)), None)

    def defaults(self) -> Params:
        """Return the default of every parameter; the middle of the range, or the first choice, where none is set."""
        return {name: parameter.default_value() for name, parameter in self.items()}

    def override(self, changes: Mapping[str, Parameter], *, key: str = "space") -> Space:
        """Return the same parameters with some ranges replaced; conditions stay where the changes have none.

        A parameter that can no longer matter is left out, and the rules about it with it.

        Raises:
            SpecError: A name is not a parameter of this space, or a value would be of another type: a fraction for a whole
                number, a text for a number, or none of the choices.
        """
        for name in changes:
            if name not in self:
                raise SpecError(
                    f"{key}.{name}", "is not a parameter of the strategy", value=name, allowed=self
                )
        typed = {name: _match_type(change, self[name], f"{key}.{name}") for name, change in changes.items()}
        changed = {name: typed.get(name, old) for name, old in self.items()}
        kept = _select_usable(
            {name: new if new.when else new.under_condition(self[name].when) for name, new in changed.items()}
        )
        return _build_space(kept, (str(rule) for rule in self._rules if kept.keys() >= set(rule.names)), key)

    def with_rules(self, rules: Iterable[str], *, key: str) -> Space:
        """Return the same parameters with more rules.

        Raises:
            SpecError: A rule cannot be read, names a parameter that is not there, or can never hold.
        """
        return _build_space(self._parameters, (*(str(rule) for rule in self._rules), *rules), key)

    def extend(self, more: Mapping[str, Parameter], *, key: str) -> Space:
        """Return the space with more parameters after its own.

        Raises:
            SpecError: A name is there already.
        """
        for name in more:
            if name in self:
                raise SpecError(
                    f"{key}.{name}", "is a parameter of the strategy too; rename that one", value=name
                )
        return _build_space({**self._parameters, **more}, (str(rule) for rule in self._rules), key)

    def complete(self, params: Mapping[str, Any], *, key: str = "params") -> Params:
        """Return ``params`` with defaults for those left out; values may lie outside the ranges, which bound a search only.

        A whole number written as 10.0, as tables do, is read as 10.

        Raises:
            SpecError: A name is not a parameter of this space, or a value is not of its type: no whole number, no number, or
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
        """Return a plain mapping that ``parse_space`` reads back."""
        rules = {RULES: [str(rule) for rule in self._rules]} if self._rules else {}
        return {**{name: parameter.to_json() for name, parameter in self.items()}, **rules}


def _match_type(change: Parameter, own: Parameter, key: str) -> Parameter:
    """Return a change with values of the type that the strategy's own parameter has."""
    if not own.is_numeric:
        for value in (*change.ends(), *change.levels()):
            own.read(value, key=key)
        return change
    change = read_numeric_choices(change)
    if own.is_whole and change.scale is not None and not change.is_whole:
        raise SpecError(key, f"takes whole numbers: use type int, not {change}", value=change)
    try:
        return change.convert_choices(lambda choice: own.read(choice, key=key))
    except SpecError as error:
        due = "whole numbers" if own.is_whole else "numbers"
        raise SpecError(key, f"takes {due}: {error.problem}", value=error.value) from None


def _build_space(parameters: Mapping[str, Parameter], rules: Iterable[str], key: str) -> Space:
    """Return a space; its errors have ``key`` before theirs."""
    try:
        return Space(dict(parameters), rules=rules)
    except SpecError as error:
        raise error.prefix_key(key) from None


def _select_usable(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return the parameters whose conditions can hold."""
    kept: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        if all(
            other in kept and any(_has_value(kept[other], value) for value in values)
            for other, values in parameter.when.items()
        ):
            kept[name] = parameter
    return kept


def _check_conditions(parameters: Mapping[str, Parameter]) -> None:
    before: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        if name == RULES:
            raise SpecError(
                RULES, "is no name for a parameter: it stands for the rules between them", value=name
            )
        for other, values in parameter.when.items():
            _check_condition(f"{name}.when.{other}", other, values, before)
        before[name] = parameter


def _check_condition(
    key: str, other: str, values: tuple[Value, ...], before: Mapping[str, Parameter]
) -> None:
    if other not in before:
        raise SpecError(key, f"{other!r} is not a parameter named before it", value=other, allowed=before)
    parameter = before[other]
    if parameter.scale is not None and not parameter.is_whole:
        raise SpecError(key, f"{other!r} is a real number; a condition needs an int or a choice", value=other)
    if not any(_has_value(parameter, value) for value in values):
        raise SpecError(
            key,
            f"{list(values)!r} is not among the values of {other!r}",
            value=values,
            allowed=[repr(value) for value in parameter.ends()],
        )


def _has_value(parameter: Parameter, value: Value) -> bool:
    return value in parameter if parameter.scale is not None else _is_among(value, parameter.ends())


def _is_among(value: Value, values: Iterable[Value]) -> bool:
    """Return whether a value is one of several; 1 is 1.0, and neither is True."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)
