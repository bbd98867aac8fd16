"""Spaces with rules and conditions in real sweeps, from the spec to the log and back."""

from pathlib import Path

import pytest
from sweeps import INLINE, assert_same_rows, parsed, rows_of

from backtune import backtest, load_bars
from backtune.errors import SpecError
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.log.segments import decode_params
from backtune.search.planning.plan import plan_studies
from backtune.sweep import run_sweep

EXITS = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune import BaseStrategy, Bars, Choice, Float, Int, Space


@dataclass(frozen=True)
class Exits(BaseStrategy):
    name: ClassVar[str] = "Exits"
    mode: str = "time"
    period: int = 20
    hold: int = 5
    depth: int = 3
    margin: float = 0.0

    @classmethod
    def space(cls) -> Space:
        return Space(
            mode=Choice(("none", "time", "level")),
            period=Int(5, 50, default=20),
            hold=Int(1, 60, default=5, when={"mode": "time"}),
            depth=Choice((1, 2.5), when={"mode": ["level"]}),
            margin=Float(0.0, 0.02, default=0.01, when={"mode": "level"}),
            rules=["hold < period"],
        )

    def positions(self, bars: Bars) -> np.ndarray:
        targets = np.zeros(len(bars))
        long = bars.close[self.period :] > bars.close[: -self.period] * (1 + self.margin / self.depth)
        targets[self.period :] = long
        if self.mode == "time":
            targets[:: self.hold + 1] = 0.0
        return targets
"""


def exits(tmp_path: Path, market: Path, **changes):
    (tmp_path / "exits.py").write_text(EXITS)
    grid = {"strategies": [{"file": str(tmp_path / "exits.py"), "class": "Exits"}], "assets": ["AAA"]}
    return parsed(market, **{"grid": grid, "search": {"trials": 30}, **changes})


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "grid"])
def test_a_conditional_space_is_searched_stored_and_replayed(tmp_path, market, sampler):
    spec = exits(tmp_path, market, search={"sampler": sampler, "trials": 30})
    result = run_sweep(spec, tmp_path / "runs", INLINE)
    assert result.exit_status == 0
    (entry,) = result.run.studies
    trials = result.trials()
    assert trials["state"].to_list().count("failed") == 0
    is_time, is_level = trials["params_mode"] == "time", trials["params_mode"] == "level"
    assert (trials["params_hold"].is_not_null() == is_time).all()
    assert (trials["params_margin"].is_not_null() == is_level).all()
    assert set(trials["params_depth"].drop_nulls()) <= {"1", "2.5"}
    assert (trials.filter(is_time)["params_hold"] < trials.filter(is_time)["params_period"]).all()
    space = entry.parse_space()
    for row in trials.iter_rows(named=True):
        assert space.select_active(decode_params(row, space)) == decode_params(row, space)
    # A larger budget replays the rows of the smaller one before it goes on.
    before = rows_of(result.run)
    extended = run_sweep(
        exits(tmp_path, market, search={"sampler": sampler, "trials": 45}), tmp_path / "runs", INLINE
    )
    assert extended.exit_status == 0
    assert_same_rows(before, {name: rows[:30] for name, rows in rows_of(extended.run).items()})


def test_a_winner_without_its_inactive_parameters_gives_the_same_metrics(tmp_path, market):
    spec = exits(tmp_path, market, space={"Exits": {"mode": "time"}}, validation={"method": "none"})
    (row,) = build_leaderboard(run_sweep(spec, tmp_path / "runs", INLINE).run)
    assert list(row.params) == ["mode", "period", "hold"]
    from backtune.strategy.registry import resolve_strategy

    found = backtest(
        resolve_strategy(spec.grid.strategies[0]).load(), row.params, load_bars(market, "AAA", "1h")
    )
    assert {name: found.metrics[name] for name in row.is_metrics} == row.is_metrics


def test_equal_candidates_are_answered_from_the_log(tmp_path, market):
    fixed = {
        "Exits": {
            "mode": {"choices": ["none", "level"]},
            "period": 10,
            "depth": 1,
            "margin": {"low": 0, "high": 0.02},
        }
    }
    result = run_sweep(
        exits(tmp_path, market, space=fixed, search={"sampler": "tpe", "trials": 30}),
        tmp_path / "runs",
        INLINE,
    )
    trials = result.trials()
    plain = trials.filter(trials["params_mode"] == "none")
    assert len(plain) > 1
    assert (plain["duration_seconds"] > 0).sum() == 1


def test_overlapping_ranges_keep_the_strategys_rule_and_those_of_the_spec(tmp_path, market):
    ranges = {
        "fast_period": {"type": "int", "low": 3, "high": 120},
        "slow_period": {"type": "int", "low": 3, "high": 120},
    }
    space = {"MovingAverageCrossover": {**ranges, "rules": ["slow_period <= 4 * fast_period"]},
             "MovingAverageCrossover/AAA": {"rules": ["stop_loss < take_profit"]}}  # fmt: skip
    execution = {
        "stop_loss": {"type": "float", "low": 0.01, "high": 0.2},
        "take_profit": {"type": "float", "low": 0.01, "high": 0.2},
    }
    spec = parsed(
        market,
        grid={"strategies": ["MovingAverageCrossover"]},
        space=space,
        execution=execution,
        search={"trials": 40},
    )
    result = run_sweep(spec, tmp_path / "runs", INLINE)
    assert result.exit_status == 0
    trials = result.trials()
    fast, slow = trials["params_fast_period"], trials["params_slow_period"]
    assert len(trials) == 80
    assert ((fast < slow) & (slow <= 4 * fast)).all()
    stops = trials["params_stop_loss"] < trials["params_take_profit"]
    assert stops.filter(trials["study"].str.contains("AAA")).all()
    assert not stops.filter(trials["study"].str.contains("BBB")).all()


def test_a_stop_under_a_condition_is_used_only_then(tmp_path, market):
    execution = {"trailing_stop": {"type": "float", "low": 0.005, "high": 0.05, "when": {"mode": "level"}}}
    spec = exits(tmp_path, market, execution=execution, validation={"method": "none"})
    result = run_sweep(spec, tmp_path / "runs", INLINE)
    trials = result.trials()
    assert result.exit_status == 0
    assert (trials["params_trailing_stop"].is_not_null() == (trials["params_mode"] == "level")).all()
    assert "failed" not in trials["state"].to_list()
    without = run_sweep(
        exits(tmp_path, market, validation={"method": "none"}), tmp_path / "others", INLINE
    ).trials()
    columns = ["params_period", "params_hold", "total_return"]
    both = (
        trials.filter(trials["params_mode"] == "time")
        .select(columns)
        .join(without.select(columns), on=columns[:2])
    )
    assert (both["total_return"] == both["total_return_right"]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rules": ["fast_period < slow"]}, r"space.MovingAverageCrossover.rules: .*'slow' is not a parameter"),
        ({"fast_period": {"type": "int", "low": 60, "high": 90}, "slow_period": 50}, "'fast_period < slow_period' can never hold"),
        ({"rules": ["2 * fast_period < slow_period", "slow_period < 2 * fast_period + 0.5"]}, "keeps"),
    ],
)  # fmt: skip
def test_a_space_without_candidates_is_refused_before_any_work(market, changes, message):
    spec = parsed(
        market, grid={"strategies": ["MovingAverageCrossover"]}, space={"MovingAverageCrossover": changes}
    )
    with pytest.raises(SpecError, match=message):
        plan_studies(spec)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            "fast_period < slow_period",
            r"space.M\*?.*rules: 'fast_period < slow_period' is not a list of rules",
        ),
        (["fast_period = slow_period"], "is not a rule"),
        ([3], "is not a list of rules"),
    ],
)
def test_rules_of_a_spec_that_cannot_be_read(market, rules, message):
    with pytest.raises(SpecError, match=message):
        parsed(market, space={"MovingAverageCrossover": {"rules": rules}})
