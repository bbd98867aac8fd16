"""The frame of the script, rule by rule: orders, sizes and exits for targets that were decided elsewhere."""

import numpy as np
import polars as pl
import pytest
from pine_runs import CASH, PineRun, run_scripts, trades_of

from backtune.data.bars import Bars
from backtune.report.export.pine import PineSource, render_pine_script
from backtune.simulation.backtest import backtest_positions
from backtune.space import Choice, Space
from backtune.spec import Execution

# The volume of a bar tells the target: 3 long, 2 flat, 1 short.
SIGNAL = "int side = volume > 2 ? 1 : volume < 2 ? -1 : 0"


def bars_of(rows, targets) -> Bars:
    """Bars of (open, high, low, close)."""
    times = pl.Series(np.arange(len(rows)) * 3_600_000_000).cast(pl.Datetime("us", "UTC"))
    columns = dict(zip(("open", "high", "low", "close"), np.array(rows, dtype=float).T, strict=True))
    return Bars.from_frame(
        pl.DataFrame({"timestamp": times, **columns, "volume": 2.0 + np.array(targets, dtype=float)}),
        timeframe="1h",
    )


def script(rules: Execution) -> str:
    return render_pine_script(PineSource("Given", "Given", SIGNAL, {}, Space(), rules))


def run_one(bars: Bars, rules: Execution) -> PineRun:
    (run,) = run_scripts([(bars, script(rules))])
    return run


FLAT = (100, 101, 99, 100)
ENTERED = [FLAT, (100, 101, 99, 100)]  # decided in the first bar, filled at the open of the second
STOP, GOAL, TRAIL = {"stop_loss": 0.1}, {"take_profit": 0.1}, {"trailing_stop": 0.1}
LONG, SHORT = [1] * 5, [-1] * 5
# name: execution, targets, bars, and exit bar, exit price of the first trade
EXITS = {
    "stop in a later bar": (STOP, LONG, [*ENTERED, (100, 101, 89, 95)], 2, 90.0),
    "stop of a short": (STOP, SHORT, [*ENTERED, (100, 111, 99, 105)], 2, 110.0),
    "stop in the bar of entry": (STOP, LONG, [FLAT, (100, 101, 85, 95), FLAT], 1, 90.0),
    "gap through the stop": (STOP, LONG, [*ENTERED, (80, 95, 79, 92)], 2, 80.0),
    "gap through the stop of a short": (STOP, SHORT, [*ENTERED, (120, 121, 105, 106)], 2, 120.0),
    "target": (GOAL, LONG, [*ENTERED, (100, 112, 99, 100)], 2, 110.0),
    "target of a short": (GOAL, SHORT, [*ENTERED, (100, 101, 88, 100)], 2, 90.0),
    "target in the bar of entry": (GOAL, LONG, [FLAT, (100, 115, 99, 100), FLAT], 1, 110.0),
    "gap through the target": (GOAL, LONG, [*ENTERED, (115, 116, 112, 113)], 2, 115.0),
    "trailing stop from the fill": (TRAIL, LONG, [*ENTERED, (100, 100, 90, 95)], 2, 90.9),
    "trailing stop in the bar of entry": (TRAIL, LONG, [FLAT, (100, 101, 89, 95), FLAT], 1, 90.0),
    "trailing stop behind highs of bars before": (
        TRAIL, LONG, [*ENTERED, (100, 120, 99, 118), (118, 119, 107, 110)], 3, 108.0,
    ),
    "trailing stop not behind the high of its own bar": (
        TRAIL, LONG, [*ENTERED, (100, 120, 95, 110), (110, 111, 107, 108), (108, 108, 107, 108)], 3, 108.0,
    ),
    "trailing stop of a short": (TRAIL, SHORT, [*ENTERED, (100, 101, 80, 82), (82, 89, 81, 85)], 3, 88.0),
    "open at a trailing stop that a bar has moved": (
        TRAIL, LONG, [*ENTERED, (100, 120, 99, 105), (105, 106, 104, 105)], 3, 105.0,
    ),
    "the nearer stop": ({**STOP, "trailing_stop": 0.05}, LONG, [*ENTERED, (100, 100, 80, 85)], 2, 101 * 0.95),
    "stop before target, open near the low": (
        {**STOP, **GOAL}, LONG, [*ENTERED, (92, 115, 89, 100)], 2, 90.0,
    ),
    "reversal at an open beyond the stop": (STOP, [1, -1, -1], [*ENTERED, (80, 81, 79, 80)], 2, 80.0),
    "close at an open beyond the stop": (STOP, [1, 0, 0], [*ENTERED, (80, 95, 79, 90)], 2, 80.0),
    "close at an open beyond the target": (GOAL, [1, 0, 0], [*ENTERED, (120, 121, 119, 120)], 2, 120.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def exits() -> dict[str, PineRun]:
    rules = {
        name: Execution(initial_cash=CASH, fee_bps=0, slippage_bps=0, **case[0])
        for name, case in EXITS.items()
    }
    runs = run_scripts(
        [(bars_of(case[2], case[1][: len(case[2])]), script(rules[name])) for name, case in EXITS.items()]
    )
    return dict(zip(EXITS, runs, strict=True))


@pytest.mark.parametrize("name", EXITS)
def test_an_exit_is_where_the_engine_has_it(exits, name):
    execution, targets, rows, bar, price = EXITS[name]
    rules = Execution(initial_cash=CASH, fee_bps=0, slippage_bps=0, **execution)
    bars = bars_of(rows, targets[: len(rows)])
    result = backtest_positions(bars.volume - 2, bars, rules)
    trades = trades_of(result, bars.volume - 2, bars, rules)
    first = trades[0]
    assert (first.entry_bar, first.exit_bar, first.entry_price) == (1, bar, 100.0)
    assert first.exit_price == pytest.approx(price, rel=1e-12)
    assert [trade[:3] for trade in exits[name].trades] == [trade[:3] for trade in trades]
    assert exits[name].trades[0].exit_price == pytest.approx(price, rel=1e-10)


def test_what_the_script_says_of_a_bar_that_touches_stop_and_target_is_so():
    rules = Execution(initial_cash=CASH, fee_bps=0, slippage_bps=0, **STOP, **GOAL)
    bars = bars_of([*ENTERED, (108, 115, 89, 100)], [1, 1, 1])
    assert "A bar that touches both stop and target: Pine guesses" in script(rules).replace("\n//  ", "")
    assert backtest_positions(np.ones(3), bars, rules).trades["exit_price"].to_list() == pytest.approx([90.0])
    assert [trade.exit_price for trade in run_one(bars, rules).trades] == pytest.approx([110.0])


def test_lots_and_ticks_are_the_engines():
    # 1e9 at 100.3 are 9970089.7 units: in lots of 250, and for a stop and a target on ticks of half a unit.
    rules = Execution(
        initial_cash=CASH, fee_bps=0, slippage_bps=0, lot_size=250, tick_size=0.5, stop_loss=0.0317, take_profit=0.0473
    )  # fmt: skip
    at = (100.5, 100.5, 100.5, 100.5)
    cases = {
        "long, stopped": ([1] * 5, [at, at, at, (100.5, 101, 97, 98), at], 3, 97.0),
        "long, not stopped by the exact level": (
            [1] * 5,
            [at, at, at, (100.5, 101, 97.2, 98), at],
            None,
            None,
        ),
        "long, at the target": ([1] * 5, [at, at, at, (100.5, 105.5, 100, 101), at], 3, 105.5),
        "short, stopped": ([-1] * 5, [at, at, at, (100.5, 104, 100, 101), at], 3, 104.0),
        "short, at the target": ([-1] * 5, [at, at, at, (100.5, 101, 95.5, 98), at], 3, 95.5),
        "reversed": ([1, 1, -1, -1, -1], [at, at, at, at, at], 3, 100.5),
    }
    runs = run_scripts([(bars_of(rows, targets), script(rules)) for targets, rows, *_ in cases.values()])
    for (name, (targets, rows, bar, price)), run in zip(cases.items(), runs, strict=True):
        bars = bars_of(rows, targets)
        result = backtest_positions(bars.volume - 2, bars, rules)
        first = run.trades[0]
        assert (first.entry_bar, first.entry_price, first.exit_bar, first.exit_price) == (
            1,
            100.5,
            bar,
            price,
        ), name
        assert [trade[:3] for trade in run.trades] == [
            trade[:3] for trade in trades_of(result, bars.volume - 2, bars, rules)
        ]
        if price is not None:
            assert result.trades["exit_price"][0] == price
            assert result.trades["quantity"][0] % 250 == 0
        assert run.equity == pytest.approx(result.equity[-1], rel=1e-12), name


def test_a_quantity_of_no_lot_is_no_order_and_a_reversal_into_it_closes():
    # Half of 1000 at 100 is one lot of 5; half of 1300 at 160 would be 4.06.
    rules = Execution(initial_cash=1_000, size=0.5, fee_bps=0, slippage_bps=0, lot_size=5)
    rows = [(100, 100, 100, 100), (100, 100, 100, 100), (100, 160, 100, 160), *[(160, 160, 160, 160)] * 3]
    bars = bars_of(rows, [1, 1, -1, -1, -1, -1])
    run, result = run_one(bars, rules), backtest_positions(bars.volume - 2, bars, rules)
    ((entry_bar, exit_bar, side, *_),) = run.trades
    assert (entry_bar, exit_bar, side) == (1, 3, 1)
    assert (result.quantity, len(result.trades)) == (0, 1)
    assert run.equity == pytest.approx(1_300)
    assert result.equity[-1] == pytest.approx(1_300)


@pytest.mark.parametrize("fees", [{"fee_per_order": 7e5}, {"fee_per_share": 0.07}, {"minimum_fee": 7e5}])
def test_commissions_in_money_are_the_engines(fees):
    rules = Execution(initial_cash=CASH, size=0.5, fee_bps=0, slippage_bps=0, **fees)
    rows = [FLAT, (100, 110, 100, 110), (110, 110, 105, 105), (105, 105, 105, 105)]
    bars = bars_of(rows, [1, 0, 0, 0])
    # 5e6 are bought at 100 and sold at 110: 0.07 a share and 7e5 an order are worth noticing.
    result = backtest_positions(bars.volume - 2, bars, rules)
    assert result.equity[-1] < 1.05e9 - 6e5
    assert run_one(bars, rules).equity == pytest.approx(result.equity[-1], rel=1e-12)


def test_a_ruin_ends_the_trading():
    rules = Execution(initial_cash=CASH, fee_bps=0, slippage_bps=0, size=3, leverage=3)
    bars = bars_of([*ENTERED, (100, 100, 50, 55), *[(55, 56, 54, 55)] * 4], [1, 1, 1, -1, 1, -1, 1])
    run = run_one(bars, rules)
    assert backtest_positions(bars.volume - 2, bars, rules).ruined
    # PineTS closes at the worst price of the bar, as if at a margin call, also where the script asks for no margin.
    ((entry_bar, _, side, *_),) = run.trades
    assert (entry_bar, side) == (1, 1)
    assert run.equity < 0
    assert run.targets.tolist() == [1, 1, 0, 0, 0, 0, 0]


def test_names_with_quotes_and_inputs_of_every_kind_are_taken():
    space = Space(mode=Choice(("up", 'd"n\\')), deep=Choice((True, False)), n=Choice((1, 2.5)))
    signal = 'int side = mode == "d\\"n\\\\" and deep and n == 2.5 ? 1 : 0'
    source = PineSource(
        'a "b" \\', 'My "best"\n\\', signal, {"mode": 'd"n\\', "deep": True, "n": 2.5}, space, Execution(),
        about=["//@version=5", 'x" \\'],
    )  # fmt: skip
    (run,) = run_scripts([(bars_of([FLAT] * 3, [0] * 3), render_pine_script(source))])
    assert run.targets.tolist() == [1, 1, 1]


STOPS = [("stop_loss",), ("trailing_stop",), ("take_profit",), ("stop_loss", "trailing_stop"), ()]


def wild(seed: int) -> tuple[Bars, Execution]:
    """Three hundred wild bars without gaps, targets that change often, and rules.

    Left out is what the script says that it cannot do: a stop together with a target, a target with slippage, a fee on
    slippage.
    """
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.02 * random.standard_normal(300)))
    before = np.concatenate([[100.0], close[:-1]])
    wicks = np.exp(0.015 * np.abs(random.standard_normal((2, 300))))
    high, low = np.maximum(before, close) * wicks[0], np.minimum(before, close) / wicks[1]
    targets = np.repeat(random.integers(-1, 2, 300), random.integers(1, 12, 300))[:300]
    stops = STOPS[seed % len(STOPS)]
    fee_bps = random.uniform(0, 20) if "take_profit" in stops or random.random() < 0.5 else 0.0
    rules = Execution(
        initial_cash=CASH, size=random.uniform(0.2, 1), allow_short=bool(random.random() < 0.7), fee_bps=fee_bps,
        slippage_bps=0 if fee_bps or "take_profit" in stops else random.uniform(0, 20),
        **{name: random.uniform(0.01, 0.1) for name in stops},
    )  # fmt: skip
    return bars_of(np.stack([before, high, low, close], axis=1), targets), rules


def test_on_wild_bars_without_gaps_trades_and_money_are_the_engines():
    cases = [wild(seed) for seed in range(60)]
    runs = run_scripts([(bars, script(rules)) for bars, rules in cases])
    n_trades = n_in_bar_of_entry = 0
    for (bars, rules), run in zip(cases, runs, strict=True):
        targets = np.maximum(bars.volume - 2, -1.0 if rules.allow_short else 0.0)
        result = backtest_positions(targets, bars, rules)
        trades = trades_of(result, targets, bars, rules)
        assert [trade[:3] for trade in run.trades] == [trade[:3] for trade in trades], rules
        for column in (3, 4):
            pairs = (
                [np.nan if trade[column] is None else trade[column] for trade in some]
                for some in (run.trades, trades)
            )
            np.testing.assert_allclose(*pairs, rtol=1e-10)
        assert run.equity == pytest.approx(result.equity[-1], rel=1e-9)
        n_trades += len(trades)
        n_in_bar_of_entry += sum(trade.entry_bar == trade.exit_bar for trade in trades)
    assert n_trades > 1000
    assert n_in_bar_of_entry > 50
