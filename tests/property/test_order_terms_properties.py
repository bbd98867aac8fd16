"""Laws of fees in money, whole lots and ticks, for any bars and targets."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from oracles import EXAMPLES, make_bars, replay

from backtune.data.bars import Bars
from backtune.simulation.backtest import backtest_positions
from backtune.simulation.costs import build_costs
from backtune.simulation.simulate import Result
from backtune.spec import Execution

# An example here is a whole simulation beside its event loop, so a fifth of the usual number.
examples = settings(max_examples=max(50, EXAMPLES // 5), suppress_health_check=[HealthCheck.too_slow])

STEPS = [1.0, 0.1, 0.01, 0.001, 0.25, 0.05, 7.0, 2.5, 0.0003, 1e-5, 1 / 32]
FEES = ("fee_per_order", "fee_per_share", "minimum_fee")
RATES = {"fee_bps": 0, "slippage_bps": 0}


@st.composite
def markets(draw: st.DrawFn) -> Bars:
    """Bars between 20 and 500, whose prices are on cents or anywhere."""
    n, random = draw(st.sampled_from([60, 20, 6])), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([0.1, 0.02, 0.003]))
    levels = 100 * np.exp(np.clip(np.cumsum(random.normal(0, size, 2 * n)), -1.5, 1.5))
    ends = np.stack([levels[0::2], levels[1::2]])
    up, down = np.exp(size * np.abs(random.normal(0, 1, ends.shape)))
    columns = [ends[0], ends[1], ends.max(axis=0) * up, ends.min(axis=0) / down]
    if draw(st.booleans()):
        columns = [np.round(column, 2) for column in columns]
    return make_bars(columns[0], columns[1], high=columns[2], low=columns[3])


@st.composite
def sides(draw: st.DrawFn, choices: tuple[float, ...] = (-1.0, 0.0, 1.0)) -> np.ndarray:
    """Targets for as many bars as a market has at most."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.repeat(random.choice(choices, 60), draw(st.sampled_from([1, 2, 5])))[:60]


def rules(**fixed: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Rates, stops and terms; those that are given are as they are given."""
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "fee_bps": st.sampled_from([0.0, 3.0, 40.0]),
        "maker_fee_bps": st.sampled_from([None, 0.0, 1.0]),
        "slippage_bps": st.sampled_from([0.0, 2.0, 30.0]),
        "stop_loss": st.sampled_from([None, 0.0317, 0.25]),
        "take_profit": st.sampled_from([None, 0.0473, 0.25]),
        "trailing_stop": st.sampled_from([None, 0.0291]),
        "fee_per_order": st.sampled_from([0.0, 0.37, 5.1]),
        "fee_per_share": st.sampled_from([0.0, 0.0041, 0.13]),
        "minimum_fee": st.sampled_from([0.0, 1.07, 9.3]),
        "lot_size": st.sampled_from([None, *STEPS]),
        "tick_size": st.sampled_from([None, *STEPS]),
    }
    return st.fixed_dictionaries({name: drawn[name] for name in drawn if name not in fixed}).map(
        lambda found: {**found, **fixed}
    )


def run(bars: Bars, targets: np.ndarray, execution: dict[str, Any]) -> Result:
    return backtest_positions(targets[: len(bars)], bars, execution)


def is_multiple(value: float, step: float) -> bool:
    """Whether it is the double nearest to a multiple of the decimal that was written."""
    unit = Fraction(repr(step))
    return value == float(round(Fraction(value) / unit) * unit)


@examples
@given(markets(), sides(), rules(), st.sampled_from(STEPS), st.sampled_from([0.3, 1.0, 2.0]))
def test_quantities_are_whole_lots_and_never_more_than_asked(
    bars: Bars, targets: np.ndarray, execution: dict[str, Any], lot: float, size: float
) -> None:
    execution |= {"lot_size": lot, "size": size, "leverage": 2}
    result = run(bars, targets, execution)
    assert all(is_multiple(quantity, lot) for quantity in (*result.trades["quantity"], result.quantity))
    assert (result.trades["quantity"] > 0).all()
    account = replay(bars, targets, Execution(**execution)).account
    assert all(is_multiple(abs(trade.bought), lot) for trade in account.closed)
    # The first purchase is made with the whole of the cash.
    if not result.trades.is_empty():
        first = result.trades.row(0, named=True)
        assert first["quantity"] * first["entry_price"] <= size * 10_000 * (1 + 1e-11)
        assert (first["quantity"] + lot) * first["entry_price"] > size * 10_000 * (1 - 1e-11)


@examples
@given(markets(), sides(), rules(), st.sampled_from(STEPS))
def test_fills_are_on_ticks_and_no_better_than_the_price(
    bars: Bars, targets: np.ndarray, execution: dict[str, Any], tick: float
) -> None:
    # Sides alone: every trade has one entry and one exit, whose prices are no averages.
    result = run(bars, targets, execution | {"tick_size": tick})
    prices = [*result.trades["entry_price"], *result.trades["exit_price"]]
    assert all(is_multiple(price, tick) for price in (*prices, result.entry_price or 0.0))
    opens = dict(zip(bars.to_frame()["timestamp"], bars.open, strict=True))
    slip = execution["slippage_bps"] / 10_000
    for trade in result.trades.to_dicts():
        side = 1 if trade["side"] == "long" else -1
        price = opens[trade["entry_time"]] * (1 + side * slip)
        worse = side * (trade["entry_price"] - price)
        assert -1e-11 * price <= worse < tick * (1 + 1e-9)


@examples
@given(markets(), sides((0.0, 1.0)), rules())
def test_every_order_pays_the_formula_and_the_minimum(
    bars: Bars, targets: np.ndarray, execution: dict[str, Any]
) -> None:
    # Long or flat: a trade has two orders, and what it paid is what its profit lacks.
    execution |= {"take_profit": None}
    result = run(bars, targets, execution)

    def fee(quantity: float, price: float) -> float:
        asked = execution["fee_per_order"] + execution["fee_per_share"] * quantity
        return max(asked + quantity * price * execution["fee_bps"] / 1e4, execution["minimum_fee"])

    for trade in result.trades.to_dicts():
        quantity, bought, sold = (trade[name] for name in ("quantity", "entry_price", "exit_price"))
        paid = quantity * (sold - bought) - trade["pnl"]
        assert paid == pytest.approx(fee(quantity, bought) + fee(quantity, sold), rel=1e-8, abs=1e-8)
        assert paid >= 2 * execution["minimum_fee"] - 1e-8


@examples
@given(markets(), sides(), rules())
def test_every_order_of_the_event_loop_pays_the_minimum_and_fills_whole_lots_on_ticks(
    bars: Bars, targets: np.ndarray, execution: dict[str, Any]
) -> None:
    given_rules = Execution(**execution)
    for order in replay(bars, targets, given_rules).account.orders:
        assert order.fee >= given_rules.minimum_fee
        assert given_rules.tick_size is None or is_multiple(order.price, given_rules.tick_size)
        lots = Fraction(order.quantity) / Fraction(repr(given_rules.lot_size or 1.0))
        assert given_rules.lot_size is None or abs(lots - round(lots)) <= Fraction(1, 10**9) * abs(lots)


@examples
@given(markets(), sides((0.0, 1.0)), rules(lot_size=None), st.sampled_from(FEES), st.floats(0.01, 50))
def test_a_higher_fee_never_helps(
    bars: Bars, targets: np.ndarray, execution: dict[str, Any], name: str, more: float
) -> None:
    # Without lots, for one lot less may by chance be the luckier position; long only, where a smaller one is worth less.
    cheap = run(bars, targets, execution)
    dear = run(bars, targets, {**execution, name: execution[name] + more})
    assert (dear.equity <= cheap.equity * (1 + 1e-9)).all()


@examples
@given(
    markets(), sides((0.0, 1.0)), rules(lot_size=None, stop_loss=None, take_profit=None, trailing_stop=None)
)
def test_ticks_never_help(bars: Bars, targets: np.ndarray, execution: dict[str, Any]) -> None:
    assume(execution["tick_size"] is not None)
    with_ticks, without = run(bars, targets, execution), run(bars, targets, execution | {"tick_size": None})
    assert (with_ticks.equity <= without.equity * (1 + 1e-9)).all()


@examples
@given(
    markets(), sides(), rules(slippage_bps=0, lot_size=None, fee_per_order=0, minimum_fee=0, tick_size=0.01)
)
def test_on_bars_of_whole_ticks_a_level_is_touched_when_the_exact_one_is(
    bars: Bars, targets: np.ndarray, execution: dict[str, Any]
) -> None:
    columns = {name: np.round(getattr(bars, name), 2) for name in ("open", "high", "low", "close")}
    bars = replace(bars, **columns)
    # No multiple of a cent can be at such a level.
    execution |= {
        name: execution[name] and execution[name] + 1e-7 / 3 for name in ("stop_loss", "take_profit")
    }
    rounded, exact = run(bars, targets, execution), run(bars, targets, execution | {"tick_size": None})
    times = ["entry_time", "exit_time", "side"]
    assert rounded.trades.select(times).equals(exact.trades.select(times))
    np.testing.assert_allclose(rounded.trades["entry_price"], exact.trades["entry_price"], rtol=1e-12)
    np.testing.assert_allclose(rounded.trades["exit_price"], exact.trades["exit_price"], rtol=0, atol=0.01)


@examples
@given(
    markets(),
    sides((-1.0, -0.4, 0.0, 0.7, 1.0)),
    rules(**dict.fromkeys(FEES, 0.0), lot_size=None, tick_size=None),
)
def test_terms_that_come_to_nothing_change_nothing(
    bars: Bars, targets: np.ndarray, execution: dict[str, Any]
) -> None:
    nothing = execution | {"minimum_fee": 1e-300}
    assert build_costs(Execution(**nothing)).terms is not None
    ours, theirs = run(bars, targets, nothing), run(bars, targets, execution)
    np.testing.assert_allclose(ours.equity, theirs.equity, rtol=1e-11)
    numbers = ["quantity", "entry_price", "exit_price"]
    np.testing.assert_allclose(ours.trades.select(numbers), theirs.trades.select(numbers), rtol=1e-11)
    assert ours.trades.select("entry_time", "exit_time").equals(
        theirs.trades.select("entry_time", "exit_time")
    )


@examples
@given(st.integers(1, 10**9), st.integers(0, 10), st.sampled_from([1, 25, 5, 3, 125]))
def test_a_price_that_is_a_decimal_tick_is_kept_to_the_last_digit(
    count: int, decimals: int, units: int
) -> None:
    tick, price = float(f"{units}e-{decimals}"), float(f"{count * units}e-{decimals}")
    bars = make_bars([price] * 3, [price] * 3)
    result = backtest_positions([1, 0, 0], bars, {"tick_size": tick, **RATES})
    assert result.trades.select("entry_price", "exit_price").row(0) == (price, price)
