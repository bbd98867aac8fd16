"""Compiled execution of orders: fills at opens, and exits inside bars where stops are set.

Only bars with an event cost anything here: changes of target, funding payments, exits. Between two events, cash and
quantity are constant, and :mod:`backtune.simulation.mark_to_market` marks them.
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
    OrderTerms,
    PriceColumns,
    TargetChanges,
    TradeSums,
)

# Share of a number of lots or ticks that counts as rounding: above that of sums of many fills, far below a tick of any price.
_ROUNDING = 1e-12


@njit(cache=True, error_model="numpy")
def execute_orders(  # noqa: PLR0912, PLR0915
    prices: PriceColumns, changes: TargetChanges, costs: Costs, n_bars: int, trades_out: np.ndarray
) -> tuple[TradeSums, Holdings]:
    """Execute the orders, exits and funding payments of the first ``n_bars`` bars.

    One loop with everything in registers: spread over functions, a fill would cost several times as much. It is compiled
    twice, with ``costs.terms`` and without them, where the helpers that round to lots and ticks do nothing.

    Args:
        trades_out: (m, N_TRADE_COLUMNS) array to be filled with closed trades as far as there is room.
    """
    room = 2 * len(changes.bars) + len(prices.funding) + 1
    starts = np.empty(room, np.int64)
    holding_cash = np.empty(room)
    holding_quantity = np.empty(room)
    starts[0], holding_cash[0], holding_quantity[0] = 0, costs.initial_cash, 0.0
    n_holdings = 1
    # Every trade begins with a change of the target.
    pnls, gains = np.empty(len(changes.bars)), np.empty(len(changes.bars))
    n_trades = 0
    cash, held = costs.initial_cash, 0.0
    entered = entered_value = exited = exited_value = trade_costs = best = 0.0
    entry_bar = entry_time = 0
    sum_time = traded = 0.0
    has_exits = costs.stop_loss > 0.0 or costs.take_profit > 0.0 or costs.trailing_stop > 0.0
    ruined_bar = -1
    cursor = order = 0
    # Together, because the processor can then wait for many of them at once.
    opens, times = prices.open[changes.bars], prices.timestamp[changes.bars]
    payment = _find_payment(prices.funding, 0, n_bars)
    while True:
        bar = min(changes.bars[order] if order < len(changes.bars) else n_bars, payment, n_bars)
        new, fee, buys = held, costs.fee, False
        at = -1
        if has_exits and held != 0.0:
            entry = entered_value / entered
            if held > 0.0:
                at, price, is_limit, best = _find_long_exit(prices, costs, entry, best, cursor, bar)
            else:
                at, price, is_limit, best = _find_short_exit(prices, costs, entry, best, cursor, bar)
        if at >= 0:
            # The same bar is looked at again: an order may be due at its open.
            bar, time, new, buys = at, prices.timestamp[at], 0.0, held < 0.0
            if is_limit:
                fee = costs.maker_fee
                price = _round_fill(price, buys, costs.terms)
            else:
                price = _apply_slippage(price, buys, costs)
        elif bar >= n_bars:
            break
        else:
            cursor = bar
            is_due = order < len(changes.bars) and bar == changes.bars[order]
            if is_due:
                price, time = opens[order], times[order]
            else:
                price, time = prices.open[bar], prices.timestamp[bar]
            if bar == payment:
                paid = held * price * prices.funding[bar]
                cash -= paid
                trade_costs += paid
                payment = _find_payment(prices.funding, bar + 1, n_bars)
            if is_due:
                worth = cash + held * price
                if worth <= 0.0:
                    ruined_bar = bar
                    break
                target = changes.targets[order]
                before = changes.targets[order - 1] if order > 0 else 0.0
                share = costs.size * target
                # Two branches, so that the price of a reversal does not wait for the equity, nor the next for it.
                if before * target <= 0.0:
                    buys = target > before
                    price = _apply_slippage(price, buys, costs)
                    new = _round_quantity(share / price * worth, costs.terms)
                else:
                    buys = share * worth > held * price
                    price = _apply_slippage(price, buys, costs)
                    new = _round_quantity(share / price * worth, costs.terms)
                    # Slippage can turn a small resize around: then it is not worth an order.
                    if (new > held) != buys:
                        new = held
                order += 1
        if new != held:
            quantity = abs(new - held)
            fee = _compute_fee_rate(fee, quantity, price, costs.terms)
            paid = price * (1.0 + fee if buys else 1.0 - fee)
            cash = cash + held * paid - new * paid
            traded += quantity * price
            if held != 0.0 and new * held <= 0.0:
                quantity = abs(held)
                exited += quantity
                exited_value += quantity * price
                trade_costs += fee * quantity * price
                side = 1.0 if held > 0.0 else -1.0
                pnl = side * (exited_value - entered_value) - trade_costs
                gain = pnl / entered_value
                if n_trades < len(trades_out):
                    row = trades_out[n_trades]
                    row[ENTRY_BAR], row[EXIT_BAR], row[SIDE] = entry_bar, bar, side
                    row[QUANTITY] = _snap_quantity(entered, costs.terms)
                    row[ENTRY_PRICE] = _snap_price(entered_value / entered, costs.terms)
                    row[EXIT_PRICE] = _snap_price(exited_value / exited, costs.terms)
                    row[PNL], row[RETURN] = pnl, gain
                pnls[n_trades], gains[n_trades] = pnl, gain
                n_trades += 1
                sum_time += time - entry_time
                entered = entered_value = exited = exited_value = trade_costs = held = 0.0
                quantity = abs(new)
            if new != 0.0:
                if held == 0.0:
                    entry_bar, entry_time, best = bar, time, price
                if abs(new) > abs(held):
                    entered += quantity
                    entered_value += quantity * price
                else:
                    exited += quantity
                    exited_value += quantity * price
                trade_costs += fee * quantity * price
            held = new
        starts[n_holdings], holding_cash[n_holdings], holding_quantity[n_holdings] = bar, cash, held
        n_holdings += 1
    entry = _snap_price(entered_value / entered, costs.terms) if held != 0.0 else np.nan
    wins_and_losses = _sum_wins_and_losses(pnls[:n_trades], gains[:n_trades])
    sums = TradeSums(float(n_trades), *wins_and_losses, sum_time, traded, cash, held, entry, ruined_bar)
    return sums, Holdings(starts[:n_holdings], holding_cash[:n_holdings], holding_quantity[:n_holdings])


@njit(cache=True)
def _apply_slippage(price: float, buys: bool, costs: Costs) -> float:  # noqa: FBT001
    """Return the price of a fill: slippage and rounding are against the order."""
    return _round_fill(price * (1.0 + costs.slippage if buys else 1.0 - costs.slippage), buys, costs.terms)


@njit(cache=True)
def _round_fill(price: float, buys: bool, terms: OrderTerms | None) -> float:  # noqa: FBT001
    """Return the tick at or above the price of a purchase, at or below that of a sale; the first tick at the least."""
    if terms is None:
        return price
    return max(
        _round_to_multiple(price, terms.tick_units, terms.ticks_per, up=buys),
        terms.tick_units / terms.ticks_per,
    )


@njit(cache=True)
def _round_level(level: float, terms: OrderTerms | None, up: bool) -> float:  # noqa: FBT001
    """Return the tick of a stop or a profit target; one that is not used stays infinite."""
    if terms is None:
        return level
    return _round_to_multiple(level, terms.tick_units, terms.ticks_per, up)


@njit(cache=True)
def _round_quantity(quantity: float, terms: OrderTerms | None) -> float:
    """Round a signed quantity toward zero, to whole lots."""
    if terms is None:
        return quantity
    # Adding zero takes the sign off a short of no lot.
    return _round_to_multiple(quantity, terms.lot_units, terms.lots_per, up=quantity < 0.0) + 0.0


@njit(cache=True)
def _round_to_multiple(value: float, units: float, per: float, up: bool) -> float:  # noqa: FBT001
    """Round to a multiple of ``units / per``, up or down; to the nearest one where the value differs from it by rounding."""
    if units == 0.0:
        return value
    count = value * per / units
    whole: float = np.rint(count)
    if abs(count - whole) > _ROUNDING * abs(whole):
        whole = np.ceil(count) if up else np.floor(count)
    return whole * units / per


@njit(cache=True)
def _snap_price(price: float, terms: OrderTerms | None) -> float:
    """Take the rounding off the average price of fills that were all at one tick."""
    if terms is None:
        return price
    return _snap_to_multiple(price, terms.tick_units, terms.ticks_per)


@njit(cache=True)
def _snap_quantity(quantity: float, terms: OrderTerms | None) -> float:
    """Take the rounding off a sum of whole lots."""
    if terms is None:
        return quantity
    return _snap_to_multiple(quantity, terms.lot_units, terms.lots_per)


@njit(cache=True)
def _snap_to_multiple(value: float, units: float, per: float) -> float:
    """Return the nearest multiple of ``units / per`` where the value differs from it by rounding, else the value."""
    nearest: float = _round_to_multiple(value, units, per, up=True)
    return nearest if abs(nearest - value) <= _ROUNDING * value else value


@njit(cache=True, error_model="numpy")
def _compute_fee_rate(rate: float, quantity: float, price: float, terms: OrderTerms | None) -> float:
    """Return the fee of an order as a fraction of its notional, so that the halves of a reversal share it by quantity."""
    if terms is None:
        return rate
    notional = quantity * price
    fee = terms.fee_per_order + terms.fee_per_share * quantity + rate * notional
    return max(fee, terms.minimum_fee) / notional


@njit(cache=True)
def _sum_wins_and_losses(
    pnls: np.ndarray, gains: np.ndarray
) -> tuple[float, float, float, float, float, float, float]:
    """Sum up wins and losses, in the order of the fields of :class:`TradeSums`.

    There is no branch on the sign, because the processor would guess it wrong.
    """
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
def _find_payment(funding: np.ndarray, start: int, n_bars: int) -> int:
    """Return the first bar from ``start`` on with a funding payment; ``n_bars`` where there is none."""
    for i in range(start, min(len(funding), n_bars)):
        if funding[i] != 0.0:
            return i
    return n_bars


@njit(cache=True)
def _find_long_exit(
    prices: PriceColumns, costs: Costs, entry: float, best: float, start: int, end: int
) -> tuple[int, float, bool, float]:
    """Find the first bar of [start, end) that ends a long position.

    Returns:
        The bar, or -1; the price of the exit; True for the profit target, which is a limit order; and the best price of
        the trade.
    """
    fixed = entry * (1.0 - costs.stop_loss) if costs.stop_loss > 0.0 else -np.inf
    profit_target = entry * (1.0 + costs.take_profit) if costs.take_profit > 0.0 else np.inf
    fixed, profit_target = (
        _round_level(fixed, costs.terms, up=False),
        _round_level(profit_target, costs.terms, up=True),
    )
    trails = costs.trailing_stop > 0.0
    for i in range(start, end):
        stop = fixed
        if trails:
            stop = max(fixed, _round_level(best * (1.0 - costs.trailing_stop), costs.terms, up=False))
        if prices.low[i] <= stop or prices.high[i] >= profit_target:
            if prices.open[i] <= stop:
                return i, prices.open[i], False, best
            if prices.open[i] >= profit_target:
                return i, prices.open[i], True, best
            if prices.low[i] <= stop:
                return i, stop, False, best
            return i, profit_target, True, best
        best = max(best, prices.high[i])
    return -1, 0.0, False, best


@njit(cache=True)
def _find_short_exit(
    prices: PriceColumns, costs: Costs, entry: float, best: float, start: int, end: int
) -> tuple[int, float, bool, float]:
    """Find the first bar of [start, end) that ends a short position; see :func:`_find_long_exit`."""
    fixed = entry * (1.0 + costs.stop_loss) if costs.stop_loss > 0.0 else np.inf
    profit_target = entry * (1.0 - costs.take_profit) if costs.take_profit > 0.0 else -np.inf
    fixed, profit_target = (
        _round_level(fixed, costs.terms, up=True),
        _round_level(profit_target, costs.terms, up=False),
    )
    trails = costs.trailing_stop > 0.0
    for i in range(start, end):
        stop = fixed
        if trails:
            stop = min(fixed, _round_level(best * (1.0 + costs.trailing_stop), costs.terms, up=True))
        if prices.high[i] >= stop or prices.low[i] <= profit_target:
            if prices.open[i] >= stop:
                return i, prices.open[i], False, best
            if prices.open[i] <= profit_target:
                return i, prices.open[i], True, best
            if prices.high[i] >= stop:
                return i, stop, False, best
            return i, profit_target, True, best
        best = min(best, prices.low[i])
    return -1, 0.0, False, best
