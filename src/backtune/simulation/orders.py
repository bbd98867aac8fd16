"""Moves to fills: what happens at opens, and inside bars where stops are set. Compiled.

Only bars with an event cost anything here: changes of target, funding payments, exits. What lies between is a segment
of constant cash and quantity, which :mod:`backtune.simulation.marks` marks.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backtune.simulation.types import (
    ENTRY_BAR,
    ENTRY_PRICE,
    EXIT_BAR,
    EXIT_PRICE,
    PNL,
    QUANTITY,
    RETURN,
    SIDE,
    Costs,
    Holdings,
    Moves,
    PriceColumns,
    Terms,
    Trading,
)

# Share of a number of lots or ticks that counts as rounding: above that of sums of many fills, far below a tick of any price.
_ROUNDING = 1e-12


@njit(cache=True, error_model="numpy")
def trade(  # noqa: PLR0912, PLR0915
    prices: PriceColumns, moves: Moves, costs: Costs, n_bars: int, trades_out: np.ndarray
) -> tuple[Trading, Holdings]:
    """Run the events of the first ``n_bars`` bars.

    One loop with everything in registers: spread over functions, a fill would cost several times as much. It is compiled
    twice, without ``costs.terms`` and with them: what a helper does of these is left out where they are None.

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
                price = _on_tick(price, buys, costs.terms)
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
                    new = _whole_lots(share / price * worth, costs.terms)
                else:
                    buys = share * worth > held * price
                    price = _slipped(price, buys, costs)
                    new = _whole_lots(share / price * worth, costs.terms)
                    # Slippage can turn a small resize around: then it is not worth an order.
                    if (new > held) != buys:
                        new = held
                move += 1
        if new != held:
            change = abs(new - held)
            fee = _fee_rate(fee, change, price, costs.terms)
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
                    row[ENTRY_BAR], row[EXIT_BAR], row[SIDE] = entry_bar, bar, side
                    row[QUANTITY] = _sum_of_lots(entered, costs.terms)
                    row[ENTRY_PRICE] = _average_price(entered_value / entered, costs.terms)
                    row[EXIT_PRICE] = _average_price(exited_value / exited, costs.terms)
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
    entry = _average_price(entered_value / entered, costs.terms) if held != 0.0 else np.nan
    trading = Trading(
        float(n_trades), *_wins_and_losses(pnls[:n_trades], gains[:n_trades]),
        sum_time, traded, cash, held, entry, ruined_bar,
    )  # fmt: skip
    return trading, Holdings(starts[:n_segments], segment_cash[:n_segments], segment_quantity[:n_segments])


@njit(cache=True)
def _slipped(price: float, buys: bool, costs: Costs) -> float:  # noqa: FBT001
    """The price of a fill: slippage and rounding are against the order."""
    return _on_tick(price * (1.0 + costs.slippage if buys else 1.0 - costs.slippage), buys, costs.terms)


@njit(cache=True)
def _on_tick(price: float, buys: bool, terms: Terms | None) -> float:  # noqa: FBT001
    """The next tick at or above the price of a purchase, at or below that of a sale, and the first one at the least."""
    if terms is None:
        return price
    return max(
        _multiple(price, terms.tick_units, terms.ticks_per, up=buys), terms.tick_units / terms.ticks_per
    )


@njit(cache=True)
def _level(level: float, terms: Terms | None, up: bool) -> float:  # noqa: FBT001
    """The tick that a stop or a profit target is at; one that is not used stays infinite."""
    if terms is None:
        return level
    return _multiple(level, terms.tick_units, terms.ticks_per, up)


@njit(cache=True)
def _whole_lots(quantity: float, terms: Terms | None) -> float:
    """A signed quantity in whole lots, rounded toward zero."""
    if terms is None:
        return quantity
    # Adding zero takes the sign off a short of no lot.
    return _multiple(quantity, terms.lot_units, terms.lots_per, up=quantity < 0.0) + 0.0


@njit(cache=True)
def _multiple(value: float, units: float, per: float, up: bool) -> float:  # noqa: FBT001
    """The next multiple of ``units / per``, up or down; the nearest one where the value is that but for rounding."""
    if units == 0.0:
        return value
    count = value * per / units
    whole: float = np.rint(count)
    if abs(count - whole) > _ROUNDING * abs(whole):
        whole = np.ceil(count) if up else np.floor(count)
    return whole * units / per


@njit(cache=True)
def _average_price(price: float, terms: Terms | None) -> float:
    """The average of fills, without its rounding where all of them were at one tick."""
    if terms is None:
        return price
    return _snapped(price, terms.tick_units, terms.ticks_per)


@njit(cache=True)
def _sum_of_lots(quantity: float, terms: Terms | None) -> float:
    """A sum of whole lots, without its rounding."""
    if terms is None:
        return quantity
    return _snapped(quantity, terms.lot_units, terms.lots_per)


@njit(cache=True)
def _snapped(value: float, units: float, per: float) -> float:
    """The nearest multiple of ``units / per`` where the value is that but for rounding, else the value."""
    nearest: float = _multiple(value, units, per, up=True)
    return nearest if abs(nearest - value) <= _ROUNDING * value else value


@njit(cache=True, error_model="numpy")
def _fee_rate(rate: float, quantity: float, price: float, terms: Terms | None) -> float:
    """The fee of an order as a fraction of its notional, so that the halves of a reversal share it by quantity."""
    if terms is None:
        return rate
    notional = quantity * price
    fee = terms.fee_per_order + terms.fee_per_share * quantity + rate * notional
    return max(fee, terms.minimum_fee) / notional


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
    prices: PriceColumns, costs: Costs, entry: float, best: float, start: int, end: int
) -> tuple[int, float, bool, float]:
    """The first bar of [start, end) that ends a long position, or -1: its price, whether it is a limit, the best."""
    fixed = entry * (1.0 - costs.stop_loss) if costs.stop_loss > 0.0 else -np.inf
    objective = entry * (1.0 + costs.take_profit) if costs.take_profit > 0.0 else np.inf
    fixed, objective = _level(fixed, costs.terms, up=False), _level(objective, costs.terms, up=True)
    trails = costs.trailing_stop > 0.0
    for i in range(start, end):
        stop = fixed
        if trails:
            stop = max(fixed, _level(best * (1.0 - costs.trailing_stop), costs.terms, up=False))
        if prices.low[i] <= stop or prices.high[i] >= objective:
            if prices.open[i] <= stop:
                return i, prices.open[i], False, best
            if prices.open[i] >= objective:
                return i, prices.open[i], True, best
            if prices.low[i] <= stop:
                return i, stop, False, best
            return i, objective, True, best
        best = max(best, prices.high[i])
    return -1, 0.0, False, best


@njit(cache=True)
def _short_exit(
    prices: PriceColumns, costs: Costs, entry: float, best: float, start: int, end: int
) -> tuple[int, float, bool, float]:
    fixed = entry * (1.0 + costs.stop_loss) if costs.stop_loss > 0.0 else np.inf
    objective = entry * (1.0 - costs.take_profit) if costs.take_profit > 0.0 else -np.inf
    fixed, objective = _level(fixed, costs.terms, up=True), _level(objective, costs.terms, up=False)
    trails = costs.trailing_stop > 0.0
    for i in range(start, end):
        stop = fixed
        if trails:
            stop = min(fixed, _level(best * (1.0 + costs.trailing_stop), costs.terms, up=True))
        if prices.high[i] >= stop or prices.low[i] <= objective:
            if prices.open[i] >= stop:
                return i, prices.open[i], False, best
            if prices.open[i] <= objective:
                return i, prices.open[i], True, best
            if prices.high[i] >= stop:
                return i, stop, False, best
            return i, objective, True, best
        best = min(best, prices.low[i])
    return -1, 0.0, False, best
