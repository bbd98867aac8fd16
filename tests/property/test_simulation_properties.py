"""The compiled engine against the event loop of ``oracles``, and laws that hold for any bars and targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from oracles import (
    DAY,
    EXAMPLES,
    Replay,
    assert_metrics,
    block_moments,
    drawdowns_of,
    make_bars,
    metrics_of_path,
    metrics_of_trades,
    replay,
    returns_of,
)

from backtune.data.bars import Bars
from backtune.simulation.backtest import backtest_positions
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.metrics import METRICS
from backtune.simulation.simulate import Result, score_positions, simulate_positions
from backtune.spec import Execution

examples = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])

LEVELS = {
    "all in": (-1.0, 0.0, 1.0),
    "long": (0.0, 1.0),
    "sized": (-1.0, -0.6, -0.1, 0.0, 0.3, 0.31, 1.0),
    "any": None,
}
NO_TERMS: dict[str, Any] = {
    "fee_per_order": 0.0, "fee_per_share": 0.0, "minimum_fee": 0.0, "lot_size": None, "tick_size": None,
}  # fmt: skip
NO_STOPS: dict[str, Any] = {"stop_loss": None, "take_profit": None, "trailing_stop": None}


@dataclass(frozen=True)
class Case:
    bars: Bars
    targets: np.ndarray
    execution: Execution
    start: int


def randoms() -> st.SearchStrategy[np.random.Generator]:
    """Numbers from a drawn seed: lists that hypothesis draws itself are mostly short and full of zeros."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def bars_of(draw: st.DrawFn) -> Bars:
    """Bars with gaps in time, jumps between bars, moves within them, and perhaps a funding rate."""
    n, random = draw(st.sampled_from([60, 40, 20, 6, 2, 1])), draw(randoms())
    size = draw(st.sampled_from([0.3, 0.05, 0.01, 0.002]))
    moves = random.normal(0, size, 2 * n)
    moves[random.random(2 * n) < 0.03] += draw(st.sampled_from([1.5, 0.0, -3.0]))
    levels = 100 * np.exp(np.cumsum(moves))
    reaches = highs_and_lows(levels, size * draw(st.sampled_from([0.0, 0.5, 2.0])), random)
    if draw(st.booleans()):
        # Every price to the cent, where many are alike and levels are met exactly.
        levels, *ends = (np.maximum(np.round(x, 2), 0.01) for x in (levels, *reaches.values()))
        reaches = dict(zip(reaches, ends, strict=True))
    rate = draw(st.sampled_from([None, None, 0.0005, 0.02]))
    return make_bars(
        levels[0::2],
        levels[1::2],
        np.cumsum(random.integers(1, 5, n)) * DAY,
        **reaches,
        funding=None if rate is None else random.normal(rate / 4, rate, n),
    )


@st.composite
def calm_bars(draw: st.DrawFn) -> Bars:
    """Bars that nowhere double or halve."""
    n, random = draw(st.sampled_from([60, 20, 6])), draw(randoms())
    levels = 100 * np.exp(np.clip(np.cumsum(random.normal(0, 0.01, 2 * n)), -0.2, 0.2))
    return make_bars(levels[0::2], levels[1::2], **highs_and_lows(levels, 0.005, random))


@st.composite
def unbroken_bars(draw: st.DrawFn) -> Bars:
    """Bars that open where the last one closed, so that no price is jumped over."""
    n, random = draw(st.sampled_from([60, 20, 6])), draw(randoms())
    size = draw(st.sampled_from([0.3, 0.05, 0.01]))
    path = 100 * np.exp(np.cumsum(random.normal(0, size, n + 1)))
    levels = np.repeat(path, 2)[1:-1]
    return make_bars(levels[0::2], levels[1::2], **highs_and_lows(levels, size, random))


def highs_and_lows(levels: np.ndarray, reach: float, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Highs and lows beyond the opens and closes that alternate in ``levels``."""
    ends = np.stack([levels[0::2], levels[1::2]])
    up, down = np.exp(reach * np.abs(random.normal(0, 1, ends.shape)))
    return {"high": ends.max(axis=0) * up, "low": ends.min(axis=0) / down}


def distances(move: float) -> st.SearchStrategy[dict[str, float | None]]:
    """Stops and profit targets within a bar that moves by ``move`` and beyond it, each often absent.

    None is what two fees come to: whether such a trade is won would be a matter of rounding.
    """
    near_and_far = st.sampled_from([None, None, None, 0.317, 1.73, 4.19, 11.3])
    distance = near_and_far.map(lambda factor: None if factor is None else min(factor * move, 0.93))
    return st.fixed_dictionaries({"stop_loss": distance, "take_profit": distance, "trailing_stop": distance})


def terms() -> st.SearchStrategy[dict[str, float | None]]:
    """Fees in money, lots and ticks, each often absent; amounts that nothing else comes to."""
    return st.fixed_dictionaries(
        {
            "fee_per_order": st.sampled_from([0.0, 0.0, 0.37, 21.3]),
            "fee_per_share": st.sampled_from([0.0, 0.0, 0.0041, 0.83]),
            "minimum_fee": st.sampled_from([0.0, 0.0, 1.07, 33.1]),
            "lot_size": st.sampled_from([None, None, 1.0, 0.1, 0.001, 7.0, 0.0003]),
            "tick_size": st.sampled_from([None, None, 0.01, 0.05, 0.25, 1.0, 1e-5, 0.0003]),
        }
    )


@st.composite
def executions(draw: st.DrawFn, move: float = 0.03) -> Execution:
    return Execution(
        **draw(st.one_of(st.just(NO_TERMS), terms())),
        initial_cash=draw(st.sampled_from([1.0, 10_000.0, 3.7e6])),
        **draw(
            st.sampled_from(
                [{"size": size} for size in (0.05, 0.5, 0.99, 1.0)]
                + [{"size": 0.7, "leverage": 2.0}, {"size": 3.0, "leverage": 3.0}]
            )
        ),
        fee_bps=draw(st.sampled_from([0.0, 1.0, 10.0, 250.0])),
        maker_fee_bps=draw(st.sampled_from([None, 0.0, 5.0, 400.0])),
        slippage_bps=draw(st.sampled_from([0.0, 2.0, 300.0])),
        allow_short=draw(st.sampled_from([True, True, False])),
        **draw(distances(move)),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    bars, random = draw(bars_of()), draw(randoms())
    levels = LEVELS[draw(st.sampled_from(sorted(LEVELS)))]
    n = len(bars)
    drawn = random.uniform(-1, 1, n) if levels is None else random.choice(levels, n)
    targets = np.repeat(drawn, draw(st.sampled_from([1, 2, 5, 20, 60])))[:n]
    start = draw(st.one_of(st.just(0), st.integers(0, n // 2)))
    move = max(float(np.median(bars.high / bars.low)) - 1, 1e-4)
    return Case(bars, targets, draw(executions(move)), start)


def run(case: Case) -> tuple[Result, Replay, Bars]:
    window = BarWindow.of(case.bars, case.start)
    return (
        simulate_positions(case.targets, window, case.execution),
        replay(case.bars, case.targets, case.execution, case.start),
        case.bars[case.start :],
    )


def precision(equity: np.ndarray, initial_cash: float) -> float:
    """How well a deviation is known that is computed from sums: worse, the smaller it is beside the mean."""
    r = returns_of(equity, initial_cash)
    spread = r.var() * len(r)
    return max(1e-9, 1e-14 * (r * r).sum() / spread) if spread > 0 else 1.0


@examples
@given(cases())
def test_equity_is_that_of_the_event_loop(case: Case) -> None:
    result, loop, _ = run(case)
    np.testing.assert_allclose(result.equity, loop.equity, rtol=1e-9, atol=1e-9 * case.execution.initial_cash)
    assert result.ruined == loop.ruined
    if not loop.ruined:
        assert result.quantity == pytest.approx(loop.account.quantity, rel=1e-9, abs=1e-12)
        assert result.cash == pytest.approx(
            loop.account.cash, rel=1e-9, abs=1e-9 * case.execution.initial_cash
        )
        still = loop.account.open_trade
        assert result.entry_price == (None if still is None else pytest.approx(still.entry_price, rel=1e-9))


@examples
@given(cases())
def test_trades_are_those_of_the_event_loop(case: Case) -> None:
    result, loop, bars = run(case)
    times = bars.to_frame()["timestamp"]
    close = {"rel": 1e-9, "abs": 1e-9 * case.execution.initial_cash}
    assert result.trades.to_dicts() == [
        {
            "entry_time": times[trade.entry_bar],
            "exit_time": times[trade.exit_bar],
            "side": "long" if trade.side > 0 else "short",
            "quantity": pytest.approx(trade.bought, rel=1e-9),
            "entry_price": pytest.approx(trade.entry_price, rel=1e-9),
            "exit_price": pytest.approx(trade.exit_price, rel=1e-9),
            "pnl": pytest.approx(trade.pnl, **close),
            "return": pytest.approx(trade.fraction, rel=1e-9, abs=1e-9),
        }
        for trade in loop.account.closed
    ]


@examples
@given(cases())
def test_metrics_are_those_of_the_event_loop(case: Case) -> None:
    result, loop, bars = run(case)
    cash = case.execution.initial_cash
    expected = {**metrics_of_path(loop.equity, bars, cash), **metrics_of_trades(loop, bars)}
    assert list(expected) == list(METRICS)
    known = precision(loop.equity, cash)
    of_deviations = {name: expected.pop(name) for name in ("volatility", "sharpe_ratio")}
    assert_metrics(result.metrics, expected)
    if known < 1e-4:
        assert_metrics(result.metrics, of_deviations, rel=known)


@examples
@given(cases())
def test_a_score_is_the_result_without_its_records(case: Case) -> None:
    window = BarWindow.of(case.bars, case.start)
    result = simulate_positions(case.targets, window, case.execution)
    score = score_positions(case.targets, window, case.execution)
    assert score.metrics == result.metrics
    assert score.ruined == result.ruined
    if case.start == 0:
        assert backtest_positions(case.targets, case.bars, case.execution).metrics == score.metrics


@examples
@given(cases())
def test_block_moments_are_those_of_the_returns(case: Case) -> None:
    window = BarWindow.of(case.bars, case.start)
    result = simulate_positions(case.targets, window, case.execution)
    blocks = score_positions(case.targets, window, case.execution).blocks
    bars, cash = case.bars[case.start :], case.execution.initial_cash
    np.testing.assert_allclose(blocks, block_moments(result.equity, bars, cash), rtol=1e-9, atol=1e-12)
    r = returns_of(result.equity, cash)
    np.testing.assert_allclose(blocks.sum(axis=0), [len(r), r.sum(), (r * r).sum()], rtol=1e-9, atol=1e-12)


@examples
@given(cases())
def test_nothing_before_the_window_counts_but_the_last_target(case: Case) -> None:
    ours = score_positions(case.targets, BarWindow.of(case.bars, case.start), case.execution)
    before = max(case.start - 1, 0)
    cut = BarWindow.of(case.bars[before:], case.start - before)
    assert score_positions(case.targets[before:], cut, case.execution).metrics == ours.metrics


@examples
@given(cases())
def test_the_last_target_is_never_filled(case: Case) -> None:
    other = case.targets.copy()
    other[-1] = -other[-1] or 1.0
    window = BarWindow.of(case.bars, case.start)
    assert (
        simulate_positions(case.targets, window, case.execution).metrics
        == simulate_positions(other, window, case.execution).metrics
    )


@examples
@given(bars_of(), randoms(), executions())
def test_costs_never_help(bars: Bars, random: np.random.Generator, execution: Execution) -> None:
    # Without stops: slippage moves the entry price, and so a stop, perhaps to where it is not touched.
    targets = random.integers(0, 2, len(bars)).astype(np.float64)
    # Without lots: what costs leave may by chance buy one lot less before a fall. A tick beyond the price would be a gain.
    costly = execution.model_copy(update={"size": 1.0, "lot_size": None, **NO_STOPS})
    assume(costly.tick_size is None or costly.tick_size < bars.low.min() / 2)
    free = costly.model_copy(update={"fee_bps": 0.0, "maker_fee_bps": None, "slippage_bps": 0.0, **NO_TERMS})
    with_costs, without = (backtest_positions(targets, bars, costs) for costs in (costly, free))
    assert (with_costs.equity <= without.equity * (1 + 1e-9)).all()


@examples
@given(bars_of(), randoms(), executions())
def test_fees_never_help_and_move_no_exit(
    bars: Bars, random: np.random.Generator, execution: Execution
) -> None:
    targets = random.integers(0, 2, len(bars)).astype(np.float64)
    costly = execution.model_copy(update={"size": 1.0, "lot_size": None})
    free = costly.model_copy(
        update={"fee_bps": 0.0, "maker_fee_bps": 0.0, **NO_TERMS, "tick_size": costly.tick_size}
    )
    with_fees, without = (backtest_positions(targets, bars, costs) for costs in (costly, free))
    assert (with_fees.equity <= without.equity * (1 + 1e-9)).all()
    if not with_fees.ruined:
        times, prices = ["entry_time", "exit_time"], ["entry_price", "exit_price"]
        assert with_fees.trades.select(times).equals(without.trades.select(times))
        np.testing.assert_allclose(with_fees.trades.select(prices), without.trades.select(prices), rtol=1e-12)


def assert_same(ours: Result, theirs: Result) -> None:
    """Equal to the last digit."""
    assert ours.equity.tolist() == theirs.equity.tolist()
    assert ours.trades.equals(theirs.trades)
    assert ours.metrics == theirs.metrics
    assert (ours.cash, ours.quantity, ours.entry_price) == (theirs.cash, theirs.quantity, theirs.entry_price)


@examples
@given(calm_bars(), randoms(), executions(), st.sampled_from(["stop_loss", "take_profit", "trailing_stop"]))
def test_what_is_never_touched_changes_nothing(
    bars: Bars, random: np.random.Generator, execution: Execution, name: str
) -> None:
    targets = np.repeat(random.uniform(-1, 1, len(bars)), 3)[: len(bars)]
    without = execution.model_copy(update=NO_STOPS)
    far = without.model_copy(update={name: 0.9})
    assert_same(backtest_positions(targets, bars, far), backtest_positions(targets, bars, without))


@examples
@given(cases())
def test_a_funding_of_zero_changes_nothing(case: Case) -> None:
    unfunded, zero = (replace(case.bars, funding=rate) for rate in (None, np.zeros(len(case.bars))))
    assert_same(
        *(
            simulate_positions(case.targets, BarWindow.of(bars, case.start), case.execution)
            for bars in (unfunded, zero)
        )
    )


@examples
@given(cases(), st.sampled_from([2.0**-20, 2.0, 2.0**10]))
def test_the_unit_of_price_changes_no_equity(case: Case, factor: float) -> None:
    # A power of two, so that scaling is exact.
    case = replace(case, execution=case.execution.model_copy(update=NO_TERMS))
    prices = {name: getattr(case.bars, name) * factor for name in ("open", "high", "low", "close")}
    ours, theirs = (
        simulate_positions(case.targets, BarWindow.of(bars, case.start), case.execution)
        for bars in (case.bars, replace(case.bars, **prices))
    )
    assert theirs.equity.tolist() == ours.equity.tolist()
    assert theirs.metrics == ours.metrics
    assert (theirs.trades["exit_price"] / factor).to_list() == ours.trades["exit_price"].to_list()


@examples
@given(unbroken_bars(), randoms(), st.sampled_from([-1.0, 1.0]), st.sampled_from([0.01, 0.1, 0.4]))
def test_a_stop_bounds_the_loss_and_a_target_the_gain(
    bars: Bars, random: np.random.Generator, side: float, distance: float
) -> None:
    targets = side * random.integers(0, 2, len(bars))
    free = {"fee_bps": 0, "slippage_bps": 0}
    for name in ("stop_loss", "trailing_stop"):
        returns = backtest_positions(targets, bars, {name: distance, **free}).trades["return"]
        assert (returns >= -distance - 1e-9).all()
    returns = backtest_positions(targets, bars, {"take_profit": distance, **free}).trades["return"]
    assert (returns <= distance + 1e-9).all()


@examples
@given(
    bars_of(),
    executions(),
    st.sampled_from(["stop_loss", "take_profit", "trailing_stop"]),
    st.sampled_from([-1.0, 1.0]),
    st.lists(st.floats(0.001, 0.999), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_the_nearer_is_no_later(
    bars: Bars, execution: Execution, name: str, side: float, two: list[float]
) -> None:
    base = execution.model_copy(update=NO_STOPS)
    near, far = (
        backtest_positions(np.full(len(bars), side), bars, base.model_copy(update={name: distance}))
        for distance in two
    )
    if not near.ruined and not far.trades.is_empty():
        assert near.trades["exit_time"][0] <= far.trades["exit_time"][0]
    assert len(near.trades) <= 1


@examples
@given(bars_of(), executions(), st.integers(0, 59))
def test_flat_targets_leave_the_cash_alone(bars: Bars, execution: Execution, start: int) -> None:
    start = min(start, len(bars) - 1)
    result = simulate_positions(np.zeros(len(bars)), BarWindow.of(bars, start), execution)
    assert (result.equity == execution.initial_cash).all()
    zero = {"total_return", "annual_return", "max_drawdown", "ulcer_index", "total_trades", "trades_per_month",
            "exposure", "turnover"} | ({"volatility"} if len(bars) - start > 1 else set())  # fmt: skip
    assert result.metrics == {name: 0.0 if name in zero else None for name in METRICS}


@examples
@given(cases(), st.sampled_from([1e-3, 2.0, 1e5]))
def test_more_cash_scales_money_and_leaves_fractions(case: Case, factor: float) -> None:
    case = replace(case, execution=case.execution.model_copy(update=NO_TERMS))
    window = BarWindow.of(case.bars, case.start)
    rich = case.execution.model_copy(update={"initial_cash": case.execution.initial_cash * factor})
    ours, theirs = (
        simulate_positions(case.targets, window, execution) for execution in (case.execution, rich)
    )
    scale = {"rtol": 1e-9, "atol": 1e-9 * rich.initial_cash}
    np.testing.assert_allclose(theirs.equity, ours.equity * factor, **scale)
    np.testing.assert_allclose(theirs.trades["pnl"], ours.trades["pnl"] * factor, **scale)
    np.testing.assert_allclose(theirs.trades["return"], ours.trades["return"], rtol=1e-9, atol=1e-9)
    known = precision(ours.equity, case.execution.initial_cash)
    if known < 1e-4:
        assert_metrics(theirs.metrics, ours.metrics, rel=known)


@examples
@given(cases())
def test_bounds(case: Case) -> None:
    result, _, _ = run(case)
    metrics = result.metrics
    assert (result.equity >= 0).all()
    assert 0 <= (metrics["exposure"] or 0) <= 1
    assert 0 <= (metrics["max_drawdown"] or 0) <= 1
    assert 0 <= (metrics["ulcer_index"] or 0) <= 100 * (metrics["max_drawdown"] or 0) * (1 + 1e-9)
    assert metrics["max_drawdown"] == pytest.approx(
        drawdowns_of(result.equity, case.execution.initial_cash).max()
    )
    assert 0 <= (metrics["win_rate"] or 0) <= 1
    assert (metrics["average_loss"] or 0) <= 0 <= (metrics["average_win"] or 0)
    assert all(value is None or np.isfinite(value) for value in metrics.values())


@examples
@given(cases())
def test_closed_trades_and_the_open_one_add_up_to_the_equity(case: Case) -> None:
    result, loop, _ = run(case)
    if not result.ruined:
        still = loop.account.open_trade
        last = case.bars.close[-1]
        unrealised = 0.0 if still is None else still.pnl + loop.account.quantity * last
        gained = result.trades["pnl"].sum() + unrealised
        assert result.equity[-1] - case.execution.initial_cash == pytest.approx(
            gained, rel=1e-9, abs=1e-8 * case.execution.initial_cash
        )
