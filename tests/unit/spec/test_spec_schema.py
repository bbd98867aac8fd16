"""The JSON Schema of a spec says of a document what the spec says of it, and what every key is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from backtune.cli import app
from backtune.errors import SpecError
from backtune.spec import SweepSpec
from backtune.spec.schema import build_spec_schema

JOBS = sorted((Path(__file__).parents[3] / "jobs").glob("*.yaml"))
GRID = {"strategies": ["RSIStrategy"], "assets": ["A"], "timeframes": ["1h"]}


def plain(text: str) -> Any:
    """YAML as an editor sees it: a date is text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = build_spec_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_every_key_has_a_meaning():
    schema = build_spec_schema()
    sections = {"": schema, **schema["$defs"]}
    assert len(sections) == 10
    for name, section in sections.items():
        assert section["description"].endswith("."), name
        for key, value in section["properties"].items():
            assert len(value["description"]) > 10, f"{name}.{key}"
            assert "``" not in value["description"]


def test_keys_that_share_a_line_share_their_meaning():
    keys = build_spec_schema()["$defs"]["Validation"]["properties"]
    assert keys["train"]["description"] == keys["test"]["description"]
    assert keys["train"]["description"].startswith(
        "The lengths of the windows (walk_forward), in seconds or as in `180d`."
    )


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_the_jobs_are_valid(validator, path):
    assert list(validator.iter_errors(plain(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [
        ({}, True),
        ({"compute": {"time_budget": "8h"}}, True),
        ({"compute": {"time_budget": 3600}}, True),
        ({"compute": {"time_budget": None}}, True),
        ({"compute": {"time_budget": []}}, False),
        ({"data": {"start": "2018-01-01"}}, True),
        ({"data": {"begin": "2018-01-01"}}, False),
        ({"grid": {**GRID, "strategies": [{"file": "my.py", "class": "My"}]}}, True),
        ({"grid": {**GRID, "strategies": [{"file": "my.py", "class_name": "My"}]}}, False),
        ({"grid": {**GRID, "assets": []}}, False),
        ({"execution": {"stop_loss": {"type": "float", "low": 0.01, "high": 0.1}}}, True),
        ({"execution": {"fee_bps": -1}}, False),
        ({"search": {"sampler": "bayes"}}, False),
        ({"search": {"trials": 0}}, False),
        ({"search": {"trials": "many"}}, False),
        ({"search": {"early_stopping": {}}}, True),
        ({"search": {"early_stopping": {"rungs": [0.1, 1]}}}, False),
        ({"validation": {"method": "walk_forward", "train": "360d", "test": 86400}}, True),
        ({"validation": {"method": "walkforward"}}, False),
    ],
)
def test_it_agrees_with_the_spec(validator, changes, is_valid):
    document = {"name": "x", "grid": GRID, **changes}
    assert validator.is_valid(document) == is_valid
    if is_valid:
        SweepSpec.parse(document)
    else:
        with pytest.raises(SpecError):
            SweepSpec.parse(document)


def test_the_command_prints_it():
    done = CliRunner().invoke(app, ["schema"])
    assert done.exit_code == 0
    assert json.loads(done.output) == build_spec_schema()
