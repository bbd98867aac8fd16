"""What the README and docs/ say holds: commands run, examples are valid, links lead somewhere, tables are the code's."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
import yaml
from pages import REPOSITORY, Command, anchors, blocks, commands, inline_commands, links, pages, text_of
from sweeps import INLINE, environment, parsed
from typer.testing import CliRunner

from backtune.cli import app
from backtune.data.load import load_bars
from backtune.data.synthetic import make_market
from backtune.gateway.alerts.rules import AlertRules
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep

# Pages whose examples need a gateway, a cluster or a cloud, and what runs these. Here their options are looked at alone.
ELSEWHERE = {
    "docs/gateway.md": "tests/integration/test_gateway_docs.py",
    "docs/client.md": "tests/integration/test_gateway_clients.py",
    "docs/alerts.md": "tests/unit/gateway/alerts/test_alerts.py",
    "docs/security.md": "tests/integration/test_gateway_docs.py",
    "docs/cluster.md": "tests/integration/test_cluster_docs.py",
    "docs/infra.md": "tests/infra/test_pages.py",
    "docs/backup.md": "tests/integration/test_backup.py",
    "docs/scheduled.md": "tests/integration/test_scheduled.py",
}
# Commands that serve until they are ended, or ask a server, and what runs these.
SERVERS = {
    "serve": "tests/integration/test_gateway.py",
    "submit": "tests/integration/test_jobs.py",
    "ui": "tests/integration/test_tracking.py",
}
# Programs that are not ours; a target of make and a file of python must be there.
OTHERS = {"make", "python", "ray", "source"}
PYTHON_RUN_BY = {
    "README.md": "tests/integration/test_docs.py",
    "docs/strategies.md": "tests/integration/test_docs.py",
    "docs/client.md": "tests/integration/test_gateway_clients.py",
    "docs/data.md": "tests/integration/test_download.py",
}
# What the pages' parts of specs speak of.
GRID = {
    "strategies": ["MovingAverageCrossover", "RSIStrategy", {"file": "breakout.py", "class": "Breakout"}],
    "assets": ["BTCUSD", "ETHUSD"], "timeframes": ["1h", "4h"],
}  # fmt: skip
HERE = [page for page in pages() if page not in ELSEWHERE]
WALK = "docs/getting-started.md"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages take it for granted: jobs/, a market, files of a reader's own."""
    folder = tmp_path_factory.mktemp("shop")
    make_market(
        str(folder / "data/market"), assets=["BTCUSD", "ETHUSD"], timeframe="15m", start="2018-01-01", end="2018-09-01", seed=7,
    )  # fmt: skip
    shutil.copytree(REPOSITORY / "jobs", folder / "jobs")
    document = yaml.safe_load((folder / "jobs/crypto.yaml").read_text())
    document["grid"] = {
        "strategies": ["MovingAverageCrossover", "RSIStrategy"], "assets": ["BTCUSD", "ETHUSD"], "timeframes": ["1h", "4h"],
    }  # fmt: skip
    document["data"] = {"root": "data/market"}
    # As many as it takes for the best to have neighbours enough for a plateau.
    document["search"] |= {"trials": 32, "constraints": {"total_trades": ">= 1"}}
    (folder / "jobs/crypto.yaml").write_text(yaml.safe_dump(document))
    codes = [block.text for block in blocks("docs/strategies.md", "python")]
    (folder / "breakout.py").write_text("".join(codes))
    (folder / "my.py").write_text(codes[0])
    _write_sources(folder)
    return folder


def _write_sources(folder: Path) -> None:
    """Bars of another asset as CSV, in prices and in points, and funding payments."""
    hours = load_bars(folder / "data/market", "BTCUSD", "1h", "2018-01-01", "2018-02-01").to_frame()
    (folder / "my_bars").mkdir()
    hours.write_csv(folder / "my_bars/OTHER_1h.csv", datetime_format="%Y-%m-%d %H:%M")
    points = pl.col("open", "high", "low", "close").mul(1e5).round().cast(pl.Int64)
    hours.with_columns(points).write_csv(folder / "points.csv", datetime_format="%Y-%m-%d %H:%M")
    rates = hours.gather_every(8).select("timestamp", pl.lit(0.0001).alias("rate"))
    rates.write_csv(folder / "BTCUSD_funding.csv", datetime_format="%Y-%m-%d %H:%M")


@pytest.fixture(scope="module")
def stand_ins(shop: Path) -> dict[str, str]:
    """What a reader puts in place of general names, once the sweep of jobs/crypto.yaml is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(shop)
        run = run_sweep(SweepSpec.load("jobs/crypto.yaml"), None, INLINE).run
    study = run.studies[0].id
    return {
        "<sweep-id>": run.sweep_id, "RUN": f"runs/{run.sweep_id}", "SPEC": "jobs/crypto.yaml",
        "ID": study, "RSIStrategy-BTCUSD-1h-holdout-0123456789ab": study,
    }  # fmt: skip


@pytest.mark.parametrize("page", [page for page in HERE if page != WALK and blocks(page, "sh")])
def test_the_commands_of_a_page_run(page, shop, stand_ins, tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    shutil.copytree(shop, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    for block in blocks(page, "sh"):
        for command in commands(block, stand_ins):
            if command.program != "backtune":
                _check_other(command)
            elif not block.not_run and command.words[1] not in SERVERS:
                _run_here(command)


def test_a_newcomers_walk_runs(tmp_path, monkeypatch):
    """In this process, with small budgets, which change no id; below it is walked as it is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for block in blocks(WALK, "sh", "yaml"):
        if block.file:
            Path(block.file).write_text(re.sub(r"trials: \d+", "trials: 20", block.text))
        elif not block.not_run:
            for command in commands(block, {}):
                _run_here(command)
    assert Path("best.pine").read_text().startswith("//@version=6")
    (report,) = Path("runs").glob("first-*/report.html")
    assert report.stat().st_size > 100_000


@pytest.mark.slow
@pytest.mark.ray
def test_a_newcomers_walk_runs_as_it_is_written(tmp_path):
    steps = ["set -eu", f'backtune() {{ {sys.executable} -m backtune "$@"; }}']
    for block in blocks(WALK, "sh", "yaml"):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
        elif not block.not_run:
            steps.append(block.text)
    done = subprocess.run(
        ["bash", "-c", "\n".join(steps)], cwd=tmp_path, env=environment(),
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (report,) = tmp_path.glob("runs/first-*/report.html")
    assert report.stat().st_size > 100_000
    assert (tmp_path / "best.pine").is_file()


def _run_here(command: Command) -> None:
    """In this process; a sweep without Ray and MLflow, which others test."""
    words = list(command.words[1:])
    if words[0] == "run":
        words += ["--executor", "inline", "--no-tracking"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"
    assert done.output.strip(), f"{command} says nothing"
    if command.to:
        Path(command.to).write_text(done.stdout, encoding="utf-8")


def _check_other(command: Command) -> None:
    assert command.program in OTHERS, f"{command}: mark the block <!-- not run: why -->, or have it run"
    if command.program == "make":
        assert re.search(rf"^{command.words[1]}:", _makefile(), re.MULTILINE), f"{command}: no such target"
    if command.program == "python":
        assert (REPOSITORY / command.words[1]).is_file(), f"{command}: no such file"


def _makefile() -> str:
    return (REPOSITORY / "Makefile").read_text()


@pytest.mark.parametrize("page", pages())
def test_every_command_is_one_that_there_is(page):
    """Also where it is not run: its name, its options, and what they take."""
    for block in blocks(page, "sh"):
        for command in commands(block, {"<sweep-id>": "sweep-0123456789"}):
            if command.program == "backtune":
                _parse(command.words[1:])
    for words in inline_commands(page):
        command = _resolved(words[1:])
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word for word in words if word.startswith("--")}
        assert given <= known, f"{page}: {' '.join(words)}"
    for target in re.findall(r"(?:^    |`)make ([\w-]+)", text_of(page), re.MULTILINE):
        assert re.search(rf"^{target}:", _makefile(), re.MULTILINE), f"{page}: make {target}"
    for path in re.findall(r"(?:^    |`)python (\S+\.py)", text_of(page), re.MULTILINE):
        assert (REPOSITORY / path).is_file(), f"{page}: {path}"


@cache
def _program() -> Any:
    """Return the command line as Click sees it, which takes typer a while to build."""
    return typer.main.get_command(app)


def _parse(words: Sequence[str]) -> None:
    command, rest = _program(), list(words)
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(words[0], rest)


def _resolved(words: Sequence[str]) -> Any:
    """The command that words begin with, which may be the name of a group alone."""
    command = _program()
    for word in words:
        if not hasattr(command, "commands") or not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        command = command.commands[word]
    return command


def test_what_is_not_run_here_is_run_elsewhere():
    for page, test in (ELSEWHERE | SERVERS | PYTHON_RUN_BY).items():
        if page in SERVERS or (REPOSITORY / page).is_file():
            assert (REPOSITORY / test).exists(), f"{page}: {test}"
    assert {page for page in HERE if blocks(page, "python")} <= set(PYTHON_RUN_BY)


@pytest.mark.parametrize("page", pages())
def test_examples_of_specs_are_valid(page):
    """A part of a spec is one beside what it leaves out."""
    for block in blocks(page, "yaml"):
        for document in yaml.safe_load_all(block.text):
            if set(document) <= set(SweepSpec.model_fields):
                grid = {**GRID, **document.get("grid", {})}
                SweepSpec.parse({"name": "part", **document, "grid": grid})
            else:
                assert page in ELSEWHERE, f"{page}: {sorted(document)} are no keys of a spec"
    for block in blocks(page, "json"):
        document = json.loads(block.text)
        if "strategy_name" in document:
            SweepSpec.parse(document)


def test_the_example_of_alerts_is_valid():
    (block,) = blocks("docs/alerts.md", "yaml")
    rules = AlertRules.model_validate(yaml.safe_load(block.text))
    assert [target.name for target in rules.targets] == ["desk", "risk", "pipeline"]


@pytest.mark.parametrize("page", [*pages(), "CHANGELOG.md"])
def test_links_lead_somewhere(page):
    for link in links(page):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(REPOSITORY).as_posix()), f"{page}: {link}"


def test_every_page_is_found_from_the_index():
    linked = {f"docs/{link}" for link in links("docs/index.md")}
    assert {page for page in pages() if page.startswith("docs/")} - linked == {"docs/index.md"}


def test_the_tables_of_the_spec_are_those_of_the_code():
    """``make docs`` writes them."""
    page_with_tables = runpy.run_path(str(REPOSITORY / "docs/tables.py"))["page_with_tables"]
    text = text_of("docs/spec.md")
    assert text.count("<!-- table: ") == 12
    assert page_with_tables(text) == text


@pytest.mark.ray
def test_the_readmes_python_runs(tmp_path):
    demo = yaml.safe_load((REPOSITORY / "jobs/demo.yaml").read_text())
    make_market(
        str(tmp_path / demo["data"]["root"]),
        assets=demo["grid"]["assets"], timeframe="15m", start="2021-01-01", end="2024-01-01", seed=7,
    )  # fmt: skip
    (tmp_path / "jobs").mkdir()
    demo["search"]["trials"] = 5
    demo["grid"] |= {"strategies": ["MovingAverageCrossover", "RSIStrategy"], "timeframes": ["1h"]}
    (tmp_path / "jobs/demo.yaml").write_text(yaml.safe_dump(demo))
    (block,) = blocks("README.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", block.text],
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
    codes = [block.text for block in blocks("docs/strategies.md", "python")]
    breakout, momentum = (code for code in codes if "class " in code)
    (tmp_path / "breakout.py").write_text(breakout)
    (tmp_path / "momentum.py").write_text(momentum)
    files = [
        {"file": str(tmp_path / f"{name.lower()}.py"), "class": name} for name in ("Breakout", "Momentum")
    ]
    grid, space, _ = (yaml.safe_load(block.text) for block in blocks("docs/strategies.md", "yaml"))
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
