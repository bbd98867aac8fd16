"""What pydantic found wrong, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from backtune.errors import SpecError
from backtune.spec.sections import StrategyFile

_PROBLEMS = {
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


def spec_error(error: ValidationError, model: type[BaseModel], key: str = "") -> SpecError:
    """The first problem that pydantic found, in our words and with the way out.

    Args:
        model: what was validated.
        key: where it stands in the spec.
    """
    first = _first_problem(error)
    location = [part for part in first["loc"] if part not in ("str", "StrategyFile")]
    key = ".".join(str(part) for part in (key, *location) if part != "") or "spec"
    if first["type"] == "extra_forbidden":
        return SpecError(key, "unknown key", value=location[-1], allowed=_keys_at(model, location[:-1]))
    if first["type"] == "missing":
        return SpecError(key, "is missing")
    if first["type"] == "literal_error":
        allowed = [str(choice) for choice in _literal_at(model, location)]
        return SpecError(key, f"{first['input']!r} is not known", value=first["input"], allowed=allowed)
    message = _PROBLEMS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "must be")
    return SpecError(
        key, f"{message} (given: {first['input']!r})", value=first["input"],
        text_due=first["type"] in ("string_type", "strategy"),
    )  # fmt: skip


def _first_problem(error: ValidationError) -> ErrorDetails:
    """pydantic lists a union as one problem per member: a mapping was meant as a strategy file, all else as a name."""
    problems = error.errors(include_url=False)
    first = problems[0]
    if first["loc"][:2] == ("grid", "strategies") and first["loc"][-1] == "str":
        if isinstance(first["input"], Mapping):
            return problems[1]
        first["type"], first["msg"] = "strategy", "must be a name or {file: my.py, class: MyStrategy}"
    return first


def _model_at(model: type[BaseModel], location: list[Any]) -> type[BaseModel]:
    for part in location:
        section = _section(model.model_fields[part].annotation) if part in model.model_fields else None
        if section is not None:
            model = section
        elif isinstance(part, int):
            model = StrategyFile
    return model


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, also where it may be left null."""
    if get_origin(annotation) is UnionType:
        annotation = next((one for one in get_args(annotation) if one is not NoneType), None)
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_section else None


def _keys_at(model: type[BaseModel], location: list[Any]) -> list[str]:
    return [field.alias or name for name, field in _model_at(model, location).model_fields.items()]


def _literal_at(model: type[BaseModel], location: list[Any]) -> tuple[Any, ...]:
    annotation = _model_at(model, location[:-1]).model_fields[location[-1]].annotation
    return get_args(annotation)
