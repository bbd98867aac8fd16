"""Figures over time: equity, drawdown, trades on the price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backtune.report.backtest_history import BacktestHistory
from backtune.report.formatting import format_count, format_day, format_percent
from backtune.report.markup import Markup, element, join_markup
from backtune.report.plots.axis import (
    Axis,
    format_percent_tick,
    make_linear_axis,
    make_log_axis,
    make_time_axis,
)
from backtune.report.plots.frame import LETTER, Frame, draw_text
from backtune.report.plots.paths import draw_line, select_extremes

MOST_TRADES = 250
# The scale is logarithmic from this ratio of the highest to the lowest value on.
_LOG_FROM = 6.0
_HEADROOM = 0.12
# Wide enough for amounts of six digits.
_INDENT = 56.0


@dataclass(frozen=True)
class FigureSize:
    """The width of a figure, and the style class that shows it on screens of that width."""

    width: float
    name: str

    @property
    def n_columns(self) -> int:
        """Return the number of columns that keep their extremes, of two pixels each."""
        return int(self.width / 2)

    @property
    def n_ticks(self) -> int:
        return max(2, int(self.width / 80))


def draw_equity(course: BacktestHistory, size: FigureSize) -> Markup:
    """Draw equity beside buying and holding, with the periods named."""
    opens, equity, hold = course.opens, course.equity, course.hold
    frame = _frame(opens, np.concatenate([equity, hold]), "Equity, quote currency", size, 260)
    label = (
        f"Equity of {course.subject}, from {format_day(int(opens[0]))} to {format_day(int(opens[-1]))}: from {course.initial_cash:,.0f} to "
        f"{equity[-1]:,.0f}; buying and holding came to {hold[-1]:,.0f}. {course.sample_note}"
    ).strip()
    lines = [_curve(frame, opens, hold, size, "hold"), _curve(frame, opens, equity, size, "curve")]
    return frame.svg(label, *_stretches(frame, course), *lines, size=size.name)


def draw_drawdown(course: BacktestHistory, size: FigureSize) -> Markup:
    """Draw the drawdown."""
    opens, depth = course.opens, -course.drawdown
    y = make_linear_axis(
        min(float(depth.min()), -0.001), 0.0, "Drawdown, per cent of the peak", 4, format_percent_tick
    )
    frame = Frame(size.width, 150, make_time_axis(int(opens[0]), int(opens[-1]), size.n_ticks), y, _INDENT)
    starts = np.searchsorted(opens, [stretch.start for stretch in course.periods[1:]])
    # Between two stretches there may be bars that nobody traded.
    parts = zip(np.split(opens, starts), np.split(depth, starts), strict=True)
    area = "".join(_area(frame, *part, size) for part in parts if len(part[0]))
    deepest_drawdowns = ", ".join(
        f"{format_percent(deepest)} at most {_within(name)}" for name, deepest in course.deepest_drawdowns
    )
    label = f"Drawdown of {course.subject}: {deepest_drawdowns}."
    shown = element("path", class_="depth", d=area)
    return frame.svg(label, *_stretches(frame, course, named=False), shown, size=size.name)


def _area(frame: Frame, opens: np.ndarray, depth: np.ndarray, size: FigureSize) -> str:
    """Return the path of the area between a curve and zero."""
    kept = select_extremes(opens, depth, size.n_columns)
    x, low = frame.across(opens[kept]), frame.up(depth[kept])
    zero = frame.up(np.zeros(1))[0]
    return f"{draw_line(x, low)}L{x[-1]:.0f} {zero:.0f}L{x[0]:.0f} {zero:.0f}Z"


def draw_trades(course: BacktestHistory, size: FigureSize) -> Markup:
    """Draw the price, and each trade as a line from its entry to its exit."""
    opens, close, trades = course.opens, course.close, course.trades
    frame = _frame(opens, close, "Price, quote currency", size, 260)
    shown = select_trades(trades)
    label = (
        f"Closes of the asset with {format_count(len(shown), 'trade')} of {len(trades):,}: "
        f"{int((trades['pnl'] > 0).sum()):,} won and {int((trades['pnl'] <= 0).sum()):,} did not."
    )
    price = _curve(frame, opens, close, size, "price")
    return frame.svg(label, *_stretches(frame, course), price, _trades(frame, shown), size=size.name)


def select_trades(trades: pl.DataFrame) -> pl.DataFrame:
    """Select the trades to draw: where there are too many, those with the largest returns in size."""
    if len(trades) <= MOST_TRADES:
        return trades
    return trades.sort(pl.col("return").abs(), descending=True).head(MOST_TRADES).sort("entry_time")


def _trades(frame: Frame, trades: pl.DataFrame) -> Markup:
    times = [trades[name].to_physical().to_numpy() for name in ("entry_time", "exit_time")]
    x = [frame.across(time) for time in times]
    y = [frame.up(trades[name].to_numpy()) for name in ("entry_price", "exit_price")]
    layers = []
    for name, won in (("lost", False), ("won", True)):
        chosen = (trades["pnl"] > 0).to_numpy() == won
        ways = "".join(
            f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}"
            for a, b, c, d in zip(x[0][chosen], y[0][chosen], x[1][chosen], y[1][chosen], strict=True)
        )
        is_long = (trades["side"] == "long").to_numpy()[chosen]
        marks = "".join(
            _triangle(a, b, up=up)
            for a, b, up in zip(x[0][chosen], y[0][chosen], is_long.tolist(), strict=True)
        )
        layers.append(element("path", class_=f"way {name}", d=ways))
        layers.append(element("path", class_=f"mark {name}", d=marks))
    return join_markup(*layers)


def _triangle(x: float, y: float, *, up: bool) -> str:
    """Its tip at the point: below it for a long entry, above it for a short one."""
    return f"M{x:.1f} {y:.1f}l-3.5 {6 if up else -6}h7Z"


def _frame(opens: np.ndarray, values: np.ndarray, title: str, size: FigureSize, height: float) -> Frame:
    x = make_time_axis(int(opens[0]), int(opens[-1]), size.n_ticks)
    return Frame(size.width, height, x, _money(values, title), _INDENT)


def _money(values: np.ndarray, title: str) -> Axis:
    """Make an axis of money or prices with room above for the names of the periods."""
    low, high = float(values.min()), float(values.max())
    if low > 0 and high / low > _LOG_FROM:
        ratio = high / low
        return make_log_axis(low * ratio**-0.04, high * ratio**_HEADROOM, f"{title}, log scale")
    return make_linear_axis(low - 0.04 * (high - low), high + _HEADROOM * (high - low), title)


def _curve(frame: Frame, opens: np.ndarray, values: np.ndarray, size: FigureSize, class_: str) -> Markup:
    kept = select_extremes(opens, values, size.n_columns)
    return element("path", class_=class_, d=draw_line(frame.across(opens[kept]), frame.up(values[kept])))


def _stretches(frame: Frame, course: BacktestHistory, *, named: bool = True) -> list[Markup]:
    """Draw the boundaries of periods where there are several; names that do not fit are left out."""
    if len(course.periods) == 1:
        return []
    starts = [stretch.start for stretch in course.periods]
    ends = [*starts[1:], int(frame.x.high)]
    found = []
    for stretch, end in zip(course.periods, ends, strict=True):
        left, right = frame.across(np.array([stretch.start, end])).tolist()
        if stretch.is_shaded:
            found.append(frame.band(stretch.start, end, "shade"))
        if stretch.start > course.opens[0]:
            found.append(element("line", class_="cut", x1=left, x2=left, y1=frame.top, y2=frame.bottom))
        if named and right - left > LETTER * len(stretch.name):
            found.append(draw_text(left + 4, frame.top + 11, stretch.name, "note"))
    return found


def _within(name: str) -> str:
    return name if name.endswith("sample") else f"in {name}"
