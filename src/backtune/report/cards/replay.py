"""What the winner of a study, run once more, shows: equity, trades, months and regimes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backtune.report.cards.card import Band, Card, Cell, Figure, Legend, Line, Table, Words
from backtune.report.content import StudyContent
from backtune.report.plots.curves import MOST_TRADES, drawdown_figure, equity_figure, trades_figure
from backtune.report.plots.tone import tone
from backtune.report.replay import Replay
from backtune.report.tables import months_of
from backtune.report.wording import NOTHING, metric_text, percent

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def replay_bands(study: StudyContent) -> Iterator[Band]:
    """Where there is no replay, why not."""
    if study.gap:
        why = f"No equity, trades, months and regimes, for the winner could not be run again: {study.gap}"
        yield ((Card("", (Words(why, is_warning=True),), is_wide=True),),)
    replay = study.replay
    if replay is None:
        return
    yield ((_equity_card(replay),),)
    yield ((_trades_card(replay),),)
    yield (_months_card(replay),), (_regimes_card(replay),)


def _equity_card(replay: Replay) -> Card:
    legend = Legend((("curve", "winner"), ("hold", "buy and hold, without costs")))
    figures = (
        Figure(lambda size: equity_figure(replay, size)),
        Figure(lambda size: drawdown_figure(replay, size)),
    )
    note = "Out of sample starts flat and goes on with the equity reached; its drawdown is counted anew, as in the metrics."
    return Card("Equity and drawdown", (legend, *figures), note, is_wide=True)


def _trades_card(replay: Replay) -> Card:
    n = sum(len(part.trades) for part in replay.parts)
    note = "A line from entry to exit; a triangle at the entry points up for a long and down for a short."
    if n > MOST_TRADES:
        note += f" Drawn are the {MOST_TRADES} of {n:,} trades with the largest gains and losses."
    legend = Legend((("won", "gain"), ("lost", "loss")))
    figure = Figure(lambda size: trades_figure(replay, size))
    return Card("Trades", (legend, figure), note, is_wide=True)


def _months_card(replay: Replay) -> Card:
    months = months_of(replay)
    known = [value for line in months.returns for value in line if value is not None]
    table = Table(
        label="Returns of the winner by month",
        heads=("", *map(str, months.years)),
        lines=tuple(
            (
                Cell(name),
                *(
                    Cell(
                        percent(value),
                        tone=None if value is None else tone(value, [*known, -1e-9, 1e-9]),
                        is_marked=outside,
                    )
                    for value, outside in zip(values, outsides, strict=True)
                ),
            )
            for name, values, outsides in zip(_MONTHS, months.returns, months.outside, strict=True)
        ),
        foot=(Cell("Year"), *(Cell(percent(value)) for value in months.totals)),
        look="heat",
    )
    note = "A bar beside a month: some of it, or all, is out of sample." if replay.test is not None else ""
    return Card("Monthly returns", (table,), note)


def _regimes_card(replay: Replay) -> Card:
    rows = [part.regimes.to_dicts() for part in replay.parts]
    lines = tuple(
        _regime_line(regime, sample, n_lines=len(same) if sample == "in" else 0)
        for same in zip(*rows, strict=True)
        for sample, regime in zip(("in", "out"), same, strict=False)
    )
    heads = ("Regime", "Sample", "Time", "Return", "Sharpe")
    note = "Bull: the close before is at or above its mean of 30 days. High: volatility is above the median of all before."
    return Card("Market regimes", (Table("The winner by market regime", heads, lines),), note)


def _regime_line(regime: dict[str, Any], sample: str, n_lines: int) -> Line:
    """One line of several of a regime; the first one names it."""
    texts = (
        sample,
        percent(regime["share"]),
        percent(regime["total_return"]) if regime["n_bars"] else NOTHING,
        metric_text("sharpe_ratio", regime["sharpe_ratio"]),
    )
    heading = (Cell(str(regime["regime"]).replace("_", " "), n_lines=n_lines),) if n_lines else ()
    return (*heading, *(Cell(text, is_out=sample == "out") for text in texts))
