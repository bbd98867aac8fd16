"""What a backtest did over time: equity, trades and months."""

from __future__ import annotations

from backtune.report.cards.card import Card, Figure, Legend, Table, TableCell
from backtune.report.course import Course
from backtune.report.plots.curves import MOST_TRADES, drawdown_figure, equity_figure, trades_figure
from backtune.report.plots.tone import tone
from backtune.report.tables import months_of
from backtune.report.wording import percent

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def equity_card(course: Course, winner: str, note: str) -> Card:
    """Equity and drawdown; ``winner`` names the line."""
    legend = Legend((("curve", winner), ("hold", "buy and hold, without costs")))
    figures = (
        Figure(lambda size: equity_figure(course, size)),
        Figure(lambda size: drawdown_figure(course, size)),
    )
    return Card("Equity and drawdown", (legend, *figures), note, is_wide=True)


def trades_card(course: Course) -> Card:
    """Trades on the price."""
    n = len(course.trades)
    note = "A line from entry to exit; a triangle at the entry points up for a long and down for a short."
    if n > MOST_TRADES:
        note += f" Drawn are the {MOST_TRADES} of {n:,} trades with the largest gains and losses."
    legend = Legend((("won", "gain"), ("lost", "loss")))
    figure = Figure(lambda size: trades_figure(course, size))
    return Card("Trades", (legend, figure), note, is_wide=True)


def months_card(course: Course) -> Card:
    """Returns by month; those out of sample are marked where others are not."""
    months = months_of(course)
    known = [value for line in months.returns for value in line if value is not None]
    is_part = course.outside is not None and course.outside > int(course.opens[0])
    table = Table(
        label=f"Returns of {course.whose} by month",
        heads=("", *map(str, months.years)),
        lines=tuple(
            (
                TableCell(name),
                *(
                    TableCell(
                        percent(value),
                        tone=None if value is None else tone(value, known, is_signed=True),
                        is_marked=is_part and outside,
                    )
                    for value, outside in zip(values, outsides, strict=True)
                ),
            )
            for name, values, outsides in zip(_MONTHS, months.returns, months.outside, strict=True)
        ),
        foot=(TableCell("Year"), *(TableCell(percent(value)) for value in months.totals)),
        look="heat",
    )
    note = "A bar beside a month: some of it, or all, is out of sample." if is_part else ""
    return Card("Monthly returns", (table,), note)
