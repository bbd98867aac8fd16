"""Sweeps on months, on bars of an origin of their own, and on windows without a bound."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from sweeps import INLINE
from sweeps import backtune as command

import backtune
from backtune.checks.lookahead import check_lookahead
from backtune.data.catalog import Catalog
from backtune.data.schema import SCHEMA
from backtune.errors import CatalogError, SpecError
from backtune.report.export.parameters import CellParameters, evaluate_parameters
from backtune.results.portfolio import portfolio_of
from backtune.search.planning.plan import plan_studies
from backtune.spec import SweepSpec
from backtune.strategy.registry import StrategyFactory
from backtune.sweep import run_sweep

PARAMS = {"fast_period": 2, "slow_period": 5}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Days of weekdays up to a Friday, hours of sessions up to a close, and months."""
    root = tmp_path_factory.mktemp("market")
    catalog = Catalog.open_or_create(root)
    hours = pl.datetime_range(
        datetime(2021, 1, 4, 14, tzinfo=UTC), datetime(2023, 6, 16, 20, tzinfo=UTC), "1h", time_unit="us", eager=True
    )  # fmt: skip
    sessions = hours.filter((hours.dt.weekday() <= 5) & hours.dt.hour().is_between(14, 19))
    days = hours.dt.truncate("1d").unique().sort()
    catalog.write("DAYS", "1d", _bars(days.filter(days.dt.weekday() <= 5), seed=1))
    catalog.write("HOURS", "1h", _bars(sessions, seed=2))
    months = pl.datetime_range(
        datetime(1990, 1, 1, tzinfo=UTC), datetime(2020, 12, 1, tzinfo=UTC), "1mo", time_unit="us", eager=True
    )
    catalog.write("MONTHS", "1mo", _bars(months, seed=3))
    catalog.write("OTHERS", "1mo", _bars(months, seed=4))
    return root


def _bars(times: pl.Series, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * rng.normal(size=len(times))))
    open_ = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(open_, close) * 1.001, np.minimum(open_, close) / 1.001
    volume = np.ones(len(times))
    return pl.DataFrame(
        {"timestamp": times, "open": open_, "high": high, "low": low, "close": close, "volume": volume},
        schema=SCHEMA,
    )


def spec(market: Path, asset: str, timeframe: str, **changes: Any) -> SweepSpec:
    document = {
        "name": "lengths",
        "data": {"root": str(market)},
        "grid": {
            "strategies": ["MovingAverageCrossover"],
            "assets": asset.split(),
            "timeframes": timeframe.split(),
        },
        "space": {
            "MovingAverageCrossover": {
                "fast_period": {"type": "int", "low": 2, "high": 3},
                "slow_period": {"type": "int", "low": 4, "high": 8},
            }
        },
        "search": {"sampler": "random", "trials": 12, "seed": 3},
        "validation": {"method": "none"},
    }
    document["data"] = {**document["data"], **changes.pop("data", {})}  # type: ignore[dict-item]
    return SweepSpec.parse({**document, **changes})


# A timeframe built from days or hours, the bounds and the origin of a spec, and the bars that there are.
OPEN_WINDOWS = [
    ("DAYS", "1w", {}, 128),
    ("DAYS", "1w", {"start": "2021-02-03"}, 123),
    ("DAYS", "1w", {"end": "2023-06-16"}, 127),
    ("DAYS", "1mo", {}, 30),
    ("DAYS", "1mo", {"start": "2021-01-02"}, 29),
    ("HOURS", "1d", {}, 640),
    ("HOURS", "4h", {}, 1280),
    ("HOURS", "1w", {"origin": "14:00 UTC"}, 128),
    ("HOURS", "1mo", {"origin": "00:00 America/New_York"}, 30),
    ("MONTHS", "1mo", {}, 372),
    ("MONTHS", "1y", {}, 31),
]


@pytest.mark.parametrize(("asset", "timeframe", "data", "n"), OPEN_WINDOWS)
def test_search_backtest_and_load_bars_see_the_same_bars(market, tmp_path, asset, timeframe, data, n):
    bars = backtune.load_bars(market, asset, timeframe, **data)
    assert len(bars) == n
    one = spec(market, asset, timeframe, data=data)
    (study,) = plan_studies(one)
    loaded = study.bars.load()
    for name in ("timestamp", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(bars, name))
    # Over the nights between sessions, an upper bound.
    assert study.n_bars >= n - 1 if asset == "HOURS" else abs(study.n_bars - n) <= 1
    result = run_sweep(one, tmp_path, INLINE)
    assert result.exit_status == 0
    trials = result.trials()
    assert trials.filter(pl.col("state") == "complete").height > 0
    for row in result.rows():
        if row.values is not None:
            assert backtune.backtest("MovingAverageCrossover", row.params, bars).metrics == row.is_metrics
            assert evaluate_parameters(one, CellParameters.of(result.run, row)).is_metrics == row.is_metrics
    metrics = backtune.backtest("MovingAverageCrossover", PARAMS, bars).metrics
    assert evaluate_parameters(one, CellParameters(PARAMS)).is_metrics == metrics


HOLDOUT = {"method": "holdout", "test_fraction": 0.3}
KFOLD = {"method": "kfold", "folds": 3, "test_fraction": 0.25}
WALK_FORWARD = {"method": "walk_forward", "folds": 2}


@pytest.mark.parametrize(
    ("asset", "timeframe", "validation"),
    [
        ("DAYS", "1w", HOLDOUT), ("DAYS", "1w", KFOLD), ("DAYS", "1w", WALK_FORWARD), ("DAYS", "1mo", HOLDOUT),
        ("DAYS", "1mo", WALK_FORWARD), ("HOURS", "1d", HOLDOUT), ("HOURS", "1d", KFOLD), ("MONTHS", "1mo", HOLDOUT),
        ("MONTHS", "1mo", KFOLD), ("MONTHS", "1mo", WALK_FORWARD), ("MONTHS", "1y", HOLDOUT),
    ],
)  # fmt: skip
def test_every_bar_of_an_open_window_lies_in_a_fold(market, tmp_path, asset, timeframe, validation):
    bars = backtune.load_bars(market, asset, timeframe)
    one = spec(market, asset, timeframe, validation=validation)
    studies = plan_studies(one)
    first, last = int(bars.timestamp[0]), int(bars.timestamp[-1])
    tests = [study.fold.test for study in studies]
    assert tests[-1].start <= last < tests[-1].end
    if validation["method"] != "walk_forward":
        (study,) = studies
        assert study.fold.windows[0].start == study.fold.train.start == first
        inside = sum(
            int(((bars.timestamp >= w.start) & (bars.timestamp < w.end)).sum()) for w in study.fold.windows
        )
        assert inside == len(bars) or validation["method"] == "kfold"
    result = run_sweep(one, tmp_path, INLINE)
    assert result.exit_status == 0
    for row in (fold for whole in result.rows() for fold in whole.folds or (whole,)):
        if row.values is not None:
            again = evaluate_parameters(one, CellParameters.of(result.run, row))
            assert (again.is_metrics, again.oos_metrics) == (row.is_metrics, row.oos_metrics)


def test_cuts_are_the_same_for_all_timeframes_up_to_a_day(market):
    studies = plan_studies(spec(market, "HOURS", "1h 2h 4h 1d", validation={"method": "holdout"}))
    assert len({study.fold.train.end for study in studies}) == 1
    assert len({study.bars.end for study in studies}) > 1


def test_a_window_without_a_whole_bar_is_refused_before_any_work(market):
    data = {"start": "2021-02-02", "end": "2021-03-30"}
    with pytest.raises(
        CatalogError,
        match=r"DAYS 1mo has no bars from 2021-02-02 00:00 to 2021-03-30 00:00; it has bars of 1d",
    ):
        plan_studies(spec(market, "DAYS", "1mo", data=data))
    with pytest.raises(SpecError, match="MONTHS has no bars of 1w, and they cannot be built; stored: 1mo"):
        plan_studies(spec(market, "MONTHS", "1w"))
    with pytest.raises(
        SpecError, match="bars of 36h are no whole days, so they cannot be counted from 09:15 Asia/Kolkata"
    ):
        plan_studies(spec(market, "HOURS", "36h", data={"origin": "09:15 Asia/Kolkata"}))


def test_an_origin_makes_other_studies_of_built_bars_alone(market):
    plain, shifted = (
        {study.bars.timeframe: study.id for study in plan_studies(spec(market, "HOURS", "1h 1d", data=data))}
        for data in ({}, {"origin": "14:00 UTC"})
    )
    assert plain["1h"] == shifted["1h"]
    assert plain["1d"] != shifted["1d"]


def test_a_portfolio_of_months_and_quarters(market, tmp_path):
    one = spec(market, "MONTHS OTHERS", "1mo 3mo", validation={"method": "holdout", "test_fraction": 0.4})
    found = portfolio_of(run_sweep(one, tmp_path, INLINE).run, "equal")
    assert str(found.step) == "3mo"
    (part,) = found.parts
    ends = [moment.astype("M8[M]").astype(int) for moment in part.oos_moments.astype("M8[us]")]
    assert set(np.diff(ends).tolist()) == {3}
    plain = found.to_json()
    assert plain["step"] == "3mo"
    assert plain["folds"][0]["out_of_sample"][1] == "2021-01-01T00:00:00Z"


def test_no_strategy_looks_ahead_on_months(market):
    bars = backtune.load_bars(market, "MONTHS", "1mo")
    report = check_lookahead(StrategyFactory.get("MovingAverageCrossover"), [PARAMS], bars, n_cuts=8, seed=1)
    assert report.is_clean


def test_the_commands_say_which_bar_is_unfinished(market, tmp_path):
    document = spec(market, "DAYS", "1d 1w 1mo").model_dump(mode="json", by_alias=True)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "week.yaml").write_text(yaml.safe_dump({"timeframe": "1w", "params": PARAMS}))
    plan = command("plan", "spec.yaml", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "bars    the last bar of 1mo is built from 16 of 30 days: DAYS" in plan.stdout
    assert "bars    the last bar of 1w is built from 5 of 7 days: DAYS" in plan.stdout
    shown = command("backtest", "spec.yaml", "--params", "week.yaml", cwd=tmp_path)
    assert "the last bar of 1w is built from 5 of 7 days: DAYS" in shown.stdout
    plain = json.loads(
        command("backtest", "spec.yaml", "--params", "week.yaml", "--json", cwd=tmp_path).stdout
    )
    (bar,) = plain["unfinished_bars"]
    assert (bar["place"], bar["opens_at"], bar["filled_seconds"]) == (
        "last",
        "2023-06-12T00:00:00Z",
        5 * 86_400,
    )


def test_months_by_the_command_line(tmp_path):
    made = command("data", "make", "--root", "m", "--assets", "A", "--timeframe", "1M", "--start", "1990-01-01",
                   "--end", "2020-01-01", cwd=tmp_path)  # fmt: skip
    assert made.returncode == 0, made.stderr
    times = pl.datetime_range(datetime(2000, 1, 1), datetime(2004, 12, 1), "1mo", eager=True)  # noqa: DTZ001
    sheet = pl.DataFrame({"time": times, "open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "volume": 1.0})
    sheet.write_csv(tmp_path / "B.csv")
    brought = command("data", "import", "B.csv", "--asset", "B", "--root", "m", "--json", cwd=tmp_path)
    assert brought.returncode == 0, brought.stdout
    (report,) = json.loads(brought.stdout)
    assert (report["timeframe"], report["rows"], report["gaps"], report["end"]) == (
        "1mo",
        60,
        0,
        "2005-01-01T00:00:00+00:00",
    )
    meant = command(
        "data", "import", "B.csv", "--asset", "C", "--timeframe", "1mo", "--root", "m", cwd=tmp_path
    )
    assert meant.returncode == 0, meant.stdout
    listed = json.loads(command("data", "list", "--root", "m", "--json", cwd=tmp_path).stdout)
    assert {(row["asset"], row["timeframe"], row["rows"]) for row in listed} == {
        ("A", "1mo", 360),
        ("B", "1mo", 60),
        ("C", "1mo", 60),
    }
    assert command("data", "check", "--root", "m", cwd=tmp_path).returncode == 0
    tried = command(
        "check-strategy", "MovingAverageCrossover", "--timeframe", "1mo", "--bars", "300", cwd=tmp_path
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
