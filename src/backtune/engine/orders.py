"""Targets to fills: what happens at opens, and inside bars where stops are set. Compiled.

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

_EVERY_BYTE = np.uint64(0x0101010101010101)
# Beside a signed number, a word would become a float.
_ONE, _BYTE, _SEVEN_BYTES = np.uint64(1), np.uint64(8), np.uint64(56)


@njit(cache=True, error_model="numpy")
def moves_of(targets: np.ndarray, first_target: float, lowest: float) -> Moves:
    """Where targets change; ``targets[i]`` is filled at the open of bar i + 1, ``first_target`` at that of bar 0.

    Targets below ``lowest`` count as 0.
    """
    n = len(targets)
    bars = np.empty(n, np.int64)
    values = np.empty(n)
    count = 0
    held = 0.0
    pending = first_target
    for i in range(n):
        target = pending if pending >= lowest else 0.0
        pending = targets[i]
        if target != held:
            held = target
            bars[count] = i
            values[count] = target
            count += 1
    return Moves(bars[:count].copy(), values[:count].copy())


@njit(cache=True)
def moves_of_sides(sides: np.ndarray, first_side: int, lowest: int) -> Moves:
    """:func:`moves_of` for targets of -1, 0 and 1, (n,) int8 from an even address on.

    Eight bars are compared in one word: most bars keep the target of the bar before.
    """
    n = max(len(sides) - 1, 0)
    words = sides[: n - n % 8].view(np.uint64)
    before = _EVERY_BYTE * np.uint64(np.uint8(first_side))
    changing = _changing_words(words, before)
    room = 9 + 8 * len(changing)
    bars = np.empty(room, np.int64)
    targets = np.empty(room, np.int8)
    bars[0], targets[0] = 0, first_side
    count = 1 if first_side != 0 else 0
    for word in changing:
        changes = _changes(words[word], words[word - 1] if word > 0 else before)
        while changes != 0:
            i = word * 8 + _first_byte(changes)
            bars[count], targets[count] = i + 1, sides[i]
            count += 1
            changes &= changes - _ONE
    for i in range(n - n % 8, n):
        if sides[i] != (sides[i - 1] if i > 0 else first_side):
            bars[count], targets[count] = i + 1, sides[i]
            count += 1
    if lowest > -1:
        count = _without_shorts(bars, targets, count)
    return Moves(bars[:count], targets[:count].astype(np.float64))


@njit(cache=True)
def _changing_words(words: np.ndarray, before: np.uint64) -> np.ndarray:
    """Which words hold a byte that differs from the one before it; without a branch, for it would be guessed wrong."""
    found = np.empty(len(words) + 1, np.int32)
    count = 0
    for i in range(len(words)):
        found[count] = i
        count += words[i] != (words[i] << _BYTE | before >> _SEVEN_BYTES)
        before = words[i]
    return found[:count]


@njit(cache=True)
def _changes(word: np.uint64, before: np.uint64) -> np.uint64:
    """The lowest bit of every byte that differs from the byte before, which is the next lower one."""
    differing = word ^ (word << _BYTE | before >> _SEVEN_BYTES)
    # Of -1, 0 and 1, two that differ do so in one of the two lowest bits.
    return (differing | differing >> _ONE) & _EVERY_BYTE


@njit(cache=True)
def _first_byte(bits: np.uint64) -> np.int64:
    """Which byte holds the lowest bit, one of ``_EVERY_BYTE``: counts the bytes below it, by a sum over all bytes."""
    below = ((bits & (~bits + _ONE)) - _ONE) & _EVERY_BYTE
    return np.int64(below * _EVERY_BYTE >> _SEVEN_BYTES)


@njit(cache=True)
def _without_shorts(bars: np.ndarray, targets: np.ndarray, count: int) -> int:
    """Shorts become flat, in place; returns how many moves are left."""
    left = 0
    held = 0
    for i in range(count):
        target = max(targets[i], 0)
        if target != held:
            bars[left], targets[left] = bars[i], target
            left += 1
            held = target
    return left


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
    entry_bar = 0
    sum_time = traded = 0.0
    has_exits = costs.stop_loss > 0.0 or costs.take_profit > 0.0 or costs.trailing_stop > 0.0
    ruined_bar = -1
    cursor = move = 0
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
            bar, new, buys = at, 0.0, held < 0.0
            if is_limit:
                fee = costs.maker_fee
            else:
                price = _slipped(price, buys, costs)
        elif bar >= n_bars:
            break
        else:
            cursor = bar
            price = prices.open[bar]
            if bar == payment:
                paid = held * price * prices.funding[bar]
                cash -= paid
                trade_costs += paid
                payment = _next_payment(prices.funding, bar + 1, n_bars)
            if move < len(moves.bars) and bar == moves.bars[move]:
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
                sum_time += prices.timestamp[bar] - prices.timestamp[entry_bar]
                entered = entered_value = exited = exited_value = trade_costs = held = 0.0
                change = abs(new)
            if new != 0.0:
                if held == 0.0:
                    entry_bar, best = bar, price
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
