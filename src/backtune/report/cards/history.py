"""Cards about a backtest over time: equity, trades and monthly returns."""

from __future__ import annotations

from backtune.report.backtest_history import BacktestHistory
from backtune.report.cards.elements import Card, CardTable, Figure, Legend, TableCell
from backtune.report.cards.grids import compute_monthly_returns
from backtune.report.formatting import format_percent
from backtune.report.plots.colour_scale import compute_colour
from backtune.report.plots.history import MOST_TRADES, draw_drawdown, draw_equity, draw_trades

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def build_equity_card(course: BacktestHistory, winner: str, note: str) -> Card:
    """Build the card of equity and drawdown; ``winner`` is the label of the equity line."""
    legend = Legend((("curve", winner), ("hold", "buy and hold, without costs")))
    figures = (
        Figure(lambda size: draw_equity(course, size)),
        Figure(lambda size: draw_drawdown(course, size)),
    )
    return Card("Equity and drawdown", (legend, *figures), note, is_wide=True)


def build_trades_card(course: BacktestHistory) -> Card:
    """Build the card of the trades on the price."""
    n = len(course.trades)
    note = "A line from entry to exit; a triangle at the entry points up for a long and down for a short."
    if n > MOST_TRADES:
        note += f" Drawn are the {MOST_TRADES} of {n:,} trades with the largest gains and losses."
    legend = Legend((("won", "gain"), ("lost", "loss")))
    figure = Figure(lambda size: draw_trades(course, size))
    return Card("Trades", (legend, figure), note, is_wide=True)


def build_months_card(course: BacktestHistory) -> Card:
    """Build the card of monthly returns, with a mark on out-of-sample months where others are in sample."""
    months = compute_monthly_returns(course)
    known = [value for line in months.returns for value in line if value is not None]
    is_part = course.oos_start is not None and course.oos_start > int(course.opens[0])
    table = CardTable(
        label=f"Returns of {course.subject} by month",
        heads=("", *map(str, months.years)),
        lines=tuple(
            (
                TableCell(name),
                *(
                    TableCell(
                        format_percent(value),
                        colour=None if value is None else compute_colour(value, known, is_signed=True),
                        is_marked=is_part and outside,
                    )
                    for value, outside in zip(values, outsides, strict=True)
                ),
            )
            for name, values, outsides in zip(_MONTHS, months.returns, months.outside, strict=True)
        ),
        foot=(TableCell("Year"), *(TableCell(format_percent(value)) for value in months.totals)),
        look="heat",
    )
    note = "A bar beside a month: some of it, or all, is out of sample." if is_part else ""
    return Card("Monthly returns", (table,), note)
