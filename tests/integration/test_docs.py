"""The code in the README and in docs/ runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backtune.data.synthetic import make_market
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from sweeps import INLINE, environment, parsed

REPOSITORY = Path(__file__).parents[2]


def _blocks(document: str, language: str) -> list[str]:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.ray
def test_the_readmes_python_runs(tmp_path):
    demo = yaml.safe_load((REPOSITORY / "jobs/demo.yaml").read_text())
    make_market(
        str(tmp_path / demo["data"]["root"]),
        assets=demo["grid"]["assets"], timeframe="15m", start="2021-01-01", end="2024-01-01", seed=7,
    )  # fmt: skip
    (tmp_path / "jobs").mkdir()
    demo["search"]["trials"] = 5
    (tmp_path / "jobs/demo.yaml").write_text(yaml.safe_dump(demo))
    (code,) = _blocks("README.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_the_documented_strategies_run_in_a_sweep(tmp_path, market):
    breakout, momentum = _blocks("docs/strategies.md", "python")
    (tmp_path / "breakout.py").write_text(breakout)
    (tmp_path / "momentum.py").write_text(momentum)
    files = [
        {"file": str(tmp_path / f"{name.lower()}.py"), "class": name} for name in ("Breakout", "Momentum")
    ]
    grid, space = (yaml.safe_load(block) for block in _blocks("docs/strategies.md", "yaml"))
    assert grid["grid"]["strategies"][0] == {"file": "breakout.py", "class": "Breakout"}
    fixed = {"Breakout": space["space"]["Breakout"]}
    spec = parsed(market, grid={"strategies": files, "assets": ["AAA"]}, search={"trials": 6}, space=fixed)
    result = run_sweep(spec, tmp_path / "runs", INLINE)
    assert result.exit_status == 0
    trials = result.trials()
    assert "failed" not in trials["state"].to_list()
    assert trials["params_margin"].drop_nulls().unique().to_list() == [0.0]
    assert (trials.filter(trials["study"].str.starts_with("Momentum"))["exposure"] > 0).any()


def test_every_link_leads_to_a_file():
    pages = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").glob("*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    ]
    here = [
        (page, link.partition("#")[0])
        for page, link in links
        if "://" not in link and not link.startswith("#")
    ]
    assert len(here) > 10
    assert [(page.name, link) for page, link in here if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", sorted(path.name for path in (REPOSITORY / "jobs").glob("*.yaml")))
def test_every_spec_in_jobs_is_valid(name):
    assert SweepSpec.load(REPOSITORY / "jobs" / name).grid.strategies
