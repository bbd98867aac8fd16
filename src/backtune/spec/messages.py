"""The messages of pydantic's validation errors, in backtune's words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from backtune.errors import SpecError

_MESSAGES: Final = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}


def to_spec_error(
    error: ValidationError, model: type[BaseModel], key: str = "", *, has_secrets: bool = False
) -> SpecError:
    """Return the first problem that pydantic found, with the key, the value and what is allowed.

    Args:
        error: The error of pydantic.
        model: The model that was validated.
        key: The dotted path at which the validated value stands.
        has_secrets: True if a value may be a secret, so that the message must not show it.
    """
    first = _first_problem(error)
    location = [part for part in first["loc"] if part not in ("str", "StrategyFile")]
    place = ".".join(str(part) for part in (key, *location) if part != "") or "spec"
    problem = describe_problem(first)
    if first["type"] == "extra_forbidden":
        allowed = _fields_at(model, location[:-1])
        return SpecError(place, problem, value=location[-1], allowed=allowed)
    if first["type"] == "missing":
        return SpecError(place, problem)
    value = None if has_secrets else first["input"]
    if first["type"] == "literal_error":
        problem = "is not known" if has_secrets else f"{value!r} is not known"
        # The choice may be one item of a list of choices.
        *above, name = [part for part in location if not isinstance(part, int)]
        choices = _find_choices(_fields_at(model, above)[str(name)].annotation)
        return SpecError(place, problem, value=value, allowed=map(str, choices))
    if not has_secrets:
        problem = f"{problem} (given: {value!r})"
    return SpecError(place, problem, value=value, is_text_due=first["type"] in ("string_type", "strategy"))


def describe_problem(problem: ErrorDetails) -> str:
    """Return a problem that pydantic found in backtune's words, without the key and the value."""
    message = _MESSAGES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    return re.sub(r"^[A-Z]\w+ should\b", "must", message)


def _first_problem(error: ValidationError) -> ErrorDetails:
    """Return the first problem.

    pydantic lists a union as one problem per member: a mapping was meant as a strategy file, all else as a name.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    if first["loc"][:2] == ("grid", "strategies") and first["loc"][-1] == "str":
        if isinstance(first["input"], Mapping):
            return problems[1]
        first["type"], first["msg"] = "strategy", "must be a name or {file: my.py, class: MyStrategy}"
    return first


def _fields_at(model: type[BaseModel], location: Sequence[object]) -> dict[str, FieldInfo]:
    """Return the fields of the model at a location by the keys that a document has for them."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for i, part in enumerate(location):
        field = fields.get(str(part))
        section = None if field is None else _find_model(field.annotation)
        if section is not None:
            return _fields_at(section, location[i + 1 :])
    return fields


def _find_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as ``tuple[str | StrategyFile, ...]`` or ``Compute | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_find_model, get_args(annotation))), None)


def _find_choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(filter(None, map(_find_choices, get_args(annotation))), ())
