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
    SweepSpec, Data, Grid, StrategyFile, Execution, Search, EarlyStopping, Validation, Compute, Tracking,
)  # fmt: skip


def spec_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a full spec; every key has a description, in Markdown.

    What is checked beyond it: names against the strategies and the catalog, ranges, and keys against each other.
    """
    schema = SweepSpec.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    for section in SECTIONS:
        content = schema if section is SweepSpec else schema["$defs"][section.__name__]
        summary, meanings = _docstring(section)
        content["description"] = summary
        for key, value in content["properties"].items():
            value["description"] = meanings[key]
            value.pop("title", None)
    return schema


def _docstring(section: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """The first paragraph, and what each attribute is."""
    text = inspect.getdoc(section) or ""
    summary, _, rest = text.partition("\n\n")
    listed = re.search(r"^Attributes:\n((?:(?:    .*)?\n?)*)", rest, re.MULTILINE)
    entries = re.findall(
        r"^    (\S[^:]*): ((?:.*\n?)(?:^     +.*\n?)*)", listed[1] if listed else "", re.MULTILINE
    )
    return _markdown(summary), {
        key.strip(): _markdown(meaning) for keys, meaning in entries for key in keys.split(",")
    }


def _markdown(text: str) -> str:
    """One line; roles of the docstrings are the names in them."""
    plain = re.sub(r":\w+:`([^`]*)`", r"``\1``", " ".join(text.split()))
    return plain.replace("``", "`")
