"""docs/cluster.md: its commands are commands, those on storage run as they stand, and every file in it is there."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from buckets import empty_bucket, s3_server, s3_variables
from sweeps import backtune_process

from backtune.cli import app
from backtune.data.load import load_bars
from backtune.data.synthetic import make_market
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import SweepSpec

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "cluster.md").read_text()
LINES = [
    line.partition("  #")[0]
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
INLINE = [code for code in re.findall(r"`(backtune [^`]+)`", PAGE) if "|" not in code and "FILE" not in code]
COMMANDS = sorted(
    {
        line[line.index("backtune ") :].strip()
        for line in [*LINES, *INLINE]
        if "backtune " in line and "ray job" not in line
    }
)


def test_there_are_commands():
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("command", [command for command in COMMANDS if len(command.split()) > 3])
def test_every_command_is_one(command):
    """Its options are known and its arguments are taken; nothing is run."""
    group = typer.main.get_command(app)
    context = group.make_context("backtune", shlex.split(command)[1:])
    rest = [*context._protected_args, *context.args]
    while rest:
        _, found, rest = context.command.resolve_command(context, rest)
        context = found.make_context(found.name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
    assert context.info_name in command


def test_every_file_is_there():
    named = set(re.findall(r"`((?:cluster|jobs|tests|docs)/[\w./-]*)", PAGE))
    assert len(named) > 10
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


@pytest.mark.slow
@pytest.mark.ray
def test_the_commands_on_storage_run_as_they_stand(tmp_path, monkeypatch):
    bars = REPOSITORY / "jobs" / "demo.yaml"
    demo = yaml.safe_load(bars.read_text())
    demo["search"]["trials"] = 5
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "demo.yaml").write_text(yaml.safe_dump(demo))
    market = {
        "assets": demo["grid"]["assets"],
        "timeframe": "15m",
        "start": "2021-01-01",
        "end": "2022-01-01",
        "seed": 7,
    }
    make_market(str(tmp_path / demo["data"]["root"]), **market)
    (tmp_path / "my_bars").mkdir()
    load_bars(str(tmp_path / demo["data"]["root"]), "ALPHA", "15m").to_frame().write_csv(
        tmp_path / "my_bars" / "ALPHA_15m.csv"
    )
    sweep = SweepSpec.load(tmp_path / "jobs" / "demo.yaml").id
    with s3_server() as address:
        variables = s3_variables(address)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        empty_bucket(address, "bucket")
        commands = [line for line in LINES if "s3://" in line and line.startswith("backtune ")]
        assert [command.split()[1] for command in commands] == ["data", "run", "leaderboard", "report"]
        for command in commands:
            done = backtune_process(
                *shlex.split(command.replace("SWEEP-ID", sweep))[1:], cwd=tmp_path, **variables
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert len(load_bars("s3://bucket/backtune/data/market", "ALPHA", "15m")) > 30_000
        assert StoredSweep.open(f"s3://bucket/backtune/runs/{sweep}").studies
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert not (tmp_path / "runs").exists()
