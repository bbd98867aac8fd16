"""The spec as a JSON Schema: for editors, and for the tables of docs/spec.md."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel

from backtune.spec.sections import (
    Compute,
    Data,
    EarlyStopping,
    Execution,
    Grid,
    Search,
    StrategyFile,
    Tracking,
)
from backtune.spec.sweep_spec import SweepSpec
from backtune.spec.validation import Validation

SECTIONS: tuple[type[BaseModel], ...] = (
    SweepSpec,
    Data,
    Grid,
    StrategyFile,
    Execution,
    Search,
    EarlyStopping,
    Validation,
    Compute,
    Tracking,
)


def build_spec_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a full spec; every key has a description, in Markdown.

    Names of strategies, assets and timeframes, ranges, and keys that depend on each other are checked beyond it.
    """
    schema = SweepSpec.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    for section in SECTIONS:
        content = schema if section is SweepSpec else schema["$defs"][section.__name__]
        summary, meanings = _split_docstring(section)
        content["description"] = summary
        for key, value in content["properties"].items():
            value["description"] = meanings[key]
            value.pop("title", None)
    # Written as a spec has them; pydantic would give them as they are kept.
    written = Search().model_dump(mode="json", include={"objectives", "constraints"})
    for key, default in written.items():
        schema["$defs"]["Search"]["properties"][key]["default"] = default
    return schema


def _split_docstring(section: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of a docstring, and the description of each attribute."""
    text = inspect.getdoc(section) or ""
    summary, _, rest = text.partition("\n\n")
    listed = re.search(r"^Attributes:\n((?:(?:    .*)?\n?)*)", rest, re.MULTILINE)
    entries = re.findall(
        r"^    (\S[^:]*): ((?:.*\n?)(?:^     +.*\n?)*)", listed[1] if listed else "", re.MULTILINE
    )
    return _to_markdown(summary), {
        key.strip(): _to_markdown(meaning) for keys, meaning in entries for key in keys.split(",")
    }


def _to_markdown(text: str) -> str:
    """Return a text in one line, with the roles of docstrings as plain names."""
    plain = re.sub(r":\w+:`([^`]*)`", r"``\1``", " ".join(text.split()))
    return plain.replace("``", "`")
