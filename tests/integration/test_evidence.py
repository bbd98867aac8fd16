"""A planted overfit, which the leaderboard calls out, beside a planted edge, which it lets pass."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from sweeps import INLINE, parsed

from backtune import backtest_positions, load_bars
from backtune.cli.tables import print_leaderboard
from backtune.data.catalog import Catalog
from backtune.report.formatting import format_optional_p_value
from backtune.spec import Execution
from backtune.sweep import run_sweep

START = 1_609_459_200_000_000  # 2021-01-01
N_BARS = 10_000
N_TRIALS = 2_000
WALKS = ["WALK1", "WALK2", "WALK3", "WALK4"]
STRATEGY = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune import BaseStrategy, Bars, Float, Space


@dataclass(frozen=True)
class Momentum(BaseStrategy):
    """Long after a rise and short after a fall of the last two bars."""

    name: ClassVar[str] = "Momentum"
    weight: float = 0.0
    threshold: float = 0.0

    @classmethod
    def space(cls) -> Space:
        return Space(weight=Float(-2.0, 2.0), threshold=Float(0.0, 0.01))

    def positions(self, bars: Bars) -> np.ndarray:
        moves = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
        signal = moves.copy()
        signal[1:] += self.weight * moves[:-1]
        return np.where(np.abs(signal) > self.threshold, np.sign(signal), 0.0)
'''


def hours(seed: int, memory: float) -> pl.DataFrame:
    """Bars whose log returns remember a share of the one before; without memory the price is a fair game."""
    shocks = np.random.default_rng(seed).standard_normal(N_BARS) * 0.01
    returns = shocks.copy()
    for i in range(1, N_BARS):
        returns[i] += memory * returns[i - 1]
    close = 100 * np.exp(np.cumsum(returns - 0.01**2 / 2))
    before = np.concatenate([[100.0], close[:-1]])
    times = START + np.arange(N_BARS) * 3_600_000_000
    return pl.DataFrame(
        {
            "timestamp": pl.Series(times).cast(pl.Datetime("us", "UTC")),
            "open": before,
            "high": np.maximum(before, close),
            "low": np.minimum(before, close),
            "close": close,
            "volume": np.ones(N_BARS),
        }
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The folder of a market and a strategy."""
    root = tmp_path_factory.mktemp("planted")
    catalog = Catalog.open_or_create(root / "market")
    for seed, name in enumerate(WALKS):
        catalog.write(name, "1h", hours(seed, 0.0))
    catalog.write("EDGE", "1h", hours(9, 0.25))
    (root / "momentum.py").write_text(STRATEGY)
    return root


def search(planted, strategy, assets):
    """2,000 random candidates of a strategy for each asset, free of cost: any edge is in the bars."""
    spec = parsed(
        planted / "market",
        grid={"strategies": [strategy], "assets": assets},
        search={"sampler": "random", "trials": N_TRIALS},
        execution={"fee_bps": 0.0, "slippage_bps": 0.0},
    )
    return run_sweep(spec, planted / "runs", INLINE)


@pytest.fixture(scope="module")
def luck(planted):
    return search(planted, "MovingAverageCrossover", WALKS)


@pytest.fixture(scope="module")
def edge(planted):
    return search(planted, {"file": str(planted / "momentum.py"), "class": "Momentum"}, ["EDGE"])


def test_the_best_of_many_on_a_random_walk_is_called_out(luck):
    rows = luck.rows()
    assert [row.n_trials for row in rows] == [N_TRIALS] * len(WALKS)
    for row in rows:
        # What a person would be glad of, were it not the best of so many.
        assert row.is_metrics["sharpe_ratio"] > 0.5
        assert row.evidence.dsr < row.evidence.dsr_level
        assert row.evidence.oos_interval.low < 0.0
        words = " ".join(row.warnings)
        assert "in sample no better than the luck of 2,000 trials" in words
        assert f"(DSR {row.evidence.dsr:.2f}; luck reaches {row.evidence.dsr_level:.2f})" in words
        assert "better than the best of 4 by luck" in words
    # Random candidates: here the probability of overfitting informs.
    assert np.mean([row.evidence.pbo for row in rows]) > 0.4
    assert any("the choice by one half of the search" in warning for row in rows for warning in row.warnings)


def test_a_real_edge_is_let_pass(edge):
    (row,) = edge.rows()
    evidence = row.evidence
    assert evidence.dsr > 0.99
    assert evidence.pbo < 0.05
    assert evidence.pbo_loss == 0.0
    assert evidence.plateau.stability > 0.5
    assert abs(evidence.plateau.centre["weight"]) < 1.0
    assert evidence.oos_interval.low > 0.0
    assert evidence.family.p < 1e-4
    assert 0.0 < evidence.family.haircut_sharpe_ratio < row.oos_metrics["sharpe_ratio"] + 0.1
    assert evidence.timing_p == 1 / 200
    assert evidence.hold_metrics["sharpe_ratio"] < row.oos_metrics["sharpe_ratio"]
    assert evidence.record.needed_years < evidence.record.years
    assert row.warnings == ()


def test_holding_is_what_a_backtest_of_it_makes(edge, planted):
    """Under the costs and the size of the spec, from the first open of the test to its last close."""
    (row,) = edge.rows()
    bars = load_bars(planted / "market", "EDGE", "1h")
    cut = int(np.searchsorted(bars.timestamp, row.test.start))
    held = backtest_positions(
        np.ones(len(bars) - cut + 1), bars[cut - 1 :], Execution(fee_bps=0.0, slippage_bps=0.0)
    )
    assert row.evidence.hold_metrics["total_return"] == pytest.approx(held.metrics["total_return"], rel=1e-12)


def test_what_is_kept_of_the_returns_is_that_of_the_metrics(luck, edge):
    year = math.sqrt(365.25 * 24)
    for result in (luck, edge):
        for study in result.run.studies:
            (winner,) = result.run.read_summary(study).winners
            assert winner.is_shape.n_returns == 291 * 24
            assert winner.is_shape.sharpe * year == pytest.approx(winner.is_metrics["sharpe_ratio"], rel=1e-6)
            assert winner.oos_interval.sharpe == pytest.approx(winner.oos_metrics["sharpe_ratio"], rel=1e-6)
            # Of normal moves, and more where there is no position at times.
            assert 2.5 < winner.is_shape.kurtosis < 9.0


def test_the_frame_has_the_evidence(edge):
    (row,) = edge.leaderboard().rows(named=True)
    assert row["dsr"] == edge.best()["dsr"] > 0.99
    assert json.loads(row["plateau_centre"]) == edge.best()["plateau_centre"]
    assert row["oos_sharpe_low"] < row["oos_sharpe_ratio"] < row["oos_sharpe_high"]


@pytest.mark.parametrize(
    ("width", "shown", "hidden"),
    [
        (80, ["trials", "family", "timing", "DSR", "trades"], ["haircut", "return", "drawdown"]),
        (110, ["trials", "family", "haircut", "timing", "DSR", "return", "trades"], ["drawdown"]),
        (130, ["trials", "family", "haircut", "timing", "DSR", "return", "drawdown", "trades"], []),
        (150, ["trials", "family", "haircut", "timing", "DSR", "return", "drawdown", "trades"], []),
    ],
)
def test_the_table_has_the_evidence_at_any_width(luck, width, shown, hidden):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    rows = luck.rows()
    print_leaderboard(console, luck.run, rows, top=0)
    text = console.file.getvalue()
    table, told = text.split(" No row does better out of sample than luck would.")
    assert max(map(len, text.splitlines())) <= width
    assert "Without skill the best of 4 tests would show a Sharpe ratio of" in " ".join(told.split())
    assert "family p: the share of sweeps in which luck alone tests as well." in " ".join(told.split())
    assert all(name in table for name in shown)
    assert not any(name in table for name in hidden)
    for row in rows:
        assert f" {row.evidence.dsr:.2f} " in table
        assert f" {format_optional_p_value(row.evidence.timing_p)} " in table
        # What the sentence says of all rows is not said again of each.
        assert not any(text in " ".join(told.split()) for text in row.weaknesses.values())


def test_rows_that_test_better_than_luck_are_printed_wherever_they_stand(edge):
    (row,) = edge.rows()
    weak = replace(row, evidence=replace(row.evidence, family=None), asset="WALK")
    console = Console(width=120, file=io.StringIO(), color_system=None)
    print_leaderboard(console, edge.run, [*[weak] * 5, row], top=2)
    text = console.file.getvalue()
    assert text.count("WALK") == 2
    assert " 6  Momentum EDGE" in text
    assert "3 more rows" in text
    assert "Row 6 does better out of sample than luck would." in " ".join(text.split())
