"""Fills, equity and trades by literal examples."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from oracles import DAY, FREE, backtrader_bars, make_bars

from backtune.errors import BarsError, SpecError, StrategyError
from backtune.simulation.backtest import backtest, backtest_positions
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.metrics import METRICS
from backtune.simulation.simulate import score_positions, simulate_positions
from backtune.spec import Execution
from backtune.strategy.indicators import sma

BUYS = [
    3643.35,
    3801.03,
    3872.37,
    3863.57,
    3845.32,
    3656.43,
    3542.65,
    3639.65,
    3799.86,
    3840.20,
    4047.63,
    4052.55,
]
SELLS = [3763.95, 3811.85, 3822.35, 3822.57, 3829.82, 3598.58, 3545.92, 3766.80, 3782.15, 3979.73, 4045.05]
# Long, reversed, flat: every number below is worked out in the test that uses it.
REVERSAL = make_bars([100, 100, 120, 100, 100], [100, 110, 110, 100, 100])
REVERSAL_TARGETS = [1, -1, 0, 0, 0]
HALF = Execution(initial_cash=1000, size=0.5, fee_bps=100, slippage_bps=0)


def one_unit_targets(opens: np.ndarray, closes: np.ndarray) -> np.ndarray:
    """Targets that buy exactly one unit when the close crosses above its SMA(15), and sell it below."""
    above = np.sign(closes - sma(closes, 15))
    targets, cash, held = np.zeros(len(closes)), 10_000.0, 0.0
    for i in range(15, len(closes) - 1):
        if above[i] > 0 > above[i - 1]:
            held = opens[i + 1] / cash
            cash -= opens[i + 1]
        elif above[i] < 0 and held:
            held, cash = 0.0, cash + opens[i + 1]
        targets[i] = held
    targets[-1] = held
    return targets


def test_backtraders_trade_list() -> None:
    bars = backtrader_bars()
    result = backtest_positions(one_unit_targets(bars.open, bars.close), bars, FREE)
    trades = result.trades
    assert [round(price, 2) for price in [*trades["entry_price"], result.entry_price or 0]] == BUYS
    assert [round(price, 2) for price in trades["exit_price"]] == SELLS
    assert trades["side"].unique().to_list() == ["long"]
    assert trades["quantity"].to_list() == pytest.approx([1.0] * 11, rel=1e-12)
    assert trades["pnl"].to_list() == pytest.approx(
        [sold - bought for bought, sold in zip(BUYS, SELLS, strict=False)], abs=1e-8
    )
    assert round(result.equity[-1], 2) == 10284.10
    assert round(result.cash, 2) == 6164.16
    assert result.quantity == pytest.approx(1.0, rel=1e-12)
    assert result.metrics["total_trades"] == 11


def test_a_reversal_by_hand() -> None:
    # Bar 1, open 100: equity 1000, half of it buys 5; fee 5; cash 1000 - 500 - 5 = 495.
    # Bar 2, open 120: equity 495 + 600 = 1095; short 547.5 / 120 = 4.5625, so 9.5625 are sold for 1147.5; fee
    # 11.475; cash 495 + 1147.5 - 11.475 = 1631.025. The long made 600 - 500 - 5 - 6 = 89 on 500.
    # Bar 3, open 100: 456.25 buys back 4.5625; fee 4.5625; cash 1170.2125. The short made
    # 547.5 - 456.25 - 5.475 - 4.5625 = 81.2125 on 547.5.
    result = backtest_positions(REVERSAL_TARGETS, REVERSAL, HALF)
    assert result.equity.tolist() == pytest.approx([1000, 1045, 1129.15, 1170.2125, 1170.2125])
    assert result.trades.to_dicts() == [
        {
            "entry_time": datetime(1970, 1, 2, tzinfo=UTC), "exit_time": datetime(1970, 1, 3, tzinfo=UTC),
            "side": "long", "quantity": pytest.approx(5), "entry_price": pytest.approx(100),
            "exit_price": pytest.approx(120), "pnl": pytest.approx(89), "return": pytest.approx(0.178),
        },
        {
            "entry_time": datetime(1970, 1, 3, tzinfo=UTC), "exit_time": datetime(1970, 1, 4, tzinfo=UTC),
            "side": "short", "quantity": pytest.approx(4.5625), "entry_price": pytest.approx(120),
            "exit_price": pytest.approx(100), "pnl": pytest.approx(81.2125),
            "return": pytest.approx(81.2125 / 547.5),
        },
    ]  # fmt: skip
    assert (result.cash, result.quantity, result.entry_price) == (pytest.approx(1170.2125), 0.0, None)
    assert not result.ruined


def test_trade_metrics_by_hand() -> None:
    # Notionals 500 + 1147.5 + 456.25; five days; mean equity 5514.575 / 5.
    metrics = backtest_positions(REVERSAL_TARGETS, REVERSAL, HALF).metrics
    assert {name: metrics[name] for name in list(METRICS)[9:]} == pytest.approx(
        {
            "total_trades": 2,
            "win_rate": 1,
            "profit_factor": None,
            "average_win": (0.178 + 81.2125 / 547.5) / 2,
            "average_loss": None,
            "largest_win": 0.178,
            "largest_loss": None,
            "average_trade_hours": 24,
            "trades_per_month": 2 * 365.25 / 12 / 5,
            "exposure": 2 / 5,
            "turnover": 2103.75 * 365.25 / 5 / (5514.575 / 5),
        }
    )


def test_a_win_and_a_loss() -> None:
    # Bought at 100 and sold at 110 with all of 100; then 110 buys 1 at 110, sold at 99 two days later.
    bars = make_bars([100, 100, 110, 110, 99, 99, 99], [100, 100, 110, 110, 99, 99, 99])
    metrics = backtest_positions(
        [1, 0, 1, 1, 0, 0, 0], bars, {"initial_cash": 100, "fee_bps": 0, "slippage_bps": 0}
    )
    expected = {
        "total_trades": 2, "win_rate": 0.5, "profit_factor": 10 / 11, "average_win": 0.1, "average_loss": -0.1,
        "largest_win": 0.1, "largest_loss": -0.1, "average_trade_hours": 36, "exposure": 3 / 7,
    }  # fmt: skip
    assert {name: metrics.metrics[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "quantity", "cash", "entry_price"),
    [
        # 10 percent slippage: a buy of 1000 at 110, a sale of 1000 at 90.
        (1, 1000 / 110, 0, 110),
        (-1, -1000 / 90, 2000, 90),
        (0.5, 500 / 110, 500, 110),
    ],
)
def test_slippage_moves_the_fill_against_the_order(
    target: float, quantity: float, cash: float, entry_price: float
) -> None:
    costs = Execution(initial_cash=1000, fee_bps=0, slippage_bps=1000)
    result = backtest_positions([target, target], make_bars([100, 100], [100, 100]), costs)
    assert (result.quantity, result.cash, result.entry_price) == pytest.approx((quantity, cash, entry_price))


def test_a_resize_averages_its_fills() -> None:
    # 5 at 100, then 200 equity more: 1100 buys up to 9.1667 at 120; half sold at 110, the rest at 90.
    bars = make_bars([100, 100, 120, 110, 90], [100, 100, 120, 110, 90])
    result = backtest_positions(
        [0.5, 1, 0.5, 0, 0], bars, Execution(initial_cash=1000, fee_bps=0, slippage_bps=0)
    )
    first, full = 5.0, 1100 / 120
    worth_at_110 = 1100 - full * 10
    left = 0.5 * worth_at_110 / 110
    trade = result.trades.row(0, named=True)
    assert result.metrics["total_trades"] == 1
    assert trade["quantity"] == pytest.approx(full)
    assert trade["entry_price"] == pytest.approx((first * 100 + (full - first) * 120) / full)
    assert trade["exit_price"] == pytest.approx(((full - left) * 110 + left * 90) / full)
    assert trade["pnl"] == pytest.approx(worth_at_110 - left * 20 - 1000)


def test_a_held_target_is_not_rebalanced() -> None:
    bars = make_bars([100, 100, 200, 400, 50], [100, 100, 200, 400, 50])
    result = backtest_positions([0.5] * 5, bars, Execution(initial_cash=1000, fee_bps=0, slippage_bps=0))
    assert result.equity.tolist() == pytest.approx([1000, 1000, 1500, 2500, 750])


def test_a_target_on_the_last_bar_is_not_filled() -> None:
    result = backtest_positions([0, 0, 1], make_bars([1, 2, 3], [2, 3, 4]))
    assert result.equity.tolist() == [10_000.0] * 3
    assert result.quantity == 0


def test_shorts_are_flat_where_they_are_not_allowed() -> None:
    bars = make_bars([100, 100, 50, 50, 40], [100, 100, 50, 50, 40])
    short_and_flat = backtest_positions([-1, 1, -1, -0.5, 0], bars, {"allow_short": False})
    flat = backtest_positions([0, 1, 0, 0, 0], bars, {"allow_short": False})
    assert short_and_flat.metrics == flat.metrics


def test_a_short_in_a_price_that_triples_is_ruin() -> None:
    bars = make_bars([100, 100, 300, 100, 100], [100, 100, 300, 100, 100])
    result = backtest_positions([-1, -1, 1, 1, 0], bars, FREE)
    assert result.ruined
    assert result.equity.tolist() == [10_000.0, 10_000.0, 0.0, 0.0, 0.0]
    assert (result.cash, result.quantity, result.entry_price, len(result.trades)) == (0.0, 0.0, None, 0)
    expected = {
        "total_return": -1,
        "annual_return": -1,
        "max_drawdown": 1,
        "calmar_ratio": -1,
        "total_trades": 0,
    }
    assert {name: result.metrics[name] for name in expected} == expected


def test_ruin_at_the_open_of_a_fill() -> None:
    # The close recovers, but the order finds nothing to trade with.
    bars = make_bars([100, 100, 300, 100], [100, 100, 100, 100])
    result = backtest_positions([-1, 1, 1, 1], bars, FREE)
    assert result.equity.tolist() == [10_000.0, 10_000.0, 0.0, 0.0]
    held = backtest_positions([-1, -1, -1, -1], bars, FREE)
    assert not held.ruined


def test_a_fall_of_9999_in_10000_is_survived_without_costs_and_not_with_a_fee_on_top() -> None:
    bars = make_bars([100, 100, 100, 0.01], [100, 100, 100, 0.01])
    survived = backtest_positions([1] * 4, bars, FREE)
    assert survived.equity[-1] == pytest.approx(1.0)
    assert survived.metrics["max_drawdown"] == pytest.approx(0.9999)
    assert backtest_positions([1] * 4, bars, Execution(fee_bps=10, slippage_bps=0)).ruined


def test_one_bar() -> None:
    result = backtest_positions([1], make_bars([5], [6]))
    assert result.equity.tolist() == [10_000.0]
    assert result.metrics["total_return"] == 0
    assert result.metrics["volatility"] is None
    assert result.trades.schema["entry_time"] == pl.Datetime("us", "UTC")


def test_two_bars() -> None:
    result = backtest_positions([1, 0], make_bars([5, 10], [10, 12]), FREE)
    assert result.equity.tolist() == [10_000.0, 12_000.0]
    # Returns 0 and 0.2: mean 0.1, deviation 0.2 / sqrt(2).
    assert result.metrics["sharpe_ratio"] == pytest.approx(0.5**0.5 * 365.25**0.5)


@pytest.mark.parametrize("price", [3.3, 7.77, 0.1, 6_543.21])
def test_trading_a_constant_price_for_nothing_has_no_ratios(price: float) -> None:
    targets = np.random.default_rng(0).choice([-1, -0.5, 0, 0.3, 0.5, 1], 300)
    metrics = backtest_positions(targets, make_bars([price] * 300, [price] * 300), FREE).metrics
    for ratio in ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "burke_ratio", "profit_factor"):
        assert metrics[ratio] is None
    assert metrics["volatility"] == 0


def test_a_window_fills_the_target_before_it_at_its_first_open() -> None:
    bars = make_bars([1, 1, 100, 200], [1, 1, 150, 250])
    result = simulate_positions(
        np.array([0.0, 1, 1, 1]),
        BarWindow.of(bars, 2),
        Execution(initial_cash=1000, fee_bps=0, slippage_bps=0),
    )
    assert result.equity.tolist() == pytest.approx([1500, 2500])
    assert result.metrics["exposure"] == 1


def test_blocks_follow_time_and_not_rows() -> None:
    # 16 days in 16 blocks; nothing on days 3 to 14.
    days = np.array([0, 1, 2, 15]) * DAY
    bars = make_bars([100, 100, 110, 121], [100, 110, 121, 133.1], days)
    score = score_positions(np.ones(4), BarWindow.of(bars), FREE)
    assert score.blocks[:, 0].tolist() == [1, 1, 1, *[0] * 12, 1]
    assert score.blocks[:, 1].tolist() == pytest.approx([0, 0.1, 0.1, *[0] * 12, 0.1])
    assert score.blocks[:, 2].tolist() == pytest.approx([0, 0.01, 0.01, *[0] * 12, 0.01])


@pytest.mark.parametrize("kind", ["polars", "pandas", "bars", "mapping"])
def test_forms_of_bars_and_execution(kind: str) -> None:
    execution = Execution(fee_bps=5)
    table = REVERSAL.to_frame()
    naive = table.with_columns(pl.col("timestamp").dt.replace_time_zone(None)).to_pandas()
    forms = {"polars": table, "pandas": naive.set_index("timestamp"), "bars": REVERSAL, "mapping": table}
    given = {"fee_bps": 5} if kind == "mapping" else execution
    result = backtest_positions(REVERSAL_TARGETS, forms[kind], given)
    assert result.metrics == backtest_positions(REVERSAL_TARGETS, REVERSAL, execution).metrics


@pytest.mark.parametrize(
    ("execution", "fragment"),
    [
        ({"fee": 1}, r"execution\.fee: unknown key \(did you mean 'fee_bps'\?\)"),
        ({"fee_bps": -1}, r"execution\.fee_bps: .*greater than or equal to 0 \(given: -1\)"),
        ({"size": 2}, r"execution\.size: 2 is above the leverage of 1"),
        ({"initial_cash": float("nan")}, r"execution\.initial_cash: .*\(given: nan\)"),
    ],
)
def test_impossible_execution(execution: dict[str, float], fragment: str) -> None:
    with pytest.raises(SpecError, match=fragment):
        backtest_positions(REVERSAL_TARGETS, REVERSAL, execution)


def test_no_bars() -> None:
    empty = REVERSAL[:0]
    with pytest.raises(BarsError, match="no bar to trade on"):
        backtest_positions([], empty)
    with pytest.raises(BarsError, match="no bar to trade on"):
        BarWindow.of(REVERSAL, 5)


def test_a_position_per_bar() -> None:
    with pytest.raises(StrategyError, match=r"shape \(2,\), expected \(5,\)"):
        backtest_positions([0, 1], REVERSAL)


def test_backtest_of_a_name() -> None:
    bars = make_bars(np.arange(1.0, 100.0), np.arange(1.0, 100.0))
    params = {"fast_period": 2, "slow_period": 3}
    result = backtest("MovingAverageCrossover", params, bars, FREE)
    # The averages part on the third bar; bought at the open of the fourth, at 4; the last close is 99.
    assert result.equity[-1] == pytest.approx(10_000 / 4 * 99)
