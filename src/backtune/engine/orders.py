"""Moves to fills: what happens at opens, and inside bars where stops are set. Compiled.

Only bars with an event cost anything here: changes of target, funding payments, exits. What lies between is a segment
of constant cash and quantity, which :mod:`backtune.engine.marks` marks.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backtune.engine.types import (
    ENTRY_BAR,
    ENTRY_PRICE,
    EXIT_BAR,
    EXIT_PRICE,
    PNL,
    QUANTITY,
    RETURN,
    SIDE,
    Costs,
    Moves,
    Prices,
    Segments,
    Trading,
)


@njit(cache=True, error_model="numpy")
def trade(  # noqa: PLR0912, PLR0915
    prices: Prices, moves: Moves, costs: Costs, n_bars: int, trades_out: np.ndarray
) -> tuple[Trading, Segments]:
    """Run the events of the first ``n_bars`` bars.

    One loop with everything in registers: spread over functions, a fill would cost several times as much.

    Args:
        trades_out: (m, N_TRADE_COLUMNS) to be filled with closed trades as far as there is room.
    """
    room = 2 * len(moves.bars) + len(prices.funding) + 1
    starts = np.empty(room, np.int64)
    segment_cash = np.empty(room)
    segment_quantity = np.empty(room)
    starts[0], segment_cash[0], segment_quantity[0] = 0, costs.initial_cash, 0.0
    n_segments = 1
    # Every trade begins with a move.
    pnls, gains = np.empty(len(moves.bars)), np.empty(len(moves.bars))
    n_trades = 0
    cash, held = costs.initial_cash, 0.0
    entered = entered_value = exited = exited_value = trade_costs = best = 0.0
    entry_bar = entry_time = 0
    sum_time = traded = 0.0
    has_exits = costs.stop_loss > 0.0 or costs.take_profit > 0.0 or costs.trailing_stop > 0.0
    ruined_bar = -1
    cursor = move = 0
    # Together, because the processor can then wait for many of them at once.
    opens, times = prices.open[moves.bars], prices.timestamp[moves.bars]
    payment = _next_payment(prices.funding, 0, n_bars)
    while True:
        bar = min(moves.bars[move] if move < len(moves.bars) else n_bars, payment, n_bars)
        new, fee, buys = held, costs.fee, False
        at = -1
        if has_exits and held != 0.0:
            entry = entered_value / entered
            if held > 0.0:
                at, price, is_limit, best = _long_exit(prices, costs, entry, best, cursor, bar)
            else:
                at, price, is_limit, best = _short_exit(prices, costs, entry, best, cursor, bar)
        if at >= 0:
            # The same bar is looked at again: an order may be due at its open.
            bar, time, new, buys = at, prices.timestamp[at], 0.0, held < 0.0
            if is_limit:
                fee = costs.maker_fee
            else:
                price = _slipped(price, buys, costs)
        elif bar >= n_bars:
            break
        else:
            cursor = bar
            due = move < len(moves.bars) and bar == moves.bars[move]
            if due:
                price, time = opens[move], times[move]
            else:
                price, time = prices.open[bar], prices.timestamp[bar]
            if bar == payment:
                paid = held * price * prices.funding[bar]
                cash -= paid
                trade_costs += paid
                payment = _next_payment(prices.funding, bar + 1, n_bars)
            if due:
                worth = cash + held * price
                if worth <= 0.0:
                    ruined_bar = bar
                    break
                target, before = moves.targets[move], moves.targets[move - 1] if move > 0 else 0.0
                share = costs.size * target
                # Two branches, so that the price of a reversal does not wait for the equity, nor the next for it.
                if before * target <= 0.0:
                    buys = target > before
                    price = _slipped(price, buys, costs)
                    new = share / price * worth
                else:
                    buys = share * worth > held * price
                    price = _slipped(price, buys, costs)
                    new = share / price * worth
                    # Slippage can turn a small resize around: then it is not worth an order.
                    if (new > held) != buys:
                        new = held
                move += 1
        if new != held:
            change = abs(new - held)
            paid = price * (1.0 + fee if buys else 1.0 - fee)
            cash = cash + held * paid - new * paid
            traded += change * price
            if held != 0.0 and new * held <= 0.0:
                change = abs(held)
                exited += change
                exited_value += change * price
                trade_costs += fee * change * price
                side = 1.0 if held > 0.0 else -1.0
                pnl = side * (exited_value - entered_value) - trade_costs
                gain = pnl / entered_value
                if n_trades < len(trades_out):
                    row = trades_out[n_trades]
                    row[ENTRY_BAR], row[EXIT_BAR], row[SIDE], row[QUANTITY] = entry_bar, bar, side, entered
                    row[ENTRY_PRICE], row[EXIT_PRICE] = entered_value / entered, exited_value / exited
                    row[PNL], row[RETURN] = pnl, gain
                pnls[n_trades], gains[n_trades] = pnl, gain
                n_trades += 1
                sum_time += time - entry_time
                entered = entered_value = exited = exited_value = trade_costs = held = 0.0
                change = abs(new)
            if new != 0.0:
                if held == 0.0:
                    entry_bar, entry_time, best = bar, time, price
                if abs(new) > abs(held):
                    entered += change
                    entered_value += change * price
                else:
                    exited += change
                    exited_value += change * price
                trade_costs += fee * change * price
            held = new
        starts[n_segments], segment_cash[n_segments], segment_quantity[n_segments] = bar, cash, held
        n_segments += 1
    entry = entered_value / entered if held != 0.0 else np.nan
    trading = Trading(
        float(n_trades), *_wins_and_losses(pnls[:n_trades], gains[:n_trades]),
        sum_time, traded, cash, held, entry, ruined_bar,
    )  # fmt: skip
    return trading, Segments(starts[:n_segments], segment_cash[:n_segments], segment_quantity[:n_segments])


@njit(cache=True)
def _slipped(price: float, buys: bool, costs: Costs) -> float:  # noqa: FBT001
    """The price of a fill."""
    return price * (1.0 + costs.slippage if buys else 1.0 - costs.slippage)


@njit(cache=True)
def _wins_and_losses(
    pnls: np.ndarray, gains: np.ndarray
) -> tuple[float, float, float, float, float, float, float]:
    """Those fields of :class:`Trading`; without a branch on the sign, which would be guessed wrong."""
    n_wins = gross_profit = gross_loss = sum_win = sum_loss = largest_win = largest_loss = 0.0
    for i in range(len(pnls)):
        pnl, gain = pnls[i], gains[i]
        won = pnl > 0.0
        n_wins += 1.0 if won else 0.0
        gross_profit += pnl if won else 0.0
        gross_loss -= 0.0 if won else pnl
        sum_win += gain if won else 0.0
        sum_loss += 0.0 if won else gain
        largest_win = gain if gain > largest_win else largest_win
        largest_loss = gain if gain < largest_loss else largest_loss
    if n_wins == 0.0:
        largest_win = np.nan
    if n_wins == len(pnls):
        largest_loss = np.nan
    return n_wins, gross_profit, gross_loss, sum_win, sum_loss, largest_win, largest_loss


@njit(cache=True)
def _next_payment(funding: np.ndarray, start: int, n_bars: int) -> int:
    for i in range(start, min(len(funding), n_bars)):
        if funding[i] != 0.0:
            return i
    return n_bars


@njit(cache=True)
def _long_exit(
    prices: Prices, costs: Costs, entry: float, best: float, start: int, end: int
) -> tuple[int, float, bool, float]:
    """The first bar of [start, end) that ends a long position, or -1: its price, whether it is a limit, the best."""
    fixed = entry * (1.0 - costs.stop_loss) if costs.stop_loss > 0.0 else -np.inf
    goal = entry * (1.0 + costs.take_profit) if costs.take_profit > 0.0 else np.inf
    trails = costs.trailing_stop > 0.0
    for i in range(start, end):
        stop = max(fixed, best * (1.0 - costs.trailing_stop)) if trails else fixed
        if prices.low[i] <= stop or prices.high[i] >= goal:
            if prices.open[i] <= stop:
                return i, prices.open[i], False, best
            if prices.open[i] >= goal:
                return i, prices.open[i], True, best
            if prices.low[i] <= stop:
                return i, stop, False, best
            return i, goal, True, best
        best = max(best, prices.high[i])
    return -1, 0.0, False, best


@njit(cache=True)
def _short_exit(
    prices: Prices, costs: Costs, entry: float, best: float, start: int, end: int
) -> tuple[int, float, bool, float]:
    fixed = entry * (1.0 + costs.stop_loss) if costs.stop_loss > 0.0 else np.inf
    goal = entry * (1.0 - costs.take_profit) if costs.take_profit > 0.0 else -np.inf
    trails = costs.trailing_stop > 0.0
    for i in range(start, end):
        stop = min(fixed, best * (1.0 + costs.trailing_stop)) if trails else fixed
        if prices.high[i] >= stop or prices.low[i] <= goal:
            if prices.open[i] >= stop:
                return i, prices.open[i], False, best
            if prices.open[i] <= goal:
                return i, prices.open[i], True, best
            if prices.high[i] >= stop:
                return i, stop, False, best
            return i, goal, True, best
        best = min(best, prices.low[i])
    return -1, 0.0, False, best
