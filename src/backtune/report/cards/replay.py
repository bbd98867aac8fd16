"""What the winner of a study, run once more, shows: equity, trades, months and regimes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backtune.report.cards.card import Band, Card, Line, Table, TableCell, Words
from backtune.report.cards.course import equity_card, months_card, trades_card
from backtune.report.content import StudyContent
from backtune.report.course import course_of_winner
from backtune.report.replay import Replay
from backtune.report.wording import NOTHING, metric_text, percent

_EQUITY = "Out of sample starts flat and goes on with the equity reached; its drawdown is counted anew, as in the metrics."


def replay_bands(study: StudyContent) -> Iterator[Band]:
    """Where there is no replay, why not."""
    if study.gap:
        why = f"No equity, trades, months and regimes, for the winner could not be run again: {study.gap}"
        yield ((Card("", (Words(why, is_warning=True),), is_wide=True),),)
    replay = study.replay
    if replay is None:
        return
    course = course_of_winner(replay)
    yield ((equity_card(course, "winner", _EQUITY if replay.test is not None else ""),),)
    yield ((trades_card(course),),)
    yield (months_card(course),), (_regimes_card(replay),)


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
    heading = (TableCell(str(regime["regime"]).replace("_", " "), n_lines=n_lines),) if n_lines else ()
    return (*heading, *(TableCell(text, is_out=sample == "out") for text in texts))
