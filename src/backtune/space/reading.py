"""Parameters and spaces in plain data, as a spec and the folder of a sweep hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from backtune.errors import SpecError
from backtune.space.numbers import parse_number
from backtune.space.parameters import Choice, Float, Int, Parameter
from backtune.space.space import RULES, Space

_NUMBERS = ("low", "high", "step")


def parse_space(definitions: Mapping[str, Any], *, key: str) -> Space:
    """Read a space from plain data: a range for each name, and rules as a list of texts under ``rules``.

    Raises:
        SpecError: The space cannot be read; the message names the key and what is allowed.
    """
    parameters = {
        str(name): parse_parameter(definition, key=f"{key}.{name}")
        for name, definition in definitions.items()
        if name != RULES
    }
    return Space(parameters).with_rules(parse_rules(definitions, key=key), key=key)


def parse_rules(definitions: Mapping[str, Any], *, key: str) -> tuple[str, ...]:
    """Return the texts under ``rules``, which are read where the parameters are known.

    Raises:
        SpecError: The rules are not a list of texts.
    """
    rules = definitions.get(RULES, ())
    if not isinstance(rules, list | tuple) or not all(isinstance(rule, str) for rule in rules):
        problem = f"{rules!r} is not a list of rules such as ['fast_period < slow_period']"
        raise SpecError(f"{key}.{RULES}", problem, value=rules)
    return tuple(rules)


def parse_parameter(definition: object, *, key: str) -> Parameter:
    """Read one parameter from a spec.

    Accepted: ``{type: int|float, low, high, step, log, default}``, ``{type: int|float, range: [low, high]}``,
    ``{type: choice, choices: [...]}``, each with ``when: {other: value}`` where it matters only then, or a bare value,
    which fixes the parameter.

    Raises:
        SpecError: The parameter cannot be read; the message names the key and what is allowed.
    """
    if not isinstance(definition, Mapping):
        if isinstance(definition, int | float | str | bool):
            definition = {"type": "choice", "choices": [definition]}
        else:
            raise SpecError(key, f"{definition!r} is not a range", value=definition)
    fields = {name: value for name, value in definition.items() if value is not None}
    kind = str(fields.pop("type", "choice" if "choices" in definition else "float"))
    kind = {"integer": "int", "categorical": "choice"}.get(kind, kind)
    if kind not in _KINDS:
        raise SpecError(f"{key}.type", f"unknown type {kind!r}", value=kind, allowed=_KINDS)
    build, allowed = _KINDS[kind]
    for name in fields:
        if name not in allowed:
            shown = [name for name in ("type", *allowed) if name != "range"]
            raise SpecError(f"{key}.{name}", "unknown key", value=name, allowed=shown)
    try:
        return build(fields)
    except SpecError as error:
        raise error.prefix_key(key) from None


def read_numeric_bounds(definition: object) -> object:
    """Return a definition that :func:`parse_parameter` takes, with numbers for the texts that stand for bounds."""
    if not isinstance(definition, Mapping):
        return definition
    plain = {name: parse_number(value) if name in _NUMBERS else value for name, value in definition.items()}
    bounds = plain.get("range")
    return (
        {**plain, "range": [parse_number(bound) for bound in bounds]}
        if isinstance(bounds, list | tuple)
        else plain
    )


def _build_range(parameter: type[Float | Int], fields: dict[str, Any]) -> Parameter:
    if "range" in fields:
        bounds = fields.pop("range")
        if not isinstance(bounds, list | tuple) or len(bounds) != 2:
            raise SpecError("range", f"{bounds!r} is not a pair [min, max]", value=bounds)
        fields["low"], fields["high"] = bounds
    for bound in ("low", "high"):
        if bound not in fields:
            raise SpecError(bound, "is missing")
    numbers = (*_NUMBERS, "default")
    return parameter(
        **{name: parse_number(fields[name]) if name in numbers else fields[name] for name in fields}
    )


def _build_choice(fields: dict[str, Any]) -> Parameter:
    choices = fields.get("choices")
    if not isinstance(choices, list | tuple):
        raise SpecError("choices", f"{choices!r} is not a list", value=choices)
    return Choice(**{**fields, "choices": tuple(choices)})


_RANGE_KEYS = ("low", "high", "default", "log", "step", "when", "range")
# The types of a parameter: what builds it, and the keys that its definition may have.
_KINDS: dict[str, tuple[Callable[[dict[str, Any]], Parameter], tuple[str, ...]]] = {
    "float": (partial(_build_range, Float), _RANGE_KEYS),
    "int": (partial(_build_range, Int), _RANGE_KEYS),
    "choice": (_build_choice, ("choices", "default", "when")),
}
