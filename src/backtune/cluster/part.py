"""What every part of a cluster file is: strict to the last key. And what is wrong with one, in our words."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel, to_pascal
from pydantic_core import ErrorDetails

from backtune.errors import SpecError

_STRICT: ConfigDict = {"frozen": True, "extra": "forbid", "strict": True, "allow_inf_nan": False}
_PROBLEMS = {
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "too_short": "must not be empty",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
}

P = TypeVar("P", bound=BaseModel)

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Port = Annotated[int, Field(ge=1, le=65535)]


class SnakePart(BaseModel):
    """Keys as_in_python: Ray's own."""

    model_config = _STRICT


class CamelPart(BaseModel):
    """Keys asInJava: those of Kubernetes and of Google Cloud."""

    model_config = {**_STRICT, "alias_generator": to_camel}


class PascalPart(BaseModel):
    """Keys AsInPascal: those of AWS."""

    model_config = {**_STRICT, "alias_generator": to_pascal}


class KebabPart(BaseModel):
    """Keys as-options: those of ``ray start``."""

    model_config = {**_STRICT, "alias_generator": lambda name: name.replace("_", "-")}


def read(part: type[P], document: object) -> P:
    """A document as the part that it must be.

    Raises:
        SpecError: it is not; says where, with which value, and what is allowed.
    """
    try:
        return part.model_validate(document)
    except ValidationError as error:
        raise _in_our_words(error, part) from None


def dotted(location: tuple[Any, ...]) -> str:
    """``spec.containers[0].image``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "file"


def _in_our_words(error: ValidationError, part: type[BaseModel]) -> SpecError:
    problems = error.errors(include_url=False)
    # A misspelt key is also a missing one; the spelling is the news.
    first = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    location = first["loc"]
    if first["type"] == "extra_forbidden":
        return SpecError(
            dotted(location), "unknown key", value=location[-1], allowed=_keys(part, location[:-1])
        )
    if location and location[-1] == "[key]":
        allowed = get_args(get_args(_annotation(part, location[:-2]))[0])
        return SpecError(dotted(location[:-1]), "unknown key", value=location[-2], allowed=allowed)
    if first["type"] == "literal_error":
        allowed = tuple(str(choice) for choice in get_args(_annotation(part, location)))
        return SpecError(
            dotted(location), f"{first['input']!r} is not known", value=first["input"], allowed=allowed
        )
    return SpecError(dotted(location), _problem(first), value=first["input"])


def _problem(first: ErrorDetails) -> str:
    if first["type"] == "missing":
        return "is missing"
    message = _PROBLEMS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    return f"{message.replace('Input should be', 'must be')} (given: {first['input']!r})"


def _keys(part: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    found = _annotation(part, location)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return [field.alias or name for name, field in found.model_fields.items()]
    return []


def _annotation(annotation: Any, location: tuple[Any, ...]) -> Any:
    """The type of what stands at a place."""
    annotation = _bare(annotation)
    if not location:
        return annotation
    first, rest = location[0], location[1:]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        return _annotation(fields[first], rest)
    # A list has the type of its items, a mapping those of its keys and values.
    return _annotation(get_args(annotation)[-1], rest)


def _bare(annotation: Any) -> Any:
    """Without what pydantic is told beside the type, and without None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (UnionType, Union):
        (annotation,) = (one for one in get_args(annotation) if one is not NoneType)
        return _bare(annotation)
    return annotation
