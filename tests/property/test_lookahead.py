"""No position depends on a later bar: the strategies that keep to it, and planted cheats that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtune.checks.lookahead import LookaheadReport, check_lookahead, choose_candidates, read_space
from backtune.checks.lookahead_perturbations import PERTURBATIONS
from backtune.data.bars import Bars
from backtune.data.schema import check_bars
from backtune.data.synthetic import synthetic_bars
from backtune.space import Int, Params, Space
from backtune.spec import StrategyFile
from backtune.strategy.base import BaseStrategy
from backtune.strategy.registry import BUILT_IN, resolve_strategy

USERS_FILE = """
import numpy as np
from backtune import BaseStrategy, Float, Int, Space

class Breakout(BaseStrategy):
    @classmethod
    def space(cls):
        return Space(period=Int(5, 100, default=20), margin=Float(0.0, 0.02, default=0.0))

    def positions(self, bars):
        targets = np.zeros(len(bars))
        for i in range(self.period, len(bars)):
            past = bars.close[i - self.period : i]
            targets[i] = bars.close[i] > past.max() * (1 + self.margin) or (
                targets[i - 1] * (bars.close[i] >= past.min())
            )
        return targets

class Momentum:
    def get_parameters(self):
        return {"period": {"type": "int", "low": 2, "high": 60}, "span": {"type": "int", "low": 2, "high": 60}}

    def generate_signals(self, data):
        trend = data["close"].ewm(span=self.span).mean() - data["close"].rolling(self.period).mean()
        data["signal"] = np.sign(trend).fillna(0) * (data["volume"] > 0)
        return data

    def calculate_position_size(self, signal, portfolio_value):
        return 0.5 * portfolio_value
"""

# What the cheats compare the close with, from (closes, window).
LEVELS = {
    "centred window": lambda close, window: np.convolve(
        np.pad(close, window, "edge"), np.ones(2 * window + 1) / (2 * window + 1), "valid"
    ),
    "shift(-1)": lambda close, window: 2 * close - np.append(close[1:], close[-1]),
    "mean of the whole": lambda close, window: np.full(len(close), close.mean()),
    "deviation of the whole": lambda close, window: (
        np.concatenate([close[:1], close[:-1]]) + 0.05 * close.std()
    ),
    "maximum of the whole": lambda close, window: np.full(len(close), 0.9 * close.max()),
}
PANDAS_LEVELS = {
    "centred window": lambda close, window: close.rolling(2 * window + 1, center=True, min_periods=1).mean(),
    "shift(-1)": lambda close, window: 2 * close - close.shift(-1),
    "mean of the whole": lambda close, window: close.mean(),
    "deviation of the whole": lambda close, window: close.shift(1) + 0.05 * close.std(),
    "maximum of the whole": lambda close, window: 0.9 * close.max(),
    "bfill": lambda close, window: close.rolling(10 * window).mean().bfill(),
}


def cheat(level: Any) -> type[BaseStrategy]:
    class Cheat(BaseStrategy):
        @classmethod
        def space(cls) -> Space:
            return Space(window=Int(1, 20))

        def positions(self, bars: Bars) -> np.ndarray:
            return np.where(bars.close > level(bars.close, self.window), 1.0, -1.0)

    return Cheat


def pandas_cheat(level: Any) -> type:
    class PandasCheat:
        def get_parameters(self) -> dict[str, Any]:
            return {"window": {"type": "int", "low": 1, "high": 20}}

        def generate_signals(self, data: Any) -> Any:
            return data.assign(signal=(data["close"] > level(data["close"], self.window)).astype(int))

    return PandasCheat


CHEATS = {
    **{f"class: {name}": (name, cheat(level)) for name, level in LEVELS.items()},
    **{f"pandas: {name}": (name, pandas_cheat(level)) for name, level in PANDAS_LEVELS.items()},
}


@pytest.fixture(scope="module")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("strategies") / "mine.py"
    path.write_text(USERS_FILE, encoding="utf-8")
    return path


def market(seed: int, n_bars: int = 500) -> Bars:
    return synthetic_bars("AAA", "1h", "2020-01-01", "2021-01-01", seed=seed)[:n_bars]


def checked(strategy: type, params: list[Params], seed: int, n_cuts: int) -> LookaheadReport:
    return check_lookahead(strategy, params, market(seed), n_cuts=n_cuts, seed=seed)


# Loops over bars and pandas take a hundred times as long as the built-in strategies.
SEEDS = [
    *((name, 5) for name in BUILT_IN),
    ("Breakout", 2),
    ("Momentum", 2),
    pytest.param("Breakout", 5, marks=pytest.mark.slow),
    pytest.param("Momentum", 5, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "n_seeds"), SEEDS)
def test_no_position_depends_on_a_later_bar(name: str, n_seeds: int, users_file: Path) -> None:
    entry = (
        name if name in BUILT_IN else StrategyFile.model_validate({"file": str(users_file), "class": name})
    )
    strategy = resolve_strategy(entry).load()
    reports = []
    for seed in range(n_seeds):
        tried = choose_candidates(read_space(strategy), n_random=12, seed=seed)
        reports.append(checked(strategy, tried, seed, n_cuts=6))
    assert sum(report.n_cases for report in reports) >= 400 * n_seeds
    assert [report.is_clean for report in reports] == [True] * n_seeds
    n_candidates = sum(len(report.candidates) for report in reports)
    assert sum(report.n_idle for report in reports) < n_candidates / 2


@pytest.mark.parametrize(("name", "strategy"), CHEATS.values(), ids=CHEATS)
def test_planted_cheats_are_caught(name: str, strategy: type) -> None:
    report = checked(strategy, [{"window": 3}, {"window": 20}], seed=1, n_cuts=10)
    assert not report.is_clean
    assert not any(candidate.problems for candidate in report.candidates)
    for violation in report.violations:
        reach = violation.cut - violation.bar
        assert reach >= 1
        if name == "centred window":
            assert reach <= violation.params["window"]
        elif name == "shift(-1)":
            assert reach == 1
    kinds = {violation.kind for violation in report.violations}
    assert "scale" in kinds
    assert "delay" not in kinds


@pytest.mark.parametrize("cheating", [0, 3, 12])
def test_one_cheating_parameter_set_is_named(cheating: int) -> None:
    class Sometimes(BaseStrategy):
        @classmethod
        def space(cls) -> Space:
            return Space(window=Int(0, 20))

        def positions(self, bars: Bars) -> np.ndarray:
            later = np.append(bars.close[1:], bars.close[-1])
            return np.sign(later - bars.close if self.window == cheating else bars.close - bars.open)

    report = checked(Sometimes, [{"window": window} for window in range(21)], seed=2, n_cuts=4)
    assert {violation.params["window"] for violation in report.violations} == {cheating}


def test_the_calendar_of_later_bars_counts_too() -> None:
    class BeforeGaps(BaseStrategy):
        @classmethod
        def space(cls) -> Space:
            return Space()

        def positions(self, bars: Bars) -> np.ndarray:
            gap = np.diff(bars.timestamp, append=bars.timestamp[-1:]) > bars.timeframe.microseconds
            return np.where(gap, 0.0, 1.0)

    assert {violation.kind for violation in checked(BeforeGaps, [{}], seed=1, n_cuts=10).violations} == {
        "delay"
    }


@pytest.mark.parametrize("perturb", PERTURBATIONS.values(), ids=PERTURBATIONS)
@pytest.mark.parametrize("cut", [1, 2, 57, 499])
def test_a_perturbation_keeps_the_past_and_obeys_the_schema(perturb: Any, cut: int) -> None:
    bars = market(4)
    for seed in range(20):
        changed = perturb(bars, cut, np.random.default_rng(seed))
        check_bars(changed.to_frame(), source="perturbed")
        assert changed[:cut].to_frame().equals(bars[:cut].to_frame())
        assert len(changed) == cut or len(changed) == len(bars)
    if cut < 499:
        assert not changed.to_frame().equals(bars.to_frame())
