"""Cards about the full backtest of a study's winner: equity, trades, months and regimes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backtune.report.backtest_history import build_winner_history
from backtune.report.cards.elements import Card, CardBand, CardTable, Paragraph, TableCell, TableLine
from backtune.report.cards.history import build_equity_card, build_months_card, build_trades_card
from backtune.report.content import StudyContent
from backtune.report.formatting import NO_VALUE, format_metric, format_percent
from backtune.report.winner_replay import WinnerReplay

_EQUITY = "Out of sample starts flat and goes on with the equity reached; its drawdown is counted anew, as in the metrics."


def build_replay_bands(study: StudyContent) -> Iterator[CardBand]:
    """Yield the cards about the winner's backtest, or the reason why there are none."""
    if study.gap:
        why = f"No equity, trades, months and regimes, for the winner could not be run again: {study.gap}"
        yield ((Card("", (Paragraph(why, is_warning=True),), is_wide=True),),)
    replay = study.replay
    if replay is None:
        return
    course = build_winner_history(replay)
    yield ((build_equity_card(course, "winner", _EQUITY if replay.test is not None else ""),),)
    yield ((build_trades_card(course),),)
    yield (build_months_card(course),), (_regimes_card(replay),)


def _regimes_card(replay: WinnerReplay) -> Card:
    rows = [part.regimes.to_dicts() for part in replay.parts]
    lines = tuple(
        _regime_line(regime, sample, n_lines=len(same) if sample == "in" else 0)
        for same in zip(*rows, strict=True)
        for sample, regime in zip(("in", "out"), same, strict=False)
    )
    heads = ("Regime", "Sample", "Time", "Return", "Sharpe")
    note = "Bull: the close before is at or above its mean of 30 days. High: volatility is above the median of all before."
    return Card("Market regimes", (CardTable("The winner by market regime", heads, lines),), note)


def _regime_line(regime: dict[str, Any], sample: str, n_lines: int) -> TableLine:
    """Build one of the lines about a regime, of which the first one names it."""
    texts = (
        sample,
        format_percent(regime["share"]),
        format_percent(regime["total_return"]) if regime["n_bars"] else NO_VALUE,
        format_metric("sharpe_ratio", regime["sharpe_ratio"]),
    )
    heading = (TableCell(str(regime["regime"]).replace("_", " "), n_lines=n_lines),) if n_lines else ()
    return (*heading, *(TableCell(text, is_out=sample == "out") for text in texts))
