"""The weekly grid: its files against their schemas, its tables, and a whole week through a real gateway."""

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from gateway_process import gateway_in
from sweeps import environment, written

from backtune.data.synthetic import make_market
from backtune.spec import SweepSpec

SCHEDULED = Path(__file__).parents[2] / "jobs" / "scheduled"


@pytest.fixture(scope="module")
def weekly():
    found = importlib.util.spec_from_file_location("weekly", SCHEDULED / "weekly.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _row(strategy, sharpe, is_sharpe=1.0, **more):
    row = {"strategy": strategy, "asset": "A", "timeframe": "1h", "n_trials": 9, "oos_sharpe_ratio": sharpe}
    row |= {"is_sharpe_ratio": is_sharpe, "family_p": 0.02}
    return {
        **row,
        "params": {"b": 2, "a": 1},
        "warnings": ["few trades", "luck"],
        "is_profit_factor": 1.0,
        **more,
    }


def test_strategies_are_ranked_by_the_median_of_their_cells(weekly):
    rows = [
        _row("Lucky", 9.0),
        _row("Lucky", -1.0),
        _row("Lucky", -2.0),
        _row("Even", 0.5),
        _row("Even", 0.7),
    ]
    rows += [_row("Mute", None), _row("Half", None), _row("Half", 0.1)]
    assert [tuple(one.values()) for one in weekly.ranking(rows)] == [
        (1, "Even", 0.6, 2, 2, 0),
        (2, "Half", 0.1, 2, 1, 1),
        (3, "Lucky", -1.0, 3, 1, 0),
        (4, "Mute", None, 1, 0, 1),
    ]


def test_the_summary_has_the_best_of_the_search_first_and_the_undefined_last(weekly, tmp_path):
    rows = weekly.summary([_row("X", 9.0, None), _row("Y", 5.0, -0.5), _row("Z", -1.0, 1.25)])
    weekly.write(tmp_path / "s.csv", weekly.COLUMNS, rows)
    with (tmp_path / "s.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    # Three sweeps, one a strategy: what is rare in one of them is three times as likely in one of three.
    assert [(row["strategy"], row["is_sharpe_ratio"], row["family_p"]) for row in read] == [
        ("Z", "1.25", "0.06"),
        ("Y", "-0.5", "0.06"),
        ("X", "", "0.06"),
    ]
    assert read[0]["params"] == '{"a": 1, "b": 2}'
    assert read[0]["warnings"] == "few trades; luck"
    assert list(read[0]) == list(weekly.COLUMNS)
    assert weekly.summary([{**_row("X", 1.0), "family_p": None}])[0]["family_p"] is None
    assert weekly.summary([{**_row("X", 1.0), "family_p": 0.9}, _row("Y", 1.0)])[0]["family_p"] == 1.0


def test_every_strategy_is_a_sweep_of_its_own(weekly):
    spec = yaml.safe_load((SCHEDULED / "weekly.yaml").read_text())
    sweeps = weekly.sweeps(spec)
    assert [name for name, _ in sweeps] == spec["grid"]["strategies"]
    parsed = [SweepSpec.parse(document) for _, document in sweeps]
    assert len({one.id for one in parsed}) == len(sweeps) == 4


def _workflow_problems(document):
    text = (
        files("check_jsonschema").joinpath("builtin_schemas/vendor/github-workflows.json").read_text("utf-8")
    )
    return [error.message for error in jsonschema.Draft7Validator(json.loads(text)).iter_errors(document)]


def test_the_workflow_is_one():
    text = (SCHEDULED / "weekly-grid.yml").read_text()
    # YAML 1.1 has `on` for true.
    document = {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}
    assert _workflow_problems(document) == []
    steps = document["jobs"]["sweep"]["steps"]
    assert any("jobs/scheduled/weekly.py jobs/scheduled/weekly.yaml" in step.get("run", "") for step in steps)
    for key in ("runs-on", "timeout-minutes", "steps"):
        job = {
            f"{name}x" if name == key else name: value for name, value in document["jobs"]["sweep"].items()
        }
        assert _workflow_problems({**document, "jobs": {"sweep": job}}), key


def test_kubernetes_would_take_the_cron_job():
    manifest = yaml.safe_load((SCHEDULED / "cronjob.yaml").read_text())
    kubernetes_validate.validate(manifest, "1.34", strict=True)
    manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["imagePullPolicie"] = (
        "Always"
    )
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_every_step_of_the_workflow_runs(tmp_path):
    """Its script with a client's environment; what it uploads and shows is what weekly.py writes."""
    document = yaml.safe_load((SCHEDULED / "weekly-grid.yml").read_text())
    steps = {step.get("name"): step for step in document["jobs"]["sweep"]["steps"]}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ranking.csv").write_text("rank,strategy\n1,RSIStrategy\n")
    done = subprocess.run(
        ["bash", "-e", "-c", steps["Show the ranking"]["run"]], cwd=tmp_path, check=False,
        env={"PATH": os.environ["PATH"], "GITHUB_STEP_SUMMARY": str(tmp_path / "shown")},
    )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "shown").read_text() == "```\nrank,strategy\n1,RSIStrategy\n```\n"


class _Webhook(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self):
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def webhook():
    server = HTTPServer(("127.0.0.1", 0), _Webhook)
    server.told = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _ran(out, spec, gateway, **variables):
    """The script as it is run, to its end."""
    return subprocess.run(
        [sys.executable, str(SCHEDULED / "weekly.py"), str(spec), str(out)], capture_output=True, text=True, timeout=250,
        env=environment(BACKTUNE_GATEWAY=f"http://127.0.0.1:{gateway.port}", **variables), check=False,
    )  # fmt: skip


def _table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_week_through_a_gateway(tmp_path, webhook):
    market = tmp_path / "market"
    make_market(str(market), assets=["ANY"], timeframe="1h", start="2020-01-01", end="2021-01-01", seed=4)
    spec = yaml.safe_load((SCHEDULED / "weekly.yaml").read_text())
    spec["grid"] = {"strategies": ["RSIStrategy", "MACDStrategy"], "assets": ["ANY"], "timeframes": ["4h"]}
    spec["search"] = {**spec["search"], "trials": 12, "constraints": {}}
    good = written(tmp_path / "weekly.yaml", spec)
    unknown = {**spec["grid"], "strategies": ["RSIStrategy", "NoSuchStrategy"]}
    bad = written(tmp_path / "bad.yaml", {**spec, "grid": unknown})
    hook = f"http://127.0.0.1:{webhook.server_port}/"
    with gateway_in(tmp_path, market) as gateway:
        gateway.start()
        done = _ran(tmp_path / "out", good, gateway, ALERT_WEBHOOK=hook)
        assert (done.returncode, done.stderr) == (0, "")
        assert webhook.told == []
        jobs = gateway.get("/jobs")["jobs"]
        assert sorted(job["name"] for job in jobs) == ["weekly-MACDStrategy", "weekly-RSIStrategy"]
        # The same week again is the same jobs; one strategy that is refused does not cost the other.
        done = _ran(tmp_path / "again", bad, gateway, ALERT_WEBHOOK=hook)
        assert done.returncode == 1
        assert gateway.get("/jobs")["jobs"] == jobs
        (told,) = webhook.told
        assert re.fullmatch(r"backtune, \d{4}-W\d\d: NoSuchStrategy: .*NoSuchStrategy.*", told["text"])
        assert told["text"] in done.stderr
    for folder, names in (("out", {"RSIStrategy", "MACDStrategy"}), ("again", {"RSIStrategy"})):
        out = tmp_path / folder
        assert {path.name for path in out.iterdir()} == {
            "summary.csv", "ranking.csv", *(f"{name}.{kind}" for name in names for kind in ("html", "json", "pine")),
        }  # fmt: skip
        rows = _table(out / "summary.csv")
        assert (
            {row["strategy"] for row in rows}
            == {row["strategy"] for row in _table(out / "ranking.csv")}
            == names
        )
        for row in rows:
            report = json.loads((out / f"{row['strategy']}.json").read_text())
            assert float(row["oos_sharpe_ratio"]) == report["leaderboard"][0]["oos_sharpe_ratio"]
            assert json.loads(row["params"]) == report["best_parameters"]
            assert (out / f"{row['strategy']}.pine").read_text().startswith("//@version=6")


def test_a_gateway_that_refuses_the_key_is_told_of(tmp_path, webhook, weekly, monkeypatch, capsys):
    monkeypatch.setenv("ALERT_WEBHOOK", f"http://127.0.0.1:{webhook.server_port}/")
    monkeypatch.setenv("BACKTUNE_API_KEY", "no key")
    monkeypatch.setenv("BACKTUNE_GATEWAY", "http://127.0.0.1:9")
    assert weekly.main(SCHEDULED / "weekly.yaml", tmp_path / "out") == 1
    (told,) = webhook.told
    assert "no key" not in told["text"]
    assert "key" in told["text"]
    assert _table(tmp_path / "out" / "ranking.csv") == []
    # A webhook that is away changes nothing else.
    monkeypatch.setenv("ALERT_WEBHOOK", "http://127.0.0.1:9/")
    assert weekly.main(SCHEDULED / "weekly.yaml", tmp_path / "out") == 1
    assert "the webhook does not take it" in capsys.readouterr().err
