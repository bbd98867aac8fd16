"""Parameters as a file."""

import json

import pytest
import yaml

from backtune.errors import SpecError
from backtune.report.parameters import Parameters

FULL = Parameters(
    {"period": 14, "oversold": 0.1 + 0.2, "tiny": 1e-17, "mode": "on", "flag": True, "stop_loss": 0.03},
    strategy="RSIStrategy", asset="AAA", timeframe="1h", fold="holdout", study="RSIStrategy-AAA", trial=7,
)  # fmt: skip


@pytest.mark.parametrize("dump", [json.dumps, lambda content: yaml.safe_dump(content, sort_keys=False)])
@pytest.mark.parametrize("parameters", [FULL, Parameters({}), Parameters({"period": 3})])
def test_what_is_written_is_read_to_the_last_digit(tmp_path, dump, parameters):
    path = tmp_path / "params"
    path.write_text(dump(parameters.to_json()))
    read = Parameters.read(path)
    assert read == parameters
    assert [type(value) for value in read.params.values()] == [type(v) for v in parameters.params.values()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "params: is missing"),
        ("[1]", "params: is missing"),
        ("period: 14", "params: is missing"),
        ("params: 3", "params: is missing"),
        ("params: {}\nasett: AAA", r"asett: unknown key \(did you mean 'asset'\?\)"),
        ("params: [", "is not YAML or JSON"),
    ],
)
def test_what_is_no_file_of_parameters_is_refused(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        Parameters.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"none.yaml: cannot be read: No such file"):
        Parameters.read(tmp_path / "none.yaml")
