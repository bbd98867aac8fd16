"""Writes the tables of docs/spec.md from the code: ``python docs/tables.py``, or ``make docs``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; what is between them is replaced.
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backtune.simulation.metrics import METRICS
from backtune.space import Choice, Parameter
from backtune.spec.schema import build_spec_schema
from backtune.strategy.registry import BUILT_IN

PAGE = Path(__file__).parent / "spec.md"
_TYPES = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
    "object": "mapping", "null": "null",
}  # fmt: skip
_BOUNDS = {
    "minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below",
}  # fmt: skip


def page_with_tables(text: str) -> str:
    """The page's text with every table as the code has it."""

    def table(match: re.Match[str]) -> str:
        name = match[1]
        lines = {"metrics": _metrics, "strategies": _strategies}.get(name, lambda: _keys(name))()
        return f"<!-- table: {name} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def _keys(section: str) -> Iterator[str]:
    schema = build_spec_schema()
    content = schema if section == "SweepSpec" else schema["$defs"][section]
    yield "| key | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for key, value in content["properties"].items():
        default = "**required**" if key in content.get("required", ()) else _default(value)
        yield f"| `{key}` | {_value(value)} | {default} | {value['description']} |"


def _value(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        section = re.sub(r"(?<!^)(?=[A-Z])", "_", schema["$ref"].rsplit("/", 1)[1]).lower()
        return f"[{section}](#{section})"
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_value(choice) for choice in schema["anyOf"])
    if schema["type"] == "array":
        return f"list of {_value(schema['items'])}"
    bounds = [f"{words} {schema[name]:,}" for name, words in _BOUNDS.items() if name in schema]
    return " ".join([_TYPES[schema["type"]], " and ".join(bounds)]).strip()


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    # The default of a section is the table of its own.
    is_section = isinstance(default, dict) and default != {}
    return "" if "default" not in schema or is_section else f"`{json.dumps(default)}`"


def _metrics() -> Iterator[str]:
    yield "| metric | is |"
    yield "| --- | --- |"
    for name, metric in METRICS.items():
        meaning = (inspect.getdoc(metric) or "").split("\n\n")[0]
        yield f"| `{name}` | {' '.join(meaning.split())} |"


def _strategies() -> Iterator[str]:
    yield "| strategy | does | parameters |"
    yield "| --- | --- | --- |"
    for name, strategy in BUILT_IN.items():
        space = strategy.space()
        meaning = (inspect.getdoc(strategy) or "").split("\n\n")[0]
        ranges = [f"`{key}` {_range(parameter)}" for key, parameter in space.items()]
        rules = [f"`{rule}`" for rule in space.rules]
        yield f"| `{name}` | {' '.join(meaning.split())} | {'; '.join([*ranges, *rules])} |"


def _range(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        return "one of " + ", ".join(map(str, parameter.choices))
    return f"{parameter.low:g} to {parameter.high:g}, by default {parameter.default:g}"


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
