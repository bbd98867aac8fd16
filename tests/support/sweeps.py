"""Small real sweeps for the integration tests."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from in_process import run_main

from backtune.data.catalog import Catalog
from backtune.data.synthetic import make_market
from backtune.results.log.segments import read_log
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import SweepSpec
from backtune.sweep import Options

INLINE = Options(executor="inline", tracking=False)


def build_market(root: Path) -> Path:
    """Two assets, fourteen months of quarter hours."""
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="15m", start="2021-01-01", end="2022-03-01", seed=3
    )
    return root


def add_funding(market: Path, *assets: str, rate: float = 0.001) -> None:
    """Three payments a day for the year 2021, every other day's to the longs."""
    times = pl.datetime_range(
        datetime(2021, 1, 1, tzinfo=UTC), datetime(2021, 12, 31, tzinfo=UTC), "8h", time_unit="us", eager=True
    )
    rates = pl.select(
        pl.lit(times).alias("timestamp"),
        pl.when(pl.lit(times).dt.ordinal_day() % 2 == 0).then(-0.5 * rate).otherwise(rate).alias("rate"),
    )
    for asset in assets:
        Catalog.open(market).write(asset, None, rates, replace=True)


def spec_document(market: Path, **changes: Any) -> dict[str, Any]:
    """A grid of 2 x 2 x 1 studies; ``changes`` update whole sections by key."""
    document: dict[str, Any] = {
        "name": "small",
        "data": {"root": str(market)},
        "grid": {
            "strategies": ["MovingAverageCrossover", "RSIStrategy"],
            "assets": ["AAA", "BBB"],
            "timeframes": ["1h"],
        },
        "search": {"sampler": "tpe", "trials": 40, "seed": 5},
        "validation": {"method": "holdout", "test_fraction": 0.3},
        "compute": {"unit_seconds": 1},
    }
    for section, values in changes.items():
        document[section] = {**document.get(section, {}), **values} if isinstance(values, dict) else values
    return document


def parsed(market: Path, **changes: Any) -> SweepSpec:
    return SweepSpec.parse(spec_document(market, **changes))


def written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def rows_of(run: StoredSweep) -> dict[str, pl.DataFrame]:
    """The rows of every study, without what time decides."""
    logs = {study.id: read_log(run.study_folder(study.id)) for study in run.studies}
    return {name: log.drop("duration_seconds") for name, log in logs.items() if log is not None}


def assert_same_rows(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name, rows in one.items():
        assert rows.equals(other[name], null_equal=True), f"{name} differs"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "backtune", *map(str, arguments)]


# Of a cluster that a test starts and the sweeps that join it.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0f" * 32}


def environment(**more: str) -> dict[str, str]:
    """The environment without what would lead a test to another's cluster, results or paths."""
    ours = ("BACKTUNE_", "RAY_", "MLFLOW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "COLUMNS": "200", "RAY_USAGE_STATS_ENABLED": "0", **more}


def backtune(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, in this process."""
    return run_main([str(argument) for argument in arguments], cwd, environment(**more))


def backtune_process(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end in a process of its own, as commands need that start or join a cluster."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def leaderboard_of(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    board: list[dict[str, Any]] = json.loads(result.stdout)["leaderboard"]
    return board


def wait_for(condition: Any, seconds: float) -> bool:
    """Return whether ``condition()`` came true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())
