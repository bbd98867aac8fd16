"""The weekly grid: its files against their schemas, its tables, and a whole week through a real gateway."""

import csv
import importlib.util
import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from backtune.data.synthetic import make_market
from backtune.spec import SweepSpec

SCHEDULED = Path(__file__).parents[2] / "jobs" / "scheduled"


@pytest.fixture(scope="module")
def weekly():
    found = importlib.util.spec_from_file_location("weekly", SCHEDULED / "weekly.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _row(strategy, sharpe, **more):
    row = {"strategy": strategy, "asset": "A", "timeframe": "1h", "n_trials": 9, "oos_sharpe_ratio": sharpe}
    return {**row, "params": {"b": 2, "a": 1}, "warnings": ["few trades", "luck"], "is_profit_factor": 1.0, **more}


def test_strategies_are_ranked_by_the_median_of_their_cells(weekly):
    rows = [_row("Lucky", 9.0), _row("Lucky", -1.0), _row("Lucky", -2.0), _row("Even", 0.5), _row("Even", 0.7)]
    rows += [_row("Mute", None), _row("Half", None), _row("Half", 0.1)]
    assert [tuple(one.values()) for one in weekly.ranking(rows)] == [
        (1, "Even", 0.6, 2, 2, 0),
        (2, "Half", 0.1, 2, 1, 1),
        (3, "Lucky", -1.0, 3, 1, 0),
        (4, "Mute", None, 1, 0, 1),
    ]


def test_the_summary_has_the_best_first_and_the_undefined_last(weekly, tmp_path):
    rows = weekly.summary([_row("X", None), _row("Y", -0.5), _row("Z", 1.25)])
    weekly.write(tmp_path / "s.csv", weekly.COLUMNS, rows)
    with (tmp_path / "s.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [(row["strategy"], row["oos_sharpe_ratio"]) for row in read] == [("Z", "1.25"), ("Y", "-0.5"), ("X", "")]
    assert read[0]["params"] == '{"a": 1, "b": 2}'
    assert read[0]["warnings"] == "few trades; luck"
    assert list(read[0]) == list(weekly.COLUMNS)


def test_every_strategy_is_a_sweep_of_its_own(weekly):
    spec = yaml.safe_load((SCHEDULED / "weekly.yaml").read_text())
    sweeps = weekly.sweeps(spec)
    assert [name for name, _ in sweeps] == spec["grid"]["strategies"]
    parsed = [SweepSpec.parse(document) for _, document in sweeps]
    assert len({one.id for one in parsed}) == len(sweeps) == 4


def _workflow_problems(document):
    text = files("check_jsonschema").joinpath("builtin_schemas/vendor/github-workflows.json").read_text("utf-8")
    return [error.message for error in jsonschema.Draft7Validator(json.loads(text)).iter_errors(document)]


def test_the_workflow_is_one():
    text = (SCHEDULED / "weekly-grid.yml").read_text()
    # YAML 1.1 has `on` for true.
    document = {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}
    assert _workflow_problems(document) == []
    steps = document["jobs"]["sweep"]["steps"]
    assert any("jobs/scheduled/weekly.py jobs/scheduled/weekly.yaml" in step.get("run", "") for step in steps)
    for planted in ("runs-om", "timeout-minuts", "stepps"):
        job = {planted if key.startswith(planted[:5]) else key: value for key, value in document["jobs"]["sweep"].items()}
        assert _workflow_problems({**document, "jobs": {"sweep": job}}), planted


def test_kubernetes_would_take_the_cron_job():
    manifest = yaml.safe_load((SCHEDULED / "cronjob.yaml").read_text())
    kubernetes_validate.validate(manifest, "1.34", strict=True)
    manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["imagePullPolicie"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.34", strict=True)


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_week_through_a_gateway(weekly, tmp_path, monkeypatch, capsys):
    reason = "the gateway and its client are not in this version"
    pytest.importorskip("backtune.client.optimizer", reason=reason)
    pytest.importorskip("backtune.cli.serve", reason=reason)
    from gateway_process import Gateway

    market = tmp_path / "market"
    make_market(str(market), assets=["ANY"], timeframe="1h", start="2020-01-01", end="2021-01-01", seed=4)
    spec = yaml.safe_load((SCHEDULED / "weekly.yaml").read_text())
    spec["grid"] = {"strategies": ["RSIStrategy", "MACDStrategy"], "assets": ["ANY"], "timeframes": ["4h"]}
    spec["search"] = {**spec["search"], "trials": 12, "constraints": {}}
    (tmp_path / "weekly.yaml").write_text(yaml.safe_dump(spec))
    gateway = Gateway(tmp_path, market)
    gateway.start()
    monkeypatch.setenv("BACKTUNE_GATEWAY", f"http://127.0.0.1:{gateway.port}")
    monkeypatch.delenv("BACKTUNE_API_KEY", raising=False)
    try:
        out = tmp_path / "out"
        assert weekly.main(tmp_path / "weekly.yaml", out) == 0, capsys.readouterr().err
        jobs = gateway.get("/api/v1/jobs")["jobs"]
        # The same week again is the same jobs.
        assert weekly.main(tmp_path / "weekly.yaml", out) == 0
        assert gateway.get("/api/v1/jobs")["jobs"] == jobs
        assert len(jobs) == 2
    finally:
        gateway.stop()
    names = {path.name for path in out.iterdir()}
    assert {"summary.csv", "ranking.csv", "RSIStrategy.html", "MACDStrategy.json"} <= names
    assert any(name.endswith(".pine") for name in names)
    with (out / "ranking.csv").open(newline="") as file:
        assert {row["strategy"] for row in csv.DictReader(file)} == {"RSIStrategy", "MACDStrategy"}
