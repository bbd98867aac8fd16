"""Stops, profit targets, leverage and funding by literal tables; ``candles`` says of what and by whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from candles import FLAT, FREE_1000, QUIET, Candle, Numbers, assert_trades
from oracles import make_bars

from backtune.data.bars import Bars
from backtune.errors import SpecError
from backtune.simulation.backtest import backtest, backtest_positions

STOP, GOAL, TRAIL = {"stop_loss": 0.25}, {"take_profit": 0.25}, {"trailing_stop": 0.25}

# 10 units are bought at 100 on bar 1: stop at 75, target at 125. Exit as (bar, price).
LONG = {
    "stop in the bar": (STOP, [QUIET, (100, 105, 70, 80), QUIET], (2, 75)),
    "stop just touched": (STOP, [QUIET, (100, 105, 75, 80), QUIET], (2, 75)),
    "stop just missed": (STOP, [QUIET, (100, 105, 75.01, 80), QUIET], None),
    "gap through the stop": (STOP, [QUIET, (70, 99, 65, 80), QUIET], (2, 70)),
    "open at the stop": (STOP, [QUIET, (75, 80, 75, 80), QUIET], (2, 75)),
    "the highs do not move the stop": (STOP, [(100, 190, 80, 180), (180, 180, 76, 80), QUIET], None),
    "target in the bar": (GOAL, [QUIET, (100, 130, 95, 96), QUIET], (2, 125)),
    "target just touched": (GOAL, [QUIET, (100, 125, 95, 96), QUIET], (2, 125)),
    "target just missed": (GOAL, [QUIET, (100, 124.99, 95, 96), QUIET], None),
    "gap through the target": (GOAL, [QUIET, (140, 150, 95, 96), QUIET], (2, 140)),
    "open at the target": (GOAL, [QUIET, (125, 150, 95, 96), QUIET], (2, 125)),
    "stop on the bar of entry": (STOP, [(100, 101, 70, 80), QUIET], (1, 75)),
    "target on the bar of entry": (GOAL, [(100, 130, 99, 110), QUIET], (1, 125)),
    "both on the bar of entry": (STOP | GOAL, [(100, 130, 70, 110), QUIET], (1, 75)),
    "both in one bar": (STOP | GOAL, [QUIET, (100, 130, 70, 110), QUIET], (2, 75)),
    "gap to the target, low below the stop": (STOP | GOAL, [QUIET, (130, 131, 60, 70), QUIET], (2, 130)),
    "gap to the stop, high above the target": (STOP | GOAL, [QUIET, (70, 140, 69, 139), QUIET], (2, 70)),
    "trailing on the bar of entry": (TRAIL, [(100, 101, 70, 80), QUIET], (1, 75)),
    "trailing below the high of entry": (TRAIL, [(100, 120, 80, 100), (100, 119, 89, 95), QUIET], (2, 90)),
    "the high of a bar moves the stop of the next": (
        TRAIL, [QUIET, (100, 160, 76, 150), (150, 150, 119, 119), QUIET], (3, 120),
    ),
    "trailing never falls": (
        TRAIL, [(100, 120, 99, 100), (100, 101, 99, 100), (100, 101, 95, 96), (96, 97, 88, 90)], (4, 90),
    ),
    "gap through the trailing stop": (TRAIL, [(100, 160, 99, 160), (110, 115, 100, 101), QUIET], (2, 110)),
    "trailing rises above the entry and target comes too": (
        TRAIL | {"take_profit": 0.75}, [(100, 160, 99, 150), (150, 180, 119, 150), QUIET], (2, 120),
    ),
    "the fixed stop is nearer": (
        TRAIL | {"stop_loss": 0.125}, [(100, 110, 99, 100), (100, 101, 80, 81), QUIET], (2, 87.5),
    ),
    "the trailing stop is nearer": (
        TRAIL | {"stop_loss": 0.125}, [(100, 140, 99, 130), (130, 130, 80, 81), QUIET], (2, 105),
    ),
}  # fmt: skip

# 10 units are sold at 100 on bar 1: stop at 125, target at 75.
SHORT = {
    "stop in the bar": (STOP, [QUIET, (100, 130, 95, 120), QUIET], (2, 125)),
    "stop just touched": (STOP, [QUIET, (100, 125, 95, 120), QUIET], (2, 125)),
    "stop just missed": (STOP, [QUIET, (100, 124.99, 95, 120), QUIET], None),
    "gap through the stop": (STOP, [QUIET, (140, 150, 90, 120), QUIET], (2, 140)),
    "open at the stop": (STOP, [QUIET, (125, 125, 90, 100), QUIET], (2, 125)),
    "target in the bar": (GOAL, [QUIET, (100, 105, 70, 104), QUIET], (2, 75)),
    "target just touched": (GOAL, [QUIET, (100, 105, 75, 104), QUIET], (2, 75)),
    "target just missed": (GOAL, [QUIET, (100, 105, 75.01, 104), QUIET], None),
    "gap through the target": (GOAL, [QUIET, (60, 105, 50, 104), QUIET], (2, 60)),
    "open at the target": (GOAL, [QUIET, (75, 105, 70, 104), QUIET], (2, 75)),
    "stop on the bar of entry": (STOP, [(100, 130, 99, 120), QUIET], (1, 125)),
    "target on the bar of entry": (GOAL, [(100, 101, 70, 90), QUIET], (1, 75)),
    "both in one bar": (STOP | GOAL, [QUIET, (100, 130, 70, 110), QUIET], (2, 125)),
    "gap to the target, high above the stop": (STOP | GOAL, [QUIET, (70, 140, 69, 139), QUIET], (2, 70)),
    "gap to the stop, low below the target": (STOP | GOAL, [QUIET, (130, 131, 60, 70), QUIET], (2, 130)),
    "trailing on the bar of entry": (TRAIL, [(100, 130, 99, 120), QUIET], (1, 125)),
    "trailing above the low of entry": (TRAIL, [(100, 120, 80, 90), (90, 101, 85, 95), QUIET], (2, 100)),
    "the low of a bar moves the stop of the next": (
        TRAIL, [QUIET, (100, 120, 40, 45), (45, 51, 45, 51), QUIET], (3, 50),
    ),
    "gap through the trailing stop": (TRAIL, [(100, 101, 40, 41), (60, 61, 59, 60), QUIET], (2, 60)),
    "the fixed stop is nearer": (
        TRAIL | {"stop_loss": 0.125}, [(100, 101, 99, 100), (100, 130, 99, 101), QUIET], (2, 112.5),
    ),
    "the trailing stop is nearer": (
        TRAIL | {"stop_loss": 0.125}, [(100, 101, 80, 85), (85, 130, 85, 101), QUIET], (2, 100),
    ),
}  # fmt: skip
EXITS = {f"long: {name}": (1, *case) for name, case in LONG.items()} | {
    f"short: {name}": (-1, *case) for name, case in SHORT.items()
}


@pytest.mark.parametrize(("side", "distances", "candles", "exit_"), EXITS.values(), ids=EXITS)
def test_exits(
    run: Any, side: int, distances: dict[str, float], candles: list[Candle], exit_: tuple[int, float] | None
) -> None:
    # The target stays: what was stopped is not entered again, so equity stays where the exit left it.
    outcome = run(candles, side, FREE_1000 | distances)
    if exit_ is None:
        assert outcome.trades == []
        assert outcome.quantity == pytest.approx(10 * side)
        assert outcome.equity[-1] == pytest.approx(1000 + 10 * side * (candles[-1][3] - 100))
    else:
        bar, price = exit_
        gained = 10 * side * (price - 100)
        assert_trades(outcome, [(side, 1, bar, 10, 100, price, gained)])
        assert outcome.quantity == 0
        assert outcome.equity[bar:] == pytest.approx([1000 + gained] * (len(candles) + 1 - bar))


# The first trade buys 10 at 100 and is stopped at 75 on bar 2, which leaves 750. Bars 3 to 5 are flat at 50.
AT_50: Candle = (50, 50, 50, 50)
STOPPED = (1, 1, 2, 10, 100, 75, -250)
AGAIN = {
    "unchanged": ([1, 1, 1, 1, 1, 1], [], 0),
    "another size": ([1, 1, 1, 0.5, 0.5, 0.5], [], 7.5),
    "another size and flat": ([1, 1, 1, 0.5, 0, 0], [(1, 4, 5, 7.5, 50, 50, 0)], 0),
    "flat": ([1, 1, 1, 0, 0, 0], [], 0),
    "flat and back": ([1, 1, 1, 0, 1, 1], [], 15),
    "the other side": ([1, 1, 1, -1, -1, -1], [], -15),
    # Decided at the close of the very bar that stopped.
    "decided on the bar of the stop": ([1, 1, 0.5, 0.5, 0.5, 0.5], [], 7.5),
    # The change comes before the stop and is no new one after it: half is sold at 100, the other half stopped.
    "changed on the bar of the stop": ([1, 0.5, 0.5, 0.5, 0.5, 0.5], [(1, 1, 2, 10, 100, 87.5, -125)], 0),
}


@pytest.mark.parametrize(("targets", "later", "quantity"), AGAIN.values(), ids=AGAIN)
def test_no_entry_until_the_target_changes(
    run: Any, targets: list[float], later: list[Numbers], quantity: float
) -> None:
    outcome = run([QUIET, (100, 100, 70, 70), AT_50, AT_50, AT_50], targets, FREE_1000 | STOP)
    first = [] if targets[1] == 0.5 else [STOPPED]
    assert_trades(outcome, first + later)
    assert outcome.quantity == pytest.approx(quantity)


def test_a_target_that_shorts_are_cut_from_does_not_change(run: Any) -> None:
    # -1 and -0.5 both mean flat, so the return to 1 is the first change after the stop.
    targets = [1, 1, -1, -0.5, 1, 1]
    outcome = run(
        [QUIET, (100, 100, 70, 70), AT_50, AT_50, AT_50], targets, FREE_1000 | STOP | {"allow_short": False}
    )
    assert_trades(outcome, [STOPPED])
    assert outcome.quantity == pytest.approx(15)


RESIZED = {
    # 5 at 100; at 80 equity is 900, so 11.25 are held, 6.25 more: 1000 paid for 11.25 is 88.9, and 75 % of it 66.7.
    "the average entry price sets the stop": (
        STOP, [QUIET, (80, 80, 70, 80), (80, 80, 60, 65)], [0.5, 1, 1, 1],
        [(1, 1, 3, 11.25, 1000 / 11.25, 750 / 11.25, -250)],
    ),
    # The stop was 87.5, the open is 80: the order is first, and then the stop is 7/8 of 88.9.
    "an order at the open comes before the stop": (
        {"stop_loss": 0.125}, [QUIET, (80, 80, 78, 80), (80, 80, 77, 78)], [0.5, 1, 1, 1],
        [(1, 1, 3, 11.25, 1000 / 11.25, 875 / 11.25, -125)],
    ),
    # 5 at 100, then at 160 equity is 1300: 8.125 held for 1000; the target is 1250 / 8.125 = 153.8, below the open.
    "and is checked at that open": (
        GOAL | {"take_profit": 0.25, "stop_loss": 0.9}, [(100, 120, 100, 120), (160, 160, 159, 160)], [0.5, 1, 1],
        [(1, 1, 2, 8.125, 1000 / 8.125, 160, 300)],
    ),
    # 10 at 100, half of it sold at 120 for 600: 1200 are worth 600 + 5 x 120. The rest is stopped at 75.
    "a part sold leaves the entry price": (
        STOP, [QUIET, (120, 120, 80, 90), (90, 90, 70, 80)], [1, 0.5, 0.5, 0.5],
        [(1, 1, 3, 10, 100, (600 + 375) / 10, -25)],
    ),
    # 10 at 100, 5 sold at 100, 10 bought at 50 with the 500: 1500 paid for 20 is 75, and half of it 37.5.
    "what was sold still counts in the average": (
        {"stop_loss": 0.5}, [QUIET, QUIET, (50, 50, 40, 50), (50, 50, 36, 37)], [1, 0.5, 1, 1, 1],
        [(1, 1, 4, 20, 75, (500 + 15 * 37.5) / 20, -437.5)],
    ),
    # Best 160, so 120, whatever is bought at 150: 5 at 100 and, with 1250, 3.333 at 150.
    "the best price is kept": (
        TRAIL, [(100, 160, 100, 150), (150, 150, 121, 130), (130, 130, 119, 119)], [0.5, 1, 1, 1],
        [(1, 1, 3, 25 / 3, 120, 120, 0)],
    ),
    # Long until 150 with 1500; the short of 10 has its own best price of 150, and its stop at 187.5, then 175.
    "a reversal starts afresh": (
        TRAIL, [(100, 160, 100, 150), (150, 180, 140, 150), (150, 180, 149, 179)], [1, -1, -1, -1],
        [(1, 1, 2, 10, 100, 150, 500), (-1, 2, 3, 10, 150, 175, -250)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("distances", "candles", "targets", "trades"), RESIZED.values(), ids=RESIZED)
def test_resizing(
    run: Any,
    distances: dict[str, float],
    candles: list[Candle],
    targets: list[float],
    trades: list[Numbers],
) -> None:
    assert_trades(run(candles, targets, FREE_1000 | distances), trades)


TO_STOP: Candle = (100, 105, 70, 80)
TO_GOAL: Candle = (100, 130, 95, 96)
SHORT_TO_STOP: Candle = (100, 130, 95, 120)
SHORT_TO_GOAL: Candle = (100, 105, 60, 104)
FEE = {"fee_bps": 100}
MAKER = {"fee_bps": 100, "maker_fee_bps": 20}
SLIP = {"slippage_bps": 1000}

# Half of 1000: 5 at 100 without slippage; 500 / 110 at 110, or 500 / 90 short at 90, with a slippage of 10 percent.
COSTS = {
    "a taker stops": (1, FEE | STOP, TO_STOP, (5, 100, 75, -125 - 5 - 3.75)),
    "a stop is never a maker": (1, MAKER | STOP, TO_STOP, (5, 100, 75, -125 - 5 - 3.75)),
    "one fee for all": (1, FEE | GOAL, TO_GOAL, (5, 100, 125, 125 - 5 - 6.25)),
    "a maker takes profit": (1, MAKER | GOAL, TO_GOAL, (5, 100, 125, 125 - 5 - 1.25)),
    "a maker for nothing": (1, MAKER | GOAL | {"maker_fee_bps": 0}, TO_GOAL, (5, 100, 125, 125 - 5)),
    "a maker at the open": (1, MAKER | GOAL, (140, 141, 95, 96), (5, 100, 140, 200 - 5 - 1.4)),
    "a maker on the short side": (-1, MAKER | GOAL, SHORT_TO_GOAL, (5, 100, 75, 125 - 5 - 0.75)),
    "a short taker": (-1, MAKER | STOP, SHORT_TO_STOP, (5, 100, 125, -125 - 5 - 6.25)),
    "a trailing stop is a taker": (1, MAKER | TRAIL, TO_STOP, (5, 100, 75.75, -121.25 - 5 - 3.7875)),
    "slippage on a stop": (1, SLIP | STOP, TO_STOP, (500 / 110, 110, 74.25, -162.5)),
    "slippage on a gap": (1, SLIP | STOP, (80, 81, 79, 80), (500 / 110, 110, 72, -38 * 500 / 110)),
    "no slippage on a target": (1, SLIP | GOAL, (100, 140, 99, 100), (500 / 110, 110, 137.5, 125)),
    "no slippage on a gap to it": (1, SLIP | GOAL, (143, 144, 99, 100), (500 / 110, 110, 143, 150)),
    "slippage on a short's stop": (-1, SLIP | STOP, SHORT_TO_STOP, (500 / 90, 90, 123.75, -187.5)),
    "none on a short's target": (-1, SLIP | GOAL, SHORT_TO_GOAL, (500 / 90, 90, 67.5, 125)),
}


@pytest.mark.parametrize(("side", "costs", "candle", "trade"), COSTS.values(), ids=COSTS)
def test_costs_of_exits(run: Any, side: int, costs: dict[str, float], candle: Candle, trade: Numbers) -> None:
    outcome = run([QUIET, candle, QUIET], side, FREE_1000 | {"size": 0.5} | costs)
    assert_trades(outcome, [(side, 1, 2, *trade)])
    assert outcome.equity[-1] == pytest.approx(1000 + trade[-1])


def test_slippage_beyond_the_stop_is_stopped_at_the_open_of_entry(run: Any) -> None:
    # Bought at 110: the stop at 104.5 is above the open of 100, and the sale is at 90.
    outcome = run([QUIET, QUIET], 1, FREE_1000 | SLIP | {"stop_loss": 0.05})
    assert_trades(outcome, [(1, 1, 1, 1000 / 110, 110, 90, -20 * 1000 / 110)])


def test_metrics_of_stopped_trades() -> None:
    # On five days: 10 bought at 100 and stopped at 75 on the same bar; at 50, 15 sold short, target at 37.5 two
    # days later. Fills of 1000, 750, 750 and 562.5; closes with 1000, 750, 750, 750 - 15 x 1, 937.5.
    candles = [FLAT, (100, 101, 70, 80), AT_50, (50, 51, 50, 51), (50, 51, 30, 40)]
    open_, high, low, close = np.array(candles, dtype=np.float64).T
    bars = make_bars(open_, close, high=high, low=low)
    result = backtest_positions([1, -1, -1, -1, -1], bars, FREE_1000 | STOP | GOAL)
    assert result.equity.tolist() == pytest.approx([1000, 750, 750, 735, 937.5])
    expected = {
        "total_trades": 2,
        "win_rate": 0.5,
        "profit_factor": 187.5 / 250,
        "average_win": 0.25,
        "average_loss": -0.25,
        "average_trade_hours": 24,
        "exposure": 2 / 5,
        "turnover": 3062.5 * 365.25 / 5 / (4172.5 / 5),
    }
    assert {name: result.metrics[name] for name in expected} == pytest.approx(expected)


LEVERED = FREE_1000 | {"size": 2, "leverage": 2}


def test_leverage_of_two(run: Any) -> None:
    # 20 at 100 for 1000.
    outcome = run([(100, 110, 90, 110), (110, 120, 100, 120)], 1, LEVERED)
    assert outcome.equity == pytest.approx([1000, 1200, 1400])
    assert outcome.quantity == pytest.approx(20)
    assert run([(100, 110, 90, 110)], -1, LEVERED).equity == pytest.approx([1000, 800])


def test_a_fraction_of_leverage(run: Any) -> None:
    assert run([QUIET], 0.75, LEVERED).quantity == pytest.approx(15)


def test_leverage_multiplies_what_a_stop_loses(run: Any) -> None:
    outcome = run([QUIET, TO_STOP], 1, LEVERED | STOP)
    assert_trades(outcome, [(1, 1, 2, 20, 100, 75, -500)])
    assert outcome.equity[-1] == pytest.approx(500)


def test_leverage_is_ruined_by_half_the_price(run: Any) -> None:
    outcome = run([QUIET, (100, 100, 50, 50), QUIET], 1, LEVERED)
    assert outcome.ruined
    assert outcome.equity == [1000, 1000, 0, 0]
    assert (outcome.trades, outcome.quantity) == ([], 0)


def test_a_stop_saves_from_ruin_and_a_gap_does_not(run: Any) -> None:
    saved = run([QUIET, (100, 100, 40, 40), QUIET], 1, LEVERED | STOP)
    assert saved.equity == pytest.approx([1000, 1000, 500, 500])
    # 20 sold at 40 lose 1200 of 1000; the trade is closed before the close finds nothing left.
    lost = run([QUIET, (40, 100, 40, 100), QUIET], 1, LEVERED | STOP)
    assert lost.ruined
    assert lost.equity == [1000, 1000, 0, 0]
    assert_trades(lost, [(1, 1, 2, 20, 100, 40, -1200)])


def test_more_than_the_leverage_is_refused() -> None:
    with pytest.raises(SpecError, match=r"execution\.size: 2\.5 is above the leverage of 2"):
        backtest_positions([1, 1], make_bars([1, 1], [1, 1]), {"size": 2.5, "leverage": 2})


@pytest.mark.parametrize(("key", "value"), [("leverage", 0.5), ("leverage", 2000), ("maker_fee_bps", -1)])
def test_impossible_execution(key: str, value: float) -> None:
    with pytest.raises(SpecError, match=rf"execution\.{key}: "):
        backtest_positions([1, 1], make_bars([1, 1], [1, 1]), {key: value})


RISING: list[Candle] = [(100, 110, 100, 110), (110, 120, 110, 120), (120, 120, 120, 120)]

# 10 at 100 on bar 1, which pays nothing for that open; then 10 x 110 x rate and 10 x 120 x rate before the exit.
FUNDED = {
    "a long pays": (1, 0.01, [1000, 1100, 1200 - 11, 1200 - 23], 200 - 23),
    "a long is paid a negative rate": (1, -0.01, [1000, 1100, 1211, 1223], 223),
    "a short is paid": (-1, 0.01, [1000, 900, 811, 823], -200 + 23),
    "a short pays a negative rate": (-1, -0.01, [1000, 900, 789, 777], -223),
}


@pytest.mark.parametrize(("side", "rate", "equity", "pnl"), FUNDED.values(), ids=FUNDED)
def test_funding(run: Any, side: int, rate: float, equity: list[float], pnl: float) -> None:
    outcome = run(RISING, [side, side, 0, 0], FREE_1000, [rate] * 3)
    assert outcome.equity == pytest.approx(equity)
    assert_trades(outcome, [(side, 1, 3, 10, 100, 120, pnl)])


def test_an_order_is_sized_after_funding(run: Any) -> None:
    # 5 at 100 pay 50 of 1000; what is left buys 9.5.
    outcome = run([FLAT, FLAT], [0.5, 1, 1], FREE_1000, [0.1, 0.1])
    assert outcome.quantity == pytest.approx(9.5)
    assert outcome.equity == pytest.approx([1000, 1000, 950])


def test_funding_at_the_open_of_a_stop_is_paid_and_none_after_it(run: Any) -> None:
    outcome = run([FLAT, (70, 70, 70, 70), QUIET], 1, FREE_1000 | STOP, [0.1, 0.1, 0.1])
    assert_trades(outcome, [(1, 1, 2, 10, 100, 70, -300 - 70)])
    assert outcome.equity == pytest.approx([1000, 1000, 630, 630])


def test_funding_can_ruin(run: Any) -> None:
    # At the close, and at the open of an order, whatever that bar closes with.
    assert run([FLAT, FLAT, FLAT], 1, FREE_1000, [0, 1, -1]).equity == [1000, 1000, 0, 0]
    dear = [FLAT, (100, 300, 100, 300), FLAT]
    assert run(dear, [1, 0.5, 0.5, 0.5], FREE_1000, [0, 1, 0]).equity == [1000, 1000, 0, 0]
    assert run(dear, 1, FREE_1000, [0, 1, 0]).equity == pytest.approx([1000, 1000, 2000, 0])


def test_funding_counts_in_the_return() -> None:
    bars = make_bars([100] * 4, [100] * 4, funding=[0, 0, 0.1, 0])
    result = backtest_positions([1, 1, 0, 0], bars, FREE_1000)
    assert result.trades["return"].to_list() == pytest.approx([-0.1])
    assert result.metrics["win_rate"] == 0


@pytest.mark.parametrize(
    ("distances", "price"), [({"stop_loss": 0.05}, 95), ({"take_profit": 0.05}, 105), ({"trailing_stop": 0.05}, 95)]
)  # fmt: skip
def test_a_mapping_with_a_distance(distances: dict[str, float], price: float) -> None:
    bars = make_bars([100] * 3, [100] * 3, high=[100, 100, 110], low=[100, 100, 90])
    trades = backtest_positions([1, 1, 1], bars, distances | {"fee_bps": 0, "slippage_bps": 0}).trades
    assert trades["exit_price"].to_list() == pytest.approx([price])


RANGE = {"type": "float", "low": 0.01, "high": 0.1}


def walk(n: int = 600, seed: int = 5) -> Bars:
    """A random walk with highs and lows beyond its opens and closes."""
    random = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(random.normal(0, 0.02, n)))
    opens = np.concatenate([[100.0], closes[:-1]]) * np.exp(random.normal(0, 0.002, n))
    reach = np.exp(np.abs(random.normal(0, 0.01, (2, n))))
    return make_bars(
        opens,
        closes,
        high=np.maximum(opens, closes) * reach[0],
        low=np.minimum(opens, closes) / reach[1],
    )


@pytest.mark.parametrize("name", ["stop_loss", "take_profit", "trailing_stop"])
def test_a_range_is_refused_where_nothing_searches_it(name: str) -> None:
    bars = walk(40)
    message = rf"execution\.{name}: .* is not a number between 0 and 1"
    with pytest.raises(SpecError, match=message):
        backtest_positions(np.ones(40), bars, {name: RANGE})
    with pytest.raises(SpecError, match=message):
        backtest("RSIStrategy", {"period": 14}, bars, {name: RANGE})


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, "5%", True, float("nan"), {"type": "float", "low": 0}])
@pytest.mark.parametrize("name", ["stop_loss", "take_profit", "trailing_stop"])
def test_impossible_distances(name: str, value: object) -> None:
    with pytest.raises(SpecError, match=rf"execution\.{name}"):
        backtest_positions([1, 1], make_bars([1, 1], [1, 1]), {name: value})


@pytest.mark.parametrize(
    "distances",
    [
        {"stop_loss": 0.05},
        {"take_profit": 0.03},
        {"trailing_stop": 0.04},
        {"stop_loss": 0.02, "take_profit": 0.04, "trailing_stop": 0.03},
    ],
    ids="+".join,
)
def test_parameters_may_carry_distances(distances: dict[str, float]) -> None:
    bars, params = walk(), {"period": 14}
    in_params = backtest("RSIStrategy", params | distances, bars)
    in_execution = backtest("RSIStrategy", params, bars, distances)
    searched = backtest("RSIStrategy", params | distances, bars, dict.fromkeys(distances, RANGE))
    replaced = backtest("RSIStrategy", params | distances, bars, dict.fromkeys(distances, 0.5))
    without = backtest("RSIStrategy", params, bars)
    for result in (in_params, searched, replaced):
        assert result.metrics == in_execution.metrics
        assert result.equity.tolist() == in_execution.equity.tolist()
        assert result.trades.equals(in_execution.trades)
    assert in_execution.metrics["total_trades"]
    assert in_execution.equity.tolist() != without.equity.tolist()


def test_a_parameter_that_is_no_distance_is_refused() -> None:
    bars = walk(40)
    with pytest.raises(SpecError, match=r"stop_loss: 2 is not a number between 0 and 1"):
        backtest("RSIStrategy", {"stop_loss": 2}, bars)
    with pytest.raises(SpecError, match="stop_los"):
        backtest("RSIStrategy", {"stop_los": 0.1}, bars)
