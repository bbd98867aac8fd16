"""Early stopping in whole sweeps: cut off anywhere the rows are the same, and nothing outside the train window is seen."""

import random

import polars as pl
import pytest
from sweeps import INLINE, assert_same_rows, parsed, rows_of

from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars
from backtune.results.log.segments import read_log
from backtune.results.log.summary import StudySummary
from backtune.search.executors.unit import UnitContext, run_unit
from backtune.search.planning.plan import plan_studies
from backtune.search.study_loop.study import run_study
from backtune.simulation.metrics import METRICS
from backtune.sweep import Options, run_sweep
from backtune.validation.windows import leading_window, search_window

STOPPING = {"rungs": [0.2, 0.5], "top": 0.3, "startup_trials": 5}
SEARCHES = {
    "tpe": {"sampler": "tpe"},
    "cma-es": {"sampler": "cma-es"},
    "nsga2": {"sampler": "nsga2", "objectives": ["sharpe_ratio", "-max_drawdown"]},
    "random": {"sampler": "random", "objectives": ["-max_drawdown"]},
}
CELL = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}
# Twenty-six candidates for ninety trials.
FEW = {"oversold": 30.0, "overbought": 70.0, "period": {"type": "int", "low": 5, "high": 30}}


def spec_of(market, search, trials=90, **changes):
    search = {"early_stopping": STOPPING, "trials": trials, **search}
    return parsed(market, grid=CELL, search=search, **changes)


@pytest.fixture(scope="module")
def stopped(market, tmp_path_factory):
    """Undisturbed runs by sampler."""
    return {
        name: run_sweep(spec_of(market, search), tmp_path_factory.mktemp(name), INLINE)
        for name, search in SEARCHES.items()
    }


def stop_after(n):
    """A stop that lets ``n`` trials through."""
    left = iter(range(n))
    return lambda: next(left, None) is None


def brought_on(study, folder, n):
    """The study's summary, at most ``n`` trials further."""
    assert not list(run_study(study, folder, stop_after(n)))
    return StudySummary.read(folder)


@pytest.mark.parametrize("sampler", SEARCHES)
def test_a_stopped_trial_is_a_row_of_its_rungs_alone(stopped, sampler):
    rows = stopped[sampler].trials()
    (study,) = stopped[sampler].run.studies
    early = rows.filter(pl.col("reason").str.starts_with("stopped early: on the first "))
    assert 0 < early.height < rows.height
    assert early["state"].unique().to_list() == ["infeasible"]
    assert early.select("values_0", *METRICS).null_count().row(0) == (early.height,) * (1 + len(METRICS))
    assert early["block_count"].arr.sum().sum() == 0
    assert early["rung_0_values_0"].is_not_null().all()
    assert (early["rung_1_values_0"].is_null() == early["reason"].str.contains("first 20 %")).all()
    others = rows.filter(~pl.col("reason").str.starts_with("stopped early"))
    assert others["values_0"].is_not_null().all()
    assert (others["block_count"].arr.sum() > 0).all()
    summary = StudySummary.read(stopped[sampler].run.study_folder(study.id))
    assert summary.n_stopped == early.height
    assert summary.n_infeasible == rows.filter(pl.col("state") == "infeasible").height
    states = dict(rows.select("number", "state").iter_rows())
    assert summary.winners
    assert all(states[winner.number] == "complete" for winner in summary.winners)


@pytest.mark.parametrize("sampler", SEARCHES)
def test_cut_off_anywhere_and_resumed_the_rows_are_the_same(market, tmp_path, stopped, sampler):
    (study,) = plan_studies(spec_of(market, SEARCHES[sampler]))
    draw = random.Random(sampler)  # noqa: S311
    n_cuts = 0
    while (summary := brought_on(study, tmp_path, draw.randrange(12))).state == "partial":
        n_cuts += 1
    assert n_cuts > 5
    assert summary.n_trials == 90
    assert_same_rows({study.id: read_log(tmp_path).drop("duration_seconds")}, rows_of(stopped[sampler].run))


def test_islands_meet_with_early_stopping(market, tmp_path):
    """The trials that islands read of each other have rungs too; interrupted and resumed islands exchange the same."""
    spec = spec_of(market, {"islands": 2}, trials=440)
    at_once = run_sweep(spec, tmp_path / "once", INLINE)
    assert at_once.exit_status == 0
    islands = plan_studies(spec)
    folder = tmp_path / "resumed"
    logs = {}
    while any(logs.get(study.id) is None or len(logs[study.id]) < 220 for study in islands):
        run_unit(islands, UnitContext(folder, stop_after(97)))
        logs = {study.id: read_log(folder / study.id) for study in islands}
    assert_same_rows({name: log.drop("duration_seconds") for name, log in logs.items()}, rows_of(at_once.run))


@pytest.mark.parametrize("sampler", SEARCHES)
def test_a_larger_budget_extends_to_the_same_rows(market, tmp_path, stopped, sampler):
    for trials in (41, 42, 90):
        grown = run_sweep(spec_of(market, SEARCHES[sampler], trials), tmp_path, INLINE)
    assert_same_rows(rows_of(grown.run), rows_of(stopped[sampler].run))


def test_repeats_of_a_stopped_candidate_are_answered_from_the_log(market, tmp_path):
    spec = spec_of(market, {"sampler": "random"}, space={"RSIStrategy": FEW})
    rows = run_sweep(spec, tmp_path, INLINE).trials()
    known = rows.drop("number", "duration_seconds", "study")
    assert known.n_unique() == rows["params_period"].n_unique() < rows.height
    early = rows.filter(pl.col("reason").str.starts_with("stopped early"))
    assert early.filter(pl.col("duration_seconds") == 0.0).height > 0
    assert rows.filter(pl.col("duration_seconds") > 0.0).height == rows["params_period"].n_unique()


def test_rungs_are_the_objectives_on_the_first_bars(market, stopped):
    (study,) = plan_studies(spec_of(market, SEARCHES["nsga2"]))
    window = search_window(study.bars.load(), study.fold.train)
    rungs = [leading_window(window, fraction) for fraction in STOPPING["rungs"]]
    assert [len(rung.bars) for rung in rungs] == [-(-len(window.bars) // 5), -(-len(window.bars) // 2)]
    rows = stopped["nsga2"].trials()
    for row in rows.sample(12, seed=2).iter_rows(named=True):
        params = {name: row[f"params_{name}"] for name in study.space}
        for k, rung in enumerate(rungs):
            found = (row[f"rung_{k}_values_0"], row[f"rung_{k}_values_1"])
            assert found in ((None, None), study.evaluator(rung).measure_objectives(params))


def test_other_bars_after_the_train_window_change_no_row(market, tmp_path, stopped):
    """The same bars up to the test window and others from there on; only the winner's test may differ."""
    (study,) = plan_studies(spec_of(market, SEARCHES["tpe"]))
    bars = load_bars(market, "AAA", "15m").to_frame()
    other = bars.with_columns(
        pl.when(pl.col("timestamp").dt.epoch("us") < study.fold.train.end)
        .then(pl.col(name))
        .otherwise(pl.col(name).reverse())
        for name in ("open", "high", "low", "close")
    )
    other.write_parquet(tmp_path / "AAA_15m.parquet")
    (report,) = import_bars([tmp_path / "AAA_15m.parquet"], tmp_path / "market")
    assert not report.error
    seen = run_sweep(spec_of(tmp_path / "market", SEARCHES["tpe"]), tmp_path / "runs", INLINE)
    assert (
        seen.trials()
        .drop("study", "duration_seconds")
        .equals(stopped["tpe"].trials().drop("study", "duration_seconds"), null_equal=True)
    )
    assert (
        seen.leaderboard()["oos_sharpe_ratio"].to_list()
        != stopped["tpe"].leaderboard()["oos_sharpe_ratio"].to_list()
    )


@pytest.mark.parametrize("body", ["raise ValueError('never')", "assert len(bars) > 4000, 'too few bars'"])
def test_what_fails_on_a_rung_is_judged_on_the_whole_window(market, tmp_path, body):
    strategy = (
        "import numpy as np\n"
        "from backtune import BaseStrategy, Float, Space\n\n"
        "class Fragile(BaseStrategy):\n"
        "    @classmethod\n"
        "    def space(cls):\n"
        "        return Space(level=Float(0.0, 1.0))\n\n"
        "    def positions(self, bars):\n"
        f"        {body}\n"
        "        return np.sign(np.diff(bars.close, prepend=bars.close[0]))\n"
    )
    (tmp_path / "fragile.py").write_text(strategy)
    grid = {"strategies": [{"file": str(tmp_path / "fragile.py"), "class": "Fragile"}], "assets": ["AAA"]}
    search = {"trials": 30, "early_stopping": STOPPING, "sampler": "random"}
    rows = run_sweep(parsed(market, grid=grid, search=search), tmp_path / "runs", INLINE).trials()
    assert rows["state"].unique().to_list() == ["failed" if "never" in body else "complete"]
    assert rows["rung_0_values_0"].null_count() == 30


@pytest.mark.ray
@pytest.mark.slow
def test_rows_are_equal_on_two_workers(market, tmp_path):
    spec = parsed(market, search={"trials": 90, "early_stopping": STOPPING})
    here = run_sweep(spec, tmp_path / "here", INLINE)
    there = run_sweep(spec, tmp_path / "there", Options(workers=2, tracking=False))
    assert there.trials()["reason"].str.starts_with("stopped early").any()
    assert_same_rows(rows_of(there.run), rows_of(here.run))
