"""Fees in money, whole lots and ticks by literal tables; ``candles`` says of what and by whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from candles import FLAT, FREE_1000, QUIET, Candle, assert_trades
from oracles import make_bars

from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.simulation.backtest import backtest, backtest_positions
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.costs import build_costs
from backtune.simulation.types import OrderTerms
from backtune.spec import Execution, Objective
from backtune.strategy.registry import StrategyFactory, resolve_strategy

AT_110: Candle = (110, 110, 110, 110)
MAKER = {"fee_bps": 100, "maker_fee_bps": 0, "take_profit": 0.25}

# 10 are bought at 100 and sold at 110, for a notional of 1000 and 1100; what the two orders pay.
FEES = {
    "an order": ({"fee_per_order": 5}, 5, 5),
    "a share": ({"fee_per_share": 0.25}, 2.5, 2.5),
    "an order and a share": ({"fee_per_order": 5, "fee_per_share": 0.25}, 7.5, 7.5),
    "all three": ({"fee_bps": 100, "fee_per_order": 1, "fee_per_share": 0.1}, 12, 13),
    "a minimum": ({"minimum_fee": 4}, 4, 4),
    "a minimum above one of two": ({"fee_bps": 10, "minimum_fee": 1.05}, 1.05, 1.1),
    "a minimum above the sum of all": (
        {"fee_bps": 100, "fee_per_order": 1, "fee_per_share": 0.1, "minimum_fee": 12.5}, 12.5, 13,
    ),
    "a minimum below all": ({"fee_per_order": 5, "minimum_fee": 4.99}, 5, 5),
    "a maker's fee is of profit targets only": ({"fee_bps": 100, "maker_fee_bps": 0, "minimum_fee": 1}, 10, 11),
}  # fmt: skip


@pytest.mark.parametrize(("fees", "bought", "sold"), FEES.values(), ids=FEES)
def test_fees_of_a_purchase_and_a_sale(run: Any, fees: dict[str, float], bought: float, sold: float) -> None:
    outcome = run([(100, 110, 100, 110), AT_110], [1, 0, 0], FREE_1000 | fees)
    assert_trades(outcome, [(1, 1, 2, 10, 100, 110, 100 - bought - sold)])
    assert outcome.equity == pytest.approx([1000, 1100 - bought, 1100 - bought - sold])


# Half of 1000 buys 5 at 100. Exit as (bar, price), and what it pays.
EXITS = {
    "a stop pays them": ({"stop_loss": 0.25, "fee_per_order": 3}, (100, 100, 70, 80), 3, 75, 3),
    "a stop pays the minimum": ({"stop_loss": 0.25, "minimum_fee": 3}, (100, 100, 70, 80), 3, 75, 3),
    "a trailing stop too": ({"trailing_stop": 0.25, "fee_per_share": 0.2}, (100, 101, 70, 80), 1, 75.75, 1),
    # The purchase pays 5 of 500, the target nothing of 625 but the minimum, or the fixed fee.
    "a maker pays the minimum": (MAKER | {"minimum_fee": 3}, (100, 130, 99, 99), 5, 125, 3),
    "a maker pays for the order": (MAKER | {"fee_per_order": 2}, (100, 130, 99, 99), 7, 125, 2),
    "a maker pays for shares": (MAKER | {"fee_per_share": 0.4}, (100, 130, 99, 99), 7, 125, 2),
}


@pytest.mark.parametrize(("rules", "candle", "bought", "price", "sold"), EXITS.values(), ids=EXITS)
def test_fees_of_exits(
    run: Any, rules: dict[str, float], candle: Candle, bought: float, price: float, sold: float
) -> None:
    outcome = run([QUIET, candle, QUIET], 1, FREE_1000 | {"size": 0.5} | rules)
    gained = 5 * (price - 100) - bought - sold
    assert_trades(outcome, [(1, 1, 2, 5, 100, price, gained)])
    assert outcome.equity[-1] == pytest.approx(1000 + gained)


def test_a_reversal_is_one_order_whose_fee_is_shared_by_quantity(run: Any) -> None:
    # 10 bought for 6; 994 are worth 9.94 short, so 19.94 are sold for 6; 988 are left, and 982 after the purchase.
    outcome = run([FLAT, FLAT, FLAT], [1, -1, 0, 0], FREE_1000 | {"minimum_fee": 6})
    share = 60 / 19.94
    assert_trades(
        outcome, [(1, 1, 2, 10, 100, 100, -6 - share), (-1, 2, 3, 9.94, 100, 100, -(6 - share) - 6)]
    )
    assert outcome.equity == pytest.approx([1000, 994, 988, 982])


def test_a_resize_is_an_order(run: Any) -> None:
    # 5 at 100 for 1; with 999 up to 9.99 for 1; all sold for 1.
    outcome = run([FLAT, FLAT, FLAT], [0.5, 1, 0, 0], FREE_1000 | {"fee_per_order": 1})
    assert_trades(outcome, [(1, 1, 3, 9.99, 100, 100, -3)])


def test_fees_beyond_the_equity_are_ruin(run: Any) -> None:
    outcome = run([FLAT, FLAT, FLAT], [1, 0, 1, 1], FREE_1000 | {"fee_per_order": 600})
    assert outcome.ruined
    assert outcome.equity == pytest.approx([1000, 400, 0, 0])
    assert_trades(outcome, [(1, 1, 2, 10, 100, 100, -1200)])


def test_fees_with_leverage_and_funding(run: Any) -> None:
    # 20 at 100 for 2; a rate of 1 % of 2000 on bar 2; sold for 2.
    rules = FREE_1000 | {"size": 2, "leverage": 2, "fee_per_share": 0.1}
    outcome = run([FLAT, FLAT, FLAT], [1, 1, 0, 0], rules, [0, 0.01, 0])
    assert_trades(outcome, [(1, 1, 3, 20, 100, 100, -24)])
    assert outcome.equity == pytest.approx([1000, 998, 978, 976])


# With 1000 at a price of 100.
LOTS = {
    "as many as fit": (3, 1, 9),
    "of a short too": (3, -1, -9),
    "all of it": (1, 1, 10),
    "all of it, in tenths": (0.1, 1, 10),
    "all of it, in thousandths": (0.001, -1, -10),
    "a third, in tenths": (0.1, 1 / 3, 3.3),
    "in sevenths of tenths": (0.7, 1, 9.8),
    "one": (10, 1, 10),
    "none": (10.01, 1, 0),
    "none of a short": (11, -1, 0),
}


@pytest.mark.parametrize(("lot", "target", "quantity"), LOTS.values(), ids=LOTS)
def test_whole_lots(run: Any, lot: float, target: float, quantity: float) -> None:
    outcome = run([FLAT, AT_110], [target, 0, 0], FREE_1000 | {"lot_size": lot, "fee_per_order": 1})
    if quantity == 0:
        # No order, no fee.
        assert outcome.trades == []
        assert outcome.equity == [1000, 1000, 1000]
    else:
        # To the last digit: 9.9 and not 9.900000000000002.
        assert outcome.trades[0][3] == abs(quantity)
        assert outcome.equity == pytest.approx([1000, 999, 998 + 10 * quantity])


# A target is given at the close of bar 0 and changes at that of bar 1; what is held then, and what was paid at 1 an order.
RESIZED_LOTS = {
    "more within a lot": ([0.95, 1], 3, 9, 1),
    "less within a lot": ([1, 0.95], 3, 9, 1),
    "less": ([1, 0.8], 3, 6, 2),
    "more": ([0.5, 1], 3, 9, 2),
    "down to none": ([1, 0.2], 3, 0, 2),
    "a reversal": ([1, -1], 3, -9, 2),
    "a reversal into less than a lot": ([1, -0.2], 3, 0, 2),
    "from none": ([0.2, 1], 3, 9, 1),
    "from none to the other side": ([0.2, -1], 3, -9, 1),
    "none and none": ([0.2, -0.2], 3, 0, 0),
}


@pytest.mark.parametrize(("targets", "lot", "held", "paid"), RESIZED_LOTS.values(), ids=RESIZED_LOTS)
def test_resizing_in_lots(run: Any, targets: list[float], lot: float, held: float, paid: float) -> None:
    outcome = run([FLAT, FLAT], [*targets, targets[-1]], FREE_1000 | {"lot_size": lot, "fee_per_order": 1})
    assert outcome.quantity == held
    assert outcome.equity[-1] == pytest.approx(1000 - paid)


UP, DOWN = {"slippage_bps": 30}, {"slippage_bps": 0}

# Open of the entry, tick, rules, side: price of the entry.
ENTRIES = {
    "a purchase on a tick": (100, 0.5, DOWN, 1, 100),
    "a purchase rounds up": (100.1, 0.5, DOWN, 1, 100.5),
    "a sale rounds down": (100.4, 0.5, DOWN, -1, 100),
    "a purchase after slippage": (100, 0.5, UP, 1, 100.5),
    "a sale after slippage": (100, 0.5, UP, -1, 99.5),
    "a cent": (10.07, 0.01, DOWN, 1, 10.07),
    "a cent sold": (10.07, 0.01, DOWN, -1, 10.07),
    "beyond a cent": (10.0701, 0.01, DOWN, 1, 10.08),
    "below a cent": (10.0699, 0.01, DOWN, -1, 10.06),
    "a twentieth": (1.15, 0.05, DOWN, 1, 1.15),
    "a quarter": (4512.3, 0.25, DOWN, 1, 4512.5),
    "a pip": (1.58611, 1e-5, DOWN, -1, 1.58611),
    "a tick of several digits": (0.0009, 0.0003, DOWN, 1, 0.0009),
    "a tick above one": (102, 5, DOWN, 1, 105),
    "a tick above the price, sold": (0.3, 1, DOWN, -1, 1),
    "a tick above the price": (0.3, 1, DOWN, 1, 1),
}


@pytest.mark.parametrize(("open_", "tick", "rules", "side", "price"), ENTRIES.values(), ids=ENTRIES)
def test_prices_on_ticks(
    run: Any, open_: float, tick: float, rules: dict[str, float], side: int, price: float
) -> None:
    bar = (open_, open_, open_, open_)
    outcome = run([bar, bar], [side, side, side], FREE_1000 | {"size": 0.5, "tick_size": tick} | rules)
    assert outcome.quantity == pytest.approx(side * 500 / price, rel=1e-12)
    result = backtest_positions(
        [side, side], make_bars([open_] * 2, [open_] * 2), {"tick_size": tick, **rules}
    )
    assert result.entry_price == price


# Bought at 101 or sold at 100, for an open of 100.4 and a tick of 1; exit as (bar, price).
AT_100_4: Candle = (100.4, 100.6, 100.2, 100.4)
LEVELS = {
    # 101 x 0.95 = 95.95
    "a long's stop is lower": (1, {"stop_loss": 0.05}, (100, 101, 95.5, 100), None),
    "and touched there": (1, {"stop_loss": 0.05}, (100, 101, 95, 100), (2, 95)),
    "a gap below it": (1, {"stop_loss": 0.05}, (90.6, 91, 90, 91), (2, 90)),
    # 101 x 1.05 = 106.05
    "a long's target is higher": (1, {"take_profit": 0.05}, (100, 106.5, 99, 100), None),
    "and reached there": (1, {"take_profit": 0.05}, (100, 107, 99, 100), (2, 107)),
    "a gap above it": (1, {"take_profit": 0.05}, (110.6, 111, 100, 100), (2, 110)),
    # 100 x 1.055 = 105.5, 100 x 0.945 = 94.5
    "a short's stop is higher": (-1, {"stop_loss": 0.055}, (100, 105.7, 99, 100), None),
    "which is touched there": (-1, {"stop_loss": 0.055}, (100, 106, 99, 100), (2, 106)),
    "a short's target is lower": (-1, {"take_profit": 0.055}, (100, 101, 94.2, 100), None),
    "which is reached there": (-1, {"take_profit": 0.055}, (100, 101, 94, 100), (2, 94)),
    "a gap below a short's target": (-1, {"take_profit": 0.055}, (90.4, 100, 90, 100), (2, 91)),
    # The best price of a long is 101, its entry, then the high of 110.7: 99.63. Of a short 100, then 90.3: 99.33.
    "a trailing stop is lower": (1, {"trailing_stop": 0.1}, (100, 110.7, 99.2, 100), None),
    # 101 x 0.95 = 95.95
    "the stop is rounded, not the price it trails": (1, {"trailing_stop": 0.05}, (100, 105, 95, 100), (2, 95)),
    "a short's trailing stop is higher": (-1, {"trailing_stop": 0.055}, (100, 106, 99, 100), (2, 106)),
    # 101 x 0.745 = 75.245: down to 75, and sold 0.3 % lower at 74.775, so 74.
    "slippage comes after": (1, {"stop_loss": 0.255, "slippage_bps": 30}, (100, 101, 75, 80), (2, 74)),
    # 101 x 0.999 = 100.899, so 100; the bar of entry opens at 100.4 and falls to 100.2.
    "a stop within a tick": (1, {"stop_loss": 0.001}, (100.4, 100.4, 100.3, 100.4), None),
}  # fmt: skip


@pytest.mark.parametrize(("side", "rules", "candle", "exit_"), LEVELS.values(), ids=LEVELS)
def test_levels_on_ticks(
    run: Any, side: int, rules: dict[str, float], candle: Candle, exit_: tuple[int, float] | None
) -> None:
    outcome = run([AT_100_4, candle], side, FREE_1000 | {"size": 0.5, "tick_size": 1} | rules)
    entry = 101.0 if side > 0 else 100.0
    if exit_ is None:
        assert outcome.trades == []
        assert outcome.quantity == pytest.approx(side * 500 / entry)
    else:
        bar, price = exit_
        quantity = 500 / entry
        assert_trades(outcome, [(side, 1, bar, quantity, entry, price, side * quantity * (price - entry))])


def test_a_moved_trailing_stop_is_rounded(run: Any) -> None:
    # The high of 110.7 puts it at 99.63, so at 99: not touched at 99.2.
    still, sold = (
        run([AT_100_4, (100.4, 110.7, 100, 105), (105, 105, low, 100)], 1, FREE_1000 | {"tick_size": 1, "trailing_stop": 0.1})
        for low in (99.2, 99)
    )  # fmt: skip
    assert still.trades == []
    assert_trades(sold, [(1, 1, 3, 1000 / 101, 101, 99, -2 * 1000 / 101)])


def test_all_of_them(run: Any) -> None:
    # Half of 1000 buys at 100.3, up to 100.5: 4.975, so 4 lots of 1.2, 4.8. It pays 1 + 0.48 + 10 bps of 482.4 = 1.9624.
    # The target of 25 % is 125.625, so 126: 604.8, for 1 + 0.48 and nothing, so the minimum of 1.5.
    rules = {
        "size": 0.5, "fee_bps": 10, "maker_fee_bps": 0, "slippage_bps": 30, "fee_per_order": 1, "fee_per_share": 0.1,
        "minimum_fee": 1.5, "lot_size": 1.2, "tick_size": 0.5, "take_profit": 0.25,
    }  # fmt: skip
    outcome = run([QUIET, (101, 126, 100, 110), FLAT], 1, FREE_1000 | rules)
    gained = 4.8 * 25.5 - 1.9624 - 1.5
    assert_trades(outcome, [(1, 1, 2, 4.8, 100.5, 126, gained)])
    assert outcome.equity == pytest.approx([1000, 1000 - 4.8 * 0.5 - 1.9624, 1000 + gained, 1000 + gained])


def test_turnover_counts_what_was_filled() -> None:
    # 9 lots bought at 100 and sold at 110 in three days, for 5 each; closes at 1000, 1085 and 1080.
    bars = make_bars([100, 100, 110], [100, 110, 110])
    rules = FREE_1000 | {"lot_size": 3, "fee_per_order": 5}
    metrics = backtest_positions([1, 0, 0], bars, rules).metrics
    assert metrics["turnover"] == pytest.approx((900 + 990) * 365.25 / 3 / (3165 / 3))
    assert metrics["average_win"] == pytest.approx(80 / 900)
    assert metrics["total_trades"] == 1


@pytest.mark.parametrize("strategy", ["MovingAverageCrossover", "RSIStrategy"])
def test_a_search_its_winner_and_a_backtest_have_the_same_numbers(strategy: str) -> None:
    closes = 100 + np.cumsum(np.random.default_rng(3).integers(-90, 91, 2_000)) / 100
    bars = make_bars(np.concatenate([[100], closes[:-1]]), closes)
    execution = Execution(
        fee_per_order=0.5, fee_per_share=0.005, minimum_fee=1, lot_size=0.1, tick_size=0.05, stop_loss=0.03
    )
    scorer = CandidateScorer(resolve_strategy(strategy), execution)
    window = BarWindow.of(bars)
    params = StrategyFactory.get(strategy).space().defaults()
    result = backtest(strategy, params, bars, execution)
    (trial,) = WindowEvaluator(scorer, window, (Objective(metric="sharpe_ratio"),)).evaluate([(0, params)])
    assert len(result.trades) > 10
    assert trial.metrics == result.metrics
    assert scorer.simulate_equity(params, window).tolist() == result.equity.tolist()
    assert scorer.backtest_chain([(params, window)]).equity.tolist() == result.equity.tolist()
    assert result.metrics != backtest(strategy, params, bars, {"stop_loss": 0.03}).metrics


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, None),
        ({"lot_size": 0, "tick_size": 0.0, "minimum_fee": 0}, None),
        ({"fee_per_order": 2}, OrderTerms(0, 2, 0, 0, 1, 0, 1)),
        ({"lot_size": 0.1}, OrderTerms(0, 0, 0, 1, 10, 0, 1)),
        ({"lot_size": 100, "tick_size": 0.01}, OrderTerms(0, 0, 0, 100, 1, 1, 100)),
        ({"tick_size": 0.0003}, OrderTerms(0, 0, 0, 0, 1, 3, 10_000)),
        ({"tick_size": 1e-18, "lot_size": 1e-5}, OrderTerms(0, 0, 0, 1, 1e5, 1, 1e18)),
        ({"minimum_fee": 1, "fee_per_share": 0.005}, OrderTerms(1, 0, 0.005, 0, 1, 0, 1)),
    ],
)  # fmt: skip
def test_terms_are_the_decimals_that_were_written(
    rules: dict[str, float], expected: OrderTerms | None
) -> None:
    assert build_costs(Execution(**rules)).terms == expected
