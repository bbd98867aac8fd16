"""What counts as positions, and what a strategy class gets without asking."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from oracles import make_bars

from backtune.data.bars import Bars
from backtune.errors import SpecError, StrategyError
from backtune.simulation.backtest import backtest
from backtune.space import Choice, Space
from backtune.strategy.base import BaseStrategy, check_positions


@pytest.mark.parametrize(
    "given",
    [
        [0, 1, -1],
        (0.0, 1.0, -1.0),
        np.array([0, 1, -1], dtype=np.int8),
        pl.Series([0, 1, -1]),
        pd.Series([0, 1, -1]),
        np.array([[0, 1, -1], [1, 1, 1]], order="F")[0],
    ],
)
def test_usable_positions(given: object) -> None:
    targets = check_positions(given, 3, "S")
    assert targets.dtype == np.float64
    assert targets.flags.c_contiguous
    assert targets.tolist() == [0.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("given", "fragment"),
    [
        ([0, 1], r"S: positions have shape \(2,\), expected \(3,\)"),
        ([[0, 1, 0]], r"shape \(1, 3\)"),
        ([0, np.nan, 2], "S: positions are NaN at bar 1; return 0 where no position is known, as np"),
        ([0, 0, 1.0000001], "position 1.0000001 at bar 2"),
        ([0, -np.inf, 0], "position -inf at bar 1"),
        (["long", 0, 0], "positions are not numbers"),
        ([None, 0, 0], "S: positions are NaN at bar 0, the warm-up; return 0"),
        (None, "shape"),
    ],
)
def test_unusable_positions(given: object, fragment: str) -> None:
    with pytest.raises(StrategyError, match=fragment):
        check_positions(given, 3, "S")


NAN = np.nan
NAN_AT = [
    ([NAN, NAN, NAN, 0, 0], "NaN at bars 0 to 2 (2021-01-01 00:00 to 2021-01-01 02:00), the warm-up; return 0"),
    ([NAN, 0, 0, 0, 0], "NaN at bar 0 (2021-01-01 00:00), the warm-up; return 0"),
    ([0, 0, NAN, NAN, 0], "NaN at bars 2 to 3 (2021-01-01 02:00 to 2021-01-01 03:00); return 0"),
    ([NAN, NAN, 0, 0, NAN], "NaN at bars 0 to 1 (2021-01-01 00:00 to 2021-01-01 01:00) and at 1 more; return 0"),
    ([0, NAN, 0, NAN, NAN], "NaN at bar 1 (2021-01-01 01:00) and at 2 more; return 0"),
    ([NAN] * 5, "NaN at every bar, bars 0 to 4 (2021-01-01 00:00 to 2021-01-01 04:00); return 0"),
    ([NAN, 7, 0, 0, 0], "NaN at bar 0 (2021-01-01 00:00), the warm-up; return 0"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "told"), NAN_AT)
def test_nan_is_told_with_its_bars_times_and_the_way_out(given: list[float], told: str) -> None:
    times = 1_609_459_200_000_000 + np.arange(5) * 3_600_000_000
    with pytest.raises(StrategyError) as caught:
        check_positions(np.array(given), 5, "S", times)
    assert str(caught.value).startswith(f"S: positions are {told}")
    assert str(caught.value).endswith(" where no position is known, as np.nan_to_num(positions) does")


class Raises(BaseStrategy):
    @classmethod
    def space(cls) -> Space:
        return Space(level=Choice((1, 2)))

    def positions(self, bars: Bars) -> np.ndarray:
        raise KeyError("no such column")


class Level(BaseStrategy):
    name = "a level"
    level: float

    @classmethod
    def space(cls) -> Space:
        return Space(level=Choice((0.5, 1.0)))

    def positions(self, bars: Bars) -> np.ndarray:
        return np.full(len(bars), self.level)


BARS = make_bars([1, 2, 3], [2, 3, 3])


def test_a_class_is_called_as_it_is_written_unless_it_says_otherwise() -> None:
    assert Raises.name == "Raises"
    assert Level.name == "a level"


def test_parameters_become_attributes() -> None:
    assert backtest(Level, {"level": 0.25}, BARS).metrics == backtest(Level(level=0.25), None, BARS).metrics
    assert backtest(Level, {}, BARS).quantity == pytest.approx(backtest(Level(level=0.5), {}, BARS).quantity)


def test_what_a_strategy_raises_becomes_a_strategy_error() -> None:
    with pytest.raises(StrategyError, match="Raises: KeyError: 'no such column'") as caught:
        backtest(Raises, {}, BARS)
    assert isinstance(caught.value.__cause__, KeyError)


def test_unknown_parameter() -> None:
    with pytest.raises(SpecError, match=r"params\.leevl.*did you mean 'level'"):
        backtest(Level, {"leevl": 1}, BARS)


@pytest.mark.parametrize("strategy", [3, int, "Levell"])
def test_not_a_strategy(strategy: object) -> None:
    with pytest.raises((StrategyError, SpecError), match="not a strategy"):
        backtest(strategy, {}, BARS)  # type: ignore[arg-type]


def test_whole_numbers_written_as_floats() -> None:
    ramp = make_bars(np.arange(1.0, 100.0), np.arange(1.0, 100.0))
    whole, table = ({"fast_period": 10, "slow_period": 50}, {"fast_period": 10.0, "slow_period": 50.0})
    assert (
        backtest("MovingAverageCrossover", whole, ramp).metrics
        == backtest("MovingAverageCrossover", table, ramp).metrics
    )
