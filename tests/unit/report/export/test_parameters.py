"""Parameters as a file."""

import json

import pytest
import yaml

from backtune.errors import SpecError
from backtune.report.export.parameters import CellParameters

FULL = CellParameters(
    {"period": 14, "oversold": 0.1 + 0.2, "tiny": 1e-17, "mode": "on", "flag": True, "stop_loss": 0.03},
    strategy="RSIStrategy", asset="AAA", timeframe="1h", fold="holdout", study="RSIStrategy-AAA", trial=7,
)  # fmt: skip


@pytest.mark.parametrize("dump", [json.dumps, lambda content: yaml.safe_dump(content, sort_keys=False)])
@pytest.mark.parametrize("parameters", [FULL, CellParameters({}), CellParameters({"period": 3})])
def test_what_is_written_is_read_to_the_last_digit(tmp_path, dump, parameters):
    path = tmp_path / "params"
    path.write_text(dump(parameters.to_json()))
    read = CellParameters.read(path)
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
        ("params: {a: 1}\nparams: {b: 2}", r"params\.yaml: params: stands twice, on lines 1 and 2"),
        ("params: {a: 1, a: 2}", r"params\.yaml: params\.a: stands twice, on line 1"),
        ('{"params": {"a": 1,\n "a": 2}}', r"params\.yaml: params\.a: stands twice, on lines 1 and 2"),
        ("params: {a: 2022-02-30}", r"params\.yaml: params\.a: 2022-02-30 is read as a date"),
        ("params: {a: 0700}", r"params\.yaml: params\.a: 0700 is read as 448"),
        ("params: {}\nasset: ON", r"^asset: ON is read as true in YAML; write 'ON' \(line 2\)$"),
        ("params: {}\nasset: 7203", r"^asset: 7203 is read as a number in YAML; write '7203'"),
        ('{"params": {}, "asset": 7203}', r"^asset: must be text \(given: 7203\)$"),
    ],
)
def test_what_is_no_file_of_parameters_is_refused(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        CellParameters.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"none.yaml: cannot be read: No such file"):
        CellParameters.read(tmp_path / "none.yaml")


def test_numbers_without_a_dot_are_numbers(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("params: {a: 1e-3, b: 1E2, c: .5, d: 1_000}")
    assert CellParameters.read(path).params == {"a": 0.001, "b": 100.0, "c": 0.5, "d": 1000}
