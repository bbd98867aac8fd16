"""The cards of a study that its winner, run once more, gives: equity, trades, months and regimes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backtune.report.content import StudyContent
from backtune.report.html_cards import drawn, figure, heat, tone
from backtune.report.markup import Markup, element
from backtune.report.plots.curves import MOST_TRADES, drawdown_figure, equity_figure, trades_figure
from backtune.report.replay import Replay
from backtune.report.tables import months_of
from backtune.report.wording import NOTHING, metric_text, percent

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def replay_cards(study: StudyContent) -> Iterator[Markup]:
    """Where there is no replay, why not."""
    if study.gap:
        yield element(
            "p", f"No equity, trades, months and regimes, for the winner could not be run again: {study.gap}",
            class_="card wide warning",
        )  # fmt: skip
    replay = study.replay
    if replay is None:
        return
    legend = element(
        "p", element("i", class_="key curve"), "winner ", element("i", class_="key hold"), "buy and hold, without costs",
        class_="legend",
    )  # fmt: skip
    yield figure(
        "Equity and drawdown",
        "Out of sample starts flat and goes on with the equity reached; its drawdown is counted anew, as in the metrics.",
        legend, drawn(lambda size: equity_figure(replay, size)), drawn(lambda size: drawdown_figure(replay, size)),
        wide=True,
    )  # fmt: skip
    yield _trades_card(replay)
    yield _months_card(replay)
    yield _regimes_card(replay)


def _trades_card(replay: Replay) -> Markup:
    n = sum(len(part.trades) for part in replay.parts)
    note = "A line from entry to exit; a triangle at the entry points up for a long and down for a short."
    if n > MOST_TRADES:
        note += f" Drawn are the {MOST_TRADES} of {n:,} trades with the largest gains and losses."
    legend = element(
        "p", element("i", class_="key won"), "gain ", element("i", class_="key lost"), "loss", class_="legend"
    )
    return figure("Trades", note, legend, drawn(lambda size: trades_figure(replay, size)), wide=True)


def _months_card(replay: Replay) -> Markup:
    months = months_of(replay)
    known = [value for line in months.returns for value in line if value is not None]
    lines = [
        element(
            "tr", element("th", name, scope="row"),
            *(
                heat(percent(value), tone(value, [*known, -1e-9, 1e-9]), "outside" if outside else "")
                for value, outside in zip(values, outsides, strict=True)
            ),
        )
        for name, values, outsides in zip(_MONTHS, months.returns, months.outside, strict=True)
    ]  # fmt: skip
    total = element(
        "tr", element("th", "Year", scope="row"), *(element("td", percent(v)) for v in months.totals)
    )
    head = element("tr", element("th", ""), *(element("th", str(year), scope="col") for year in months.years))
    table = element(
        "table", element("thead", head), element("tbody", *lines), element("tfoot", total), class_="heat",
        aria_label="Returns of the winner by month",
    )  # fmt: skip
    note = "A bar beside a month: some of it, or all, is out of sample." if replay.test is not None else ""
    return figure("Monthly returns", note, element("div", table, class_="scroll"))


def _regimes_card(replay: Replay) -> Markup:
    heads = ("Regime", "Sample", "Time", "Return", "Sharpe")
    rows = [part.regimes.to_dicts() for part in replay.parts]
    lines = [
        _regime_line(regime, sample, n_lines=len(same) if sample == "in" else 0)
        for same in zip(*rows, strict=True)
        for sample, regime in zip(("in", "out"), same, strict=False)
    ]
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    table = element("table", element("thead", head), element("tbody", *lines), class_="plain",
                    aria_label="The winner by market regime")  # fmt: skip
    note = "Bull: the close before is at or above its mean of 30 days. High: volatility is above the median of all before."
    return figure("Market regimes", note, table)


def _regime_line(regime: dict[str, Any], sample: str, n_lines: int) -> Markup:
    """One line of several of a regime; the first one names it."""
    name = str(regime["regime"]).replace("_", " ")
    texts = (
        sample,
        percent(regime["share"]),
        _unless_empty(regime),
        metric_text("sharpe_ratio", regime["sharpe_ratio"]),
    )
    return element(
        "tr",
        element("th", name, scope="rowgroup", rowspan=n_lines) if n_lines else None,
        *(element("td", text, class_="out" if sample == "out" else None) for text in texts),
    )


def _unless_empty(regime: dict[str, Any]) -> str:
    return percent(regime["total_return"]) if regime["n_bars"] else NOTHING
