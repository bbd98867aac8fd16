"""The check of documents against JSON schemas, with errors that name the key, the value and the allowed values. The only door to
jsonschema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from backtune.errors import SpecError
from backtune.spec.documents import read_document

Schema = Mapping[str, Any]

_TYPES: Final = {
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_PROBLEMS: Final = {
    "minimum": "must be {} or more",
    "maximum": "must be {} or less",
    "exclusiveMinimum": "must be greater than {}",
    "pattern": "must match {}",
    "minLength": "must not be empty",
    "minItems": "must have {} items or more",
    "minProperties": "must not be empty",
    "maxItems": "must have {} items or fewer",
}
# A misspelt key is also a missing one, so unknown keys are told first. Alternatives of which none fits say least.
_RANKS: Final = {"additionalProperties": 0, "oneOf": 2, "anyOf": 2}


@cache
def load_rules(name: str) -> Schema:
    """Return this project's schemas for one kind of file, built from their tables in the folder ``rules``."""
    tables = read_document(Path(__file__).with_name("rules") / f"{name}.yaml").value
    return {"$defs": {name: build_schema(table) for name, table in tables.items()}}


def build_schema(table: Mapping[str, Schema]) -> Schema:
    """Return the JSON schema that a table of rules stands for.

    A row is a path and the schema of the value there. The names in a path stand between spaces: ``[]`` is every item of a
    list, ``*`` every value of a mapping, and a name that ends in ``?`` may be missing. An empty path is the whole document.
    """
    root: dict[str, Any] = {"type": "object"}
    for path, rule in table.items():
        schema = root
        for name in path.split():
            schema = _add_level(schema, name)
        schema.update(rule)
    return root


def _add_level(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Make a schema have a place for the values under a name, and return the schema of those."""
    schema["type"] = "array" if name == "[]" else "object"
    if name in ("[]", "*"):
        level: dict[str, Any] = schema.setdefault("items" if name == "[]" else "additionalProperties", {})
    else:
        key = name.removesuffix("?")
        if key == name and key not in schema.setdefault("required", []):
            schema["required"].append(key)
        level = schema.setdefault("properties", {}).setdefault(key, {})
    return level


def make_registry(schema: Schema) -> Registry[Any]:
    """Return a registry in which other schemas find this one by its ``$id``."""
    return Resource.from_contents(schema) @ Registry()


def check_schema(
    document: object, schema: Schema, definition: str | None = None, registry: Registry[Any] | None = None
) -> None:
    """Check that a document obeys a schema.

    Args:
        document: Plain values.
        schema: A JSON schema.
        definition: The name of one of the schema's ``$defs``, to which the document is held instead.
        registry: Other schemas to which the schema refers.

    Raises:
        SpecError: The document does not. Names the key, the value and what is allowed.
    """
    if definition is not None:
        schema = {"$defs": schema["$defs"], "$ref": f"#/$defs/{definition}"}
    validator = Draft202012Validator(schema, registry=registry or Registry())
    # jsonschema has no order of its own, so the key decides among errors of one rank.
    errors = sorted(
        validator.iter_errors(document),
        key=lambda error: (_RANKS.get(error.validator, 1), format_key(tuple(error.absolute_path))),
    )
    if errors:
        raise _spec_error(errors[0])


def format_key(path: tuple[str | int, ...]) -> str:
    """Return the path to a value as it is written in messages, such as ``spec.containers[0].image``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "file"


def _spec_error(error: ValidationError) -> SpecError:
    path, value, limit = tuple(error.absolute_path), error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(key for key in value if key not in known)
        return SpecError(format_key((*path, unknown)), "unknown key", value=unknown, allowed=known)
    if error.validator == "required":
        missing = next(key for key in limit if key not in value)
        return SpecError(format_key((*path, missing)), "is missing")
    if error.validator == "enum":
        return SpecError(format_key(path), f"{value!r} is not known", value=value, allowed=limit)
    if error.validator == "const":
        problem = f"must be {limit!r}" if isinstance(limit, str) else f"must be {str(limit).lower()}"
        if "reason" in error.schema:
            problem += f", as {error.schema['reason']}"
    elif error.validator == "type":
        types = [limit] if isinstance(limit, str) else limit
        problem = f"must be {_TYPES.get(types[0], types[0])}"
    elif error.validator in _PROBLEMS:
        problem = _PROBLEMS[error.validator].format(limit)
    else:
        return SpecError(format_key(path), error.message, value=value)
    return SpecError(format_key(path), f"{problem} (given: {value!r})", value=value)
