"""Backtests of positions on bars under the execution rules.

1. A target is decided at a bar's close and filled at the next bar's open.
2. An order arises only where the target changes. Its fill sizes the position at ``size * |target| * equity``, worth at
   the fill price, equity taken at that open before the fill's own fee; ``size`` is at most ``leverage``. Between fills
   the quantity is constant.
3. Every fill pays a fee on its notional: ``fee_bps``, or ``maker_fee_bps`` for a take-profit. Slippage moves every
   fill but a take-profit against the order. Rule 8 has fees in money.
4. ``stop_loss`` and ``take_profit`` are distances from the average of all entry fills of the trade, ``trailing_stop``
   from its best price: the first fill, and the highs (lows for a short) of the trade's earlier bars. The nearer of the
   two stops counts. They act on every bar with a position, the bar of entry too, after an order at its open: an open
   at or through the stop, else at or through the profit target, fills at that open; else a low (high for a short) that
   reaches the stop fills at the stop; else a high (low) that reaches the profit target fills there. After such an exit
   there is no position until the target changes.
5. Bars may carry a funding rate: at each open, before any order, the position pays ``quantity * open * rate``; a
   short receives it. It counts in the trade's pnl.
6. Equity is marked at every close. A position that is open at the end is marked and is not a closed trade.
7. Equity that reaches zero, at a close or at the open of an order, ends the run: it stays zero, and a position open at
   that moment is not a closed trade. A stop that fills beyond zero closes its trade, and the close ends the run.
8. With fees in money, an order pays ``fee_per_order + fee_per_share * quantity`` beside the fee on its notional, and
   ``minimum_fee`` where that is more than all of these. So does the order of a stop or a profit target. A reversal
   is one order, for the quantity closed and opened; its two trades share the fee by quantity.
9. With a ``lot_size``, the quantity of rule 2 is rounded toward zero to whole lots. Less than a lot is no position, so
   no order and no trade, and a reversal into it only closes. A target that leaves the number of lots is no order.
10. With a ``tick_size``, every fill is at a whole number of ticks, one at the least: after slippage, the price of a
    purchase is rounded up and that of a sale down. A quantity is sized at this price. The levels of rule 4 are
    rounded away from the position: stops of a long down and its profit target up, of a short the other way round. So a
    stop costs no less than its distance, and bars whose prices are on ticks touch a level when they would touch the exact
    one.

A quantity or price that differs from a whole lot or tick by 1e-12 of itself is one: that much is rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backtune.data.bars import Bars
from backtune.errors import BacktuneError, SpecError, StrategyError
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.costs import parse_execution, split_params
from backtune.simulation.simulate import Result, simulate_positions
from backtune.spec import Execution
from backtune.spec.timeframe import Timeframe
from backtune.strategy.base import BaseStrategy, check_positions
from backtune.strategy.registry import StrategyFactory, to_strategy_class


def backtest_positions(
    positions: Any,
    bars: Any,
    execution: Execution | Mapping[str, Any] | None = None,
    *,
    timeframe: Timeframe | str | None = None,
    calendar: str | None = None,
) -> Result:
    """Backtest targets that were decided elsewhere.

    Args:
        positions: (n_bars,) target exposures in [-1, 1], each decided at its bar's close.
        bars: A :class:`Bars`, or a Polars or pandas frame with the columns timestamp, open, high, low, close, volume.
        execution: An :class:`Execution`, a mapping with the spec's keys, or None for the defaults.
        timeframe: Timeframe of a frame, as in :meth:`Bars.from_frame`; a :class:`Bars` has its own.
        calendar: Calendar of a frame, as in :meth:`Bars.from_frame`; a :class:`Bars` has its own.

    Raises:
        StrategyError: The positions are not usable.
        BarsError: A bar breaks the schema, or there is none.
        SpecError: An execution key is unknown or a value impossible; or the timeframe or the calendar is not one, or comes
            with a :class:`Bars`.
    """
    table = _read_bars(bars, timeframe, calendar)
    targets = check_positions(positions, len(table), "positions", table.timestamp)
    return simulate_positions(targets, BarWindow.of(table), parse_execution(execution))


def backtest(
    strategy: str | type | BaseStrategy,
    params: Mapping[str, Any] | None,
    bars: Any,
    execution: Execution | Mapping[str, Any] | None = None,
    *,
    timeframe: Timeframe | str | None = None,
    calendar: str | None = None,
) -> Result:
    """Backtest a strategy with given parameters on bars.

    Args:
        strategy: Registered name, class (of either form), or strategy object, which is used as it is.
        params: Values by name; those left out take their defaults. They may lie outside the space's ranges, and are of its
            types: a whole number for an Int (14.0 is 14), a finite number for a Float, one of a Choice's texts or truth values.
            ``stop_loss``, ``take_profit`` and ``trailing_stop`` among them replace those of ``execution``.
        bars: Bars or a frame, as in :func:`backtest_positions`.
        execution: Execution rules, as in :func:`backtest_positions`.
        timeframe: Timeframe of a frame, as in :func:`backtest_positions`.
        calendar: Calendar of a frame, as in :func:`backtest_positions`.

    Raises:
        SpecError: The strategy or a parameter is unknown, or a value is not of its parameter's type; or as in
            :func:`backtest_positions`.
        BarsError: As in :func:`backtest_positions`.
        StrategyError: The strategy fails or its positions are not usable.
    """
    table = _read_bars(bars, timeframe, calendar)
    own, distances = split_params(params or {})
    rules = parse_execution(execution).with_distances(distances)
    return simulate_positions(_decide_positions(strategy, own, table), BarWindow.of(table), rules)


def _read_bars(bars: Any, timeframe: Timeframe | str | None, calendar: str | None) -> Bars:
    if not isinstance(bars, Bars):
        return Bars.from_frame(bars, timeframe=timeframe, calendar="auto" if calendar is None else calendar)
    for name, value in (("timeframe", timeframe), ("calendar", calendar)):
        if value is not None:
            raise SpecError(
                name,
                f"{str(value)!r} is for a frame, and these bars have their own; give it to load_bars or Bars.from_frame",
                value=value,
            )
    return bars


def _decide_positions(
    strategy: str | type | BaseStrategy, params: Mapping[str, Any], bars: Bars
) -> np.ndarray:
    kind: type[BaseStrategy]
    if isinstance(strategy, BaseStrategy):
        kind = type(strategy)
    elif isinstance(strategy, str):
        kind = StrategyFactory.get(strategy)
    else:
        kind = to_strategy_class(getattr(strategy, "__name__", repr(strategy)), strategy)
    try:
        built = strategy if isinstance(strategy, BaseStrategy) else kind(**kind.space().complete(params))
        return check_positions(built.positions(bars), len(bars), kind.name, bars.timestamp)
    except BacktuneError:
        raise
    except Exception as error:
        raise StrategyError(f"{kind.name}: {type(error).__name__}: {error}") from error
