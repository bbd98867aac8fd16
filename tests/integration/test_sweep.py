"""A sweep from spec to leaderboard, in this process."""

import json
import math
from pathlib import Path

import polars as pl
import pytest
from sweeps import INLINE, add_funding, assert_same_rows, build_market, parsed, rows_of

import backtune
from backtune.errors import ResultsError
from backtune.results.stored_sweep import StoredSweep
from backtune.simulation.metrics import METRICS
from backtune.sweep import Options, run_sweep

STRATEGY_THAT_RAISES = """
import numpy as np
from backtune import BaseStrategy, Float, Space

class Fragile(BaseStrategy):
    name = "Fragile"

    @classmethod
    def space(cls):
        return Space(level=Float(0.0, 1.0))

    def positions(self, bars):
        {body}
        return np.sign(np.diff(bars.close, prepend=bars.close[0]))
"""


def test_every_study_has_its_rows_and_a_leaderboard_row(undisturbed):
    rows = undisturbed.leaderboard()
    assert undisturbed.exit_status == 0
    assert sorted(zip(rows["strategy"], rows["asset"], rows["timeframe"], strict=True)) == [
        ("MovingAverageCrossover", "AAA", "1h"),
        ("MovingAverageCrossover", "BBB", "1h"),
        ("RSIStrategy", "AAA", "1h"),
        ("RSIStrategy", "BBB", "1h"),
    ]
    assert rows["n_trials"].to_list() == [40] * 4
    assert {f"is_{name}" for name in METRICS} | {f"oos_{name}" for name in METRICS} <= set(rows.columns)
    # By what the search saw; the tests decide nothing.
    ranked = [(row.has_few_trades, -row.values[0]) for row in undisturbed.rows()]
    assert ranked == sorted(ranked)
    assert len(undisturbed.trials()) == 160


def test_the_best_is_a_complete_row_and_is_reproduced_to_the_last_digit(undisturbed, market):
    for row in undisturbed.rows():
        trials = undisturbed.trials(row.study)
        best = trials.filter(pl.col("number") == row.trial).to_dicts()[0]
        assert best["state"] == "complete"
        assert best["values_0"] == trials.filter(pl.col("state") == "complete")["values_0"].max()
        bars = backtune.load_bars(market, row.asset, row.timeframe)
        cut = json.loads((undisturbed.run.folder / "sweep.json").read_text())
        assert cut["sweep_id"] == undisturbed.run.sweep_id
        split = holdout_row(bars)
        result = backtune.backtest(row.strategy, row.params, bars[:split])
        assert result.metrics == row.is_metrics == {name: best[name] for name in METRICS}
        assert math.isfinite(row.values[0])


def holdout_row(bars):
    """The first bar of the last 30 % of the time, cut at midnight."""
    end = int(bars.timestamp[-1]) + bars.timeframe.microseconds
    cut = end - round(0.3 * (end - int(bars.timestamp[0])))
    cut -= cut % 86_400_000_000
    return int((bars.timestamp < cut).sum())


def test_running_again_runs_no_candidate(undisturbed, market):
    studies = undisturbed.run.folder / "studies"
    before = {path: path.stat().st_mtime_ns for path in studies.rglob("*.parquet")}
    again = run_sweep(parsed(market), undisturbed.run.folder.parent, INLINE)
    assert again.exit_status == 0
    assert {path: path.stat().st_mtime_ns for path in studies.rglob("*.parquet")} == before


def test_studies_of_another_sweep_are_found_and_not_run_again(undisturbed, market):
    larger = parsed(market, name="again", grid={"strategies": ["RSIStrategy", "MACDStrategy"]})
    again = run_sweep(larger, undisturbed.run.folder.parent, INLINE)
    assert again.run.folder != undisturbed.run.folder
    shared = [study.id for study in again.run.studies if study.strategy == "RSIStrategy"]
    assert len(shared) == 2
    for study in shared:
        # Durations too: these are the very rows, not equal ones.
        assert again.trials(study).equals(undisturbed.trials(study))
    assert again.trials().height == 160


@pytest.mark.parametrize("sampler", ["tpe", "cma-es", "nsga2", "random", "grid"])
def test_a_larger_budget_extends_to_the_same_rows(market, tmp_path, sampler):
    small, large = ({"sampler": sampler, "trials": n, "seed": 5} for n in (23, 61))
    grid = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}
    run_sweep(parsed(market, search=small, grid=grid), tmp_path / "grown", INLINE)
    grown = run_sweep(parsed(market, search=large, grid=grid), tmp_path / "grown", INLINE)
    at_once = run_sweep(parsed(market, search=large, grid=grid), tmp_path / "once", INLINE)
    assert grown.run.folder.name == at_once.run.folder.name
    assert grown.trials().height == 61
    assert_same_rows(rows_of(grown.run), rows_of(at_once.run))


def test_an_exhausted_grid_is_complete(market, tmp_path):
    fixed = {
        "RSIStrategy": {
            "oversold": 30.0,
            "overbought": 70.0,
            "period": {"type": "int", "low": 10, "high": 14},
        }
    }
    spec = parsed(
        market,
        grid={"strategies": ["RSIStrategy"], "assets": ["AAA"]},
        search={"sampler": "grid"},
        space=fixed,
    )
    result = run_sweep(spec, tmp_path, INLINE)
    assert result.exit_status == 0
    assert sorted(result.trials()["params_period"].to_list()) == [10, 11, 12, 13, 14]
    assert run_sweep(spec, tmp_path, INLINE).trials().height == 5


def test_repeated_candidates_are_answered_from_the_log(market, tmp_path):
    few = {
        "RSIStrategy": {
            "oversold": 30.0,
            "overbought": 70.0,
            "period": {"type": "int", "low": 10, "high": 12},
        }
    }
    spec = parsed(
        market,
        grid={"strategies": ["RSIStrategy"], "assets": ["AAA"]},
        search={"sampler": "random"},
        space=few,
    )
    trials = run_sweep(spec, tmp_path, INLINE).trials()
    assert trials.height == 40
    assert trials.filter(pl.col("duration_seconds") > 0).height == 3
    assert trials.group_by("params_period").agg(pl.col("values_0").n_unique())["values_0"].to_list() == [
        1,
        1,
        1,
    ]


def test_several_objectives_give_a_pareto_front(market, tmp_path):
    search = {"sampler": "nsga2", "trials": 80, "objectives": ["sharpe_ratio", "-max_drawdown"]}
    result = run_sweep(parsed(market, search=search), tmp_path, INLINE)
    for study in result.run.studies:
        points = [row.values for row in result.rows() if row.study == study.id]
        complete = result.trials(study.id).filter(pl.col("state") == "complete")
        for sharpe, drawdown in complete.select("values_0", "values_1").iter_rows():
            better = [p for p in points if p[0] >= sharpe and p[1] <= drawdown]
            assert better, "a complete trial is not covered by the front"
        assert not any(a != b and a[0] >= b[0] and a[1] <= b[1] for a in points for b in points), (
            "a point of the front is dominated"
        )


def test_constraints_make_trials_infeasible_with_a_reason(market, tmp_path):
    search = {"constraints": {"total_trades": ">= 60"}}
    result = run_sweep(parsed(market, search=search), tmp_path, INLINE)
    trials = result.trials()
    infeasible = trials.filter(pl.col("state") == "infeasible")
    assert infeasible.height > 0
    assert (infeasible.filter(pl.col("total_return") > -1)["total_trades"] < 60).all()
    reasons = infeasible.filter(~pl.col("reason").str.starts_with("ruined"))["reason"]
    assert reasons.str.contains(r"^total_trades >= (1|60) does not hold \(\d+\)$").all()
    assert (trials.filter(pl.col("state") == "complete")["total_trades"] >= 60).all()


def test_stops_are_searched_and_reproduced_to_the_last_digit(market, tmp_path):
    execution = {"stop_loss": {"type": "float", "low": 0.01, "high": 0.1}, "trailing_stop": 0.2}
    result = run_sweep(parsed(market, execution=execution, search={"trials": 20}), tmp_path, INLINE)
    assert result.exit_status == 0
    assert result.trials()["params_stop_loss"].n_unique() > 40
    row = result.rows()[0]
    assert 0.01 <= row.params["stop_loss"] <= 0.1
    bars = backtune.load_bars(market, row.asset, row.timeframe)
    again = json.loads(json.dumps(row.params))
    assert (
        backtune.backtest(row.strategy, again, bars[: holdout_row(bars)], {"trailing_stop": 0.2}).metrics
        == row.is_metrics
    )


def test_funding_is_paid_by_the_search_as_by_a_backtest(tmp_path):
    root = build_market(tmp_path / "market")
    add_funding(root, "AAA")
    grid = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}
    search = {"sampler": "random", "trials": 12}  # the same candidates whatever they are worth
    free = run_sweep(parsed(root, grid=grid, search=search), tmp_path / "runs", INLINE)
    paid = run_sweep(
        parsed(root, grid=grid, search=search, data={"funding": True}), tmp_path / "runs", INLINE
    )
    assert free.run.sweep_id != paid.run.sweep_id
    params = [name for name in free.trials().columns if name.startswith("params_")]
    assert free.trials().select(params).equals(paid.trials().select(params))
    assert (free.trials()["total_return"] != paid.trials()["total_return"]).any()
    (row,) = paid.rows()
    bars = backtune.load_bars(root, row.asset, row.timeframe, funding=True)
    split = holdout_row(bars)
    assert backtune.backtest(row.strategy, row.params, bars[:split]).metrics == row.is_metrics
    without = backtune.load_bars(root, row.asset, row.timeframe)
    assert backtune.backtest(row.strategy, row.params, without[:split]).metrics != row.is_metrics


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('no such level')", "ValueError: no such level"),
        ("return np.full(len(bars), np.nan)", "positions are NaN at"),
        ("return np.zeros(len(bars) - 1)", "expected ("),
        ("return 'long'", "positions are not numbers"),
        ("bars.close[0] = 1.0", "read-only"),
    ],
)
def test_a_broken_strategy_costs_only_its_own_trials(market, tmp_path, body, reason):
    file = tmp_path / "fragile.py"
    file.write_text(STRATEGY_THAT_RAISES.format(body=body))
    grid = {"strategies": [{"file": str(file), "class": "Fragile"}, "RSIStrategy"], "assets": ["AAA"]}
    result = run_sweep(parsed(market, grid=grid, search={"trials": 10}), tmp_path / "runs", INLINE)
    assert result.exit_status == 1
    assert len(result.failures()) == 1
    trials = {study.strategy: result.trials(study.id) for study in result.run.studies}
    assert trials["Fragile"]["state"].to_list() == ["failed"] * 10
    assert all(reason in text for text in trials["Fragile"]["reason"])
    assert trials["RSIStrategy"].height == 10
    assert [row.strategy for row in result.rows() if row.values] == ["RSIStrategy"]


def test_a_candidate_that_fails_now_and_then_is_a_failed_row_among_others(market, tmp_path):
    file = tmp_path / "fragile.py"
    file.write_text(STRATEGY_THAT_RAISES.format(body="assert self.level < 0.7, 'too high'"))
    grid = {"strategies": [{"file": str(file), "class": "Fragile"}], "assets": ["AAA"]}
    result = run_sweep(parsed(market, grid=grid), tmp_path / "runs", INLINE)
    trials = result.trials()
    assert (trials.filter(pl.col("params_level") >= 0.7)["state"] == "failed").all()
    assert "failed" not in trials.filter(pl.col("params_level") < 0.7)["state"].to_list()
    assert result.exit_status == 0


def test_a_time_budget_ends_early_and_the_next_start_goes_on(market, tmp_path, undisturbed_rows):
    spec = parsed(market)
    short = spec.model_copy(update={"compute": spec.compute.model_copy(update={"time_budget": 1e-6})})
    assert run_sweep(short, tmp_path, INLINE).exit_status == 3
    done = run_sweep(spec, tmp_path, INLINE)
    assert done.exit_status == 0
    assert_same_rows(rows_of(done.run), undisturbed_rows)


def test_one_driver_at_a_time(undisturbed, market):
    with undisturbed.run.lock(), pytest.raises(ResultsError, match="another backtune is running this sweep"):
        run_sweep(parsed(market), undisturbed.run.folder.parent, INLINE)


def test_progress_reaches_the_whole(market, tmp_path):
    seen = []
    options = Options(executor="inline", tracking=False, on_progress=seen.append)
    result = run_sweep(parsed(market), tmp_path, options)
    assert (seen[-1].n_studies_done, seen[-1].n_trials, seen[-1].n_trials_planned) == (4, 160, 160)
    assert seen[-1].best == max(row.values[0] for row in result.rows())


def test_a_run_can_be_opened_from_its_folder(undisturbed):
    opened = StoredSweep.open(undisturbed.run.folder)
    assert opened == undisturbed.run
    with pytest.raises(ResultsError, match="no sweep here"):
        StoredSweep.open(Path("/nonexistent"))
