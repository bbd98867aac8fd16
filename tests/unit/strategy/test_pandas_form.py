"""Classes in the usual pandas idiom run as strategies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles import FREE, make_bars

from backtune.errors import SpecError, StrategyError
from backtune.simulation.backtest import backtest
from backtune.space import Choice, Float, Int, Space
from backtune.strategy.registry import to_strategy_class

CLOSE = np.array([10, 11, 12, 11, 10, 9, 10, 12, 13, 12.5])
BARS = make_bars(CLOSE, CLOSE)


class Momentum:
    """Long after a rise over ``lookback`` bars, short after a fall."""

    def __init__(self, lookback: int = 1) -> None:
        self.lookback = lookback

    def get_parameters(self) -> dict[str, dict[str, Any]]:
        return {"lookback": {"type": "int", "low": 1, "high": 5, "default": 2}}

    def generate_signals(self, data: pd.DataFrame) -> pd.DataFrame:
        data["signal"] = np.sign(data["close"].diff(self.lookback)).fillna(0)
        return data


class NoKeywords(Momentum):
    lookback = 0

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    def generate_signals(self, data: pd.DataFrame) -> pd.DataFrame:
        assert self.parameters == {"lookback": self.lookback}  # type: ignore[attr-defined]
        return super().generate_signals(data)


class AnyKeywords(Momentum):
    def __init__(self, **parameters: Any) -> None:
        super().__init__(parameters.get("lookback", 1))


class Static(Momentum):
    def __init__(self, lookback: int) -> None:
        super().__init__(lookback)

    @staticmethod
    def get_parameters() -> dict[str, dict[str, Any]]:  # type: ignore[override]
        return {"lookback": {"type": "int", "low": 1, "high": 5}}


@pytest.mark.parametrize("user_class", [Momentum, NoKeywords, AnyKeywords, Static])
@pytest.mark.parametrize("lookback", [1, 3])
def test_parameters_reach_the_class(user_class: type, lookback: int) -> None:
    strategy = to_strategy_class("mine", user_class)
    expected = np.sign(CLOSE[lookback:] - CLOSE[:-lookback])
    assert strategy(lookback=lookback).positions(BARS).tolist() == [0.0] * lookback + expected.tolist()
    assert strategy.name == "mine"


def test_space_comes_from_the_ranges() -> None:
    assert to_strategy_class("mine", Momentum).space() == Space(lookback=Int(1, 5, default=2))
    assert to_strategy_class("mine", Static).space().defaults() == {"lookback": 3}


def test_defaults_of_the_ranges_are_used() -> None:
    given, left_out = (backtest(Momentum, params, BARS, FREE) for params in ({"lookback": 2}, {}))
    assert given.equity.tolist() == left_out.equity.tolist()


def test_the_frame_is_the_users_own_copy() -> None:
    class Vandal(Momentum):
        def generate_signals(self, data: pd.DataFrame) -> pd.DataFrame:
            assert list(data.columns) == ["open", "high", "low", "close", "volume"]
            assert data.index.name == "timestamp"
            assert str(data.index[1]) == "1970-01-02 00:00:00+00:00"
            data.loc[:, "close"] = 0.0
            return pd.DataFrame({"signal": 0}, index=data.index)

    to_strategy_class("mine", Vandal)().positions(BARS)
    assert BARS.close.tolist() == CLOSE.tolist()


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.25, 0.25), (1.0, 1.0), (0.0, 0.0)],
)
def test_position_size_scales_the_signal(share: float, expected: float) -> None:
    class Sized(Momentum):
        def calculate_position_size(self, signal: float, portfolio_value: float) -> float:
            return signal * share * portfolio_value

    ours = to_strategy_class("mine", Sized)(lookback=1).positions(BARS)
    assert ours.tolist() == (np.sign(np.diff(CLOSE, prepend=10)) * expected).tolist()


def test_position_size_per_side() -> None:
    class Lopsided(Momentum):
        def calculate_position_size(self, signal: float, portfolio_value: float) -> float:
            return portfolio_value * (0.8 if signal > 0 else 0.1)

    assert sorted(set(to_strategy_class("mine", Lopsided)(lookback=1).positions(BARS))) == [-0.1, 0.0, 0.8]


@pytest.mark.parametrize(
    "money", [lambda value: 100.0, lambda value: value**0.5, lambda value: max(value - 10, 0)]
)
def test_position_size_that_is_not_a_share_is_refused(money: Any) -> None:
    class Fixed(Momentum):
        def calculate_position_size(self, signal: float, portfolio_value: float) -> float:
            return float(money(portfolio_value))

    with pytest.raises(
        StrategyError, match=r"calculate_position_size\(-1, portfolio_value\) must be proportional"
    ):
        to_strategy_class("mine", Fixed)().positions(BARS)


def test_position_size_above_the_equity_is_refused() -> None:
    class Levered(Momentum):
        def calculate_position_size(self, signal: float, portfolio_value: float) -> float:
            return 3 * portfolio_value

    with pytest.raises(StrategyError, match=r"position 3\.0 at bar 1 is not in"):
        backtest(Levered, {"lookback": 1}, BARS)


def frame(signal: Any) -> Any:
    return lambda data: pd.DataFrame({"signal": signal(len(data))})


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (frame(lambda n: [0] * (n - 1)), "returned 9 rows for 10 bars"),
        (
            frame(lambda n: [0, 1, np.nan, *[0] * (n - 3)]),
            r"the 'signal' column is NaN at bar 2 \(.*\); return 0 where no position is known, as data\['signal'\]\.fillna",
        ),
        (frame(lambda n: [0, 0.5, *[0] * (n - 2)]), "signal 0.5 at bar 1 is not -1, 0 or 1"),
        (frame(lambda n: [0] * (n - 1) + [2]), "signal 2.0 at bar 9"),
        (frame(lambda n: ["buy"] * n), "'signal' column does not hold numbers"),
        (frame(lambda n: [{}] * n), "'signal' column does not hold numbers"),
        (lambda data: data, "no frame with a 'signal' column"),
        (lambda data: None, "no frame with a 'signal' column"),
        (lambda data: data["missing"], "KeyError: 'missing'"),
    ],
)
def test_unusable_signals(answer: Any, fragment: str) -> None:
    class Broken(Momentum):
        def generate_signals(self, data: pd.DataFrame) -> Any:
            return answer(data)

    with pytest.raises(StrategyError, match=fragment):
        backtest(Broken, {}, BARS)


def test_a_constructor_that_needs_arguments() -> None:
    class Needy(Momentum):
        def __init__(self, lookback: int) -> None:
            super().__init__(lookback)

    with pytest.raises(StrategyError, match=r"Needy: cannot be built without arguments.*static method"):
        to_strategy_class("mine", Needy).space()


@pytest.mark.parametrize(
    ("ranges", "error", "fragment"),
    [
        ([], StrategyError, "expected a mapping of ranges"),
        ({"x": {"type": "int", "low": 5, "high": 1}}, SpecError, "mine.x.low: 5 is above high 1"),
        ({"x": {"type": "integral", "low": 1, "high": 5}}, SpecError, "mine.x.type: unknown type 'integral'"),
        ({"x": {"low": 1}}, SpecError, "mine.x.high: is missing"),
    ],
)
def test_unusable_ranges(ranges: Any, error: type[Exception], fragment: str) -> None:
    class Broken(Momentum):
        def get_parameters(self) -> Any:
            return ranges

    with pytest.raises(error, match=fragment):
        to_strategy_class("mine", Broken).space()


def test_all_kinds_of_ranges() -> None:
    class Kinds(Momentum):
        def get_parameters(self) -> Any:
            return {
                "a": {"type": "int", "low": 1, "high": 9, "step": 2},
                "b": {"type": "float", "low": 0.1, "high": 10, "log": True},
                "c": {"type": "categorical", "choices": ["x", "y"], "default": "y"},
                "d": 5,
            }

    assert to_strategy_class("mine", Kinds).space() == Space(
        a=Int(1, 9, step=2), b=Float(0.1, 10, log=True), c=Choice(("x", "y"), "y"), d=Choice((5,))
    )
