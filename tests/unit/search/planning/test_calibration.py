"""The calibration finds slow strategies and samplers slow, and ends in time."""

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from sweeps import parsed

from backtune.data.synthetic import make_market
from backtune.search.planning.calibration import calibrate
from backtune.search.planning.cost import ComputePrices
from backtune.search.planning.plan import plan_studies
from backtune.space import Float, Int, Space
from backtune.spec import Search
from backtune.strategy.base import BaseStrategy
from backtune.strategy.registry import StrategyRef

BUILT_IN = ["MovingAverageCrossover", "RSIStrategy"]


class Searched(BaseStrategy):
    """Flat; what it costs is up to the strategies below."""

    @classmethod
    def space(cls):
        return Space({"period": Int(2, 200), "level": Float(0.0, 1.0)})


class Constant(Searched):
    def positions(self, bars):
        time.sleep(0.02)
        return np.zeros(len(bars))


class PerBar(Searched):
    def positions(self, bars):
        time.sleep(len(bars) * 4e-6)
        return np.zeros(len(bars))


class VerySlow(Searched):
    def positions(self, bars):
        time.sleep(len(bars) * 2e-4)
        return np.zeros(len(bars))


class Raises(Searched):
    def positions(self, bars):
        raise ValueError("never works")


class OutOfMemory(Searched):
    def positions(self, bars):
        raise MemoryError


class RaisesOften(Searched):
    def positions(self, bars):
        if self.level > 0.5:
            raise ValueError("only below")
        time.sleep(0.02)
        return np.zeros(len(bars))


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    root = tmp_path_factory.mktemp("calibration")
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="1h", start="2020-01-01", end="2021-06-01", seed=1
    )
    return root


@pytest.fixture(scope="module")
def study(market):
    return plan_studies(parsed(market))[0]


def using(study, cls, **search):
    return replace(
        study,
        strategy=StrategyRef(cls.__name__, cls=cls),
        space=cls.space(),
        search=Search(**{"trials": study.search.trials, "seed": study.search.seed, **search}),
    )


@pytest.mark.parametrize(
    ("cls", "n_bars", "seconds"),
    [
        (Constant, 1_000, 0.02), (Constant, 10_000, 0.02), (PerBar, 1_000, 0.004), (PerBar, 10_000, 0.04),
        (VerySlow, 10_000, 2.0), (RaisesOften, 10_000, 0.01),
    ],
)  # fmt: skip
def test_a_slow_strategy_is_found_slow(study, cls, n_bars, seconds):
    line = calibrate([using(study, cls)]).evaluation[cls.__name__]
    assert seconds * 0.8 < line.at(n_bars) < seconds * 2.5


@pytest.mark.parametrize("cls", [Raises, OutOfMemory])
def test_a_strategy_that_cannot_be_evaluated_keeps_the_rough_price(study, cls):
    broken = using(study, cls)
    prices = calibrate([study, broken])
    assert set(prices.evaluation) == {study.strategy.name}
    assert (
        prices.estimate_cost(broken).evaluation_seconds
        == ComputePrices().estimate_cost(broken).evaluation_seconds
        > 0
    )


def test_built_in_strategies_are_measured_and_far_cheaper_than_slow_ones(market):
    prices = calibrate(plan_studies(parsed(market)))
    assert sorted(prices.evaluation) == BUILT_IN
    for line in prices.evaluation.values():
        assert 1e-6 < line.at(1_000) < 0.02
        assert line.at(1_000) <= line.at(100_000) < 0.2


def test_growth_of_the_backends_is_seen(study):
    line = {
        (sampler, backend): calibrate([using(study, Constant, sampler=sampler, backend=backend)]).suggestion[
            "Constant"
        ]
        for sampler, backend in (("tpe", "optuna"), ("tpe", "rustuna"), ("random", "rustuna"))
    }
    for backend in ("optuna", "rustuna"):
        assert line["tpe", backend].at(1_000) > 1.5 * line["tpe", backend].at(0)
    assert line["tpe", "optuna"].total(300) > 3 * line["tpe", "rustuna"].total(300)
    assert line["tpe", "rustuna"].total(1_000) > 3 * line["random", "rustuna"].total(1_000)


@pytest.mark.parametrize(
    "search",
    [
        {"sampler": "grid"},
        {"sampler": "nsga2", "objectives": ["sharpe_ratio", "-max_drawdown"]},
        {"sampler": "cma-es", "backend": "optuna"},
        {"sampler": "random", "constraints": {"total_trades": ">= 3"}},
    ],
)
def test_every_sampler_can_be_measured(study, search):
    line = calibrate([using(study, PerBar, **search)]).suggestion["PerBar"]
    assert 1e-7 < line.at(100) < 0.1


def test_a_space_with_one_candidate_can_be_measured(study):
    fixed = replace(using(study, PerBar), space=Space({"period": Int(3, 3), "level": Float(0.5, 0.5)}))
    prices = calibrate([fixed])
    assert prices.estimate_cost(fixed).n_left == 1
    assert prices.estimate_cost(fixed).seconds > 0


def test_it_is_measured_once_in_a_process(study):
    # Twice measured, no two times are alike.
    assert calibrate([study]) == calibrate([study])


def test_many_slow_strategies_end_in_time_and_the_users_own_come_first(study):
    own = [using(study, type(f"Own{i}", (Constant,), {})) for i in range(40)]
    prices = calibrate([study, *own], seconds=0.5)
    assert 2 <= len(prices.evaluation) < 41
    assert study.strategy.name not in prices.evaluation


def test_it_can_be_left_out(study):
    assert calibrate([study], seconds=0) == ComputePrices()
    assert calibrate([]) == ComputePrices()


def test_bars_that_cannot_be_read_are_left_to_the_studies(market, tmp_path):
    copy = tmp_path / "market"
    shutil.copytree(market, copy)
    studies = plan_studies(parsed(copy))
    for file in copy.rglob("*.parquet"):
        file.write_bytes(b"not the file")
    assert calibrate(studies) == ComputePrices()
