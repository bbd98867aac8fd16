"""What is shown of a walk-forward: its folds' tests as one backtest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backtune.report.cards.card import Band, Card, Line, Section, Table, TableCell, Words
from backtune.report.cards.course import equity_card, months_card, trades_card
from backtune.report.cards.evidence import evidence_card
from backtune.report.cards.metrics import metrics_card
from backtune.report.cards.stress import stress_bands
from backtune.report.content import Content
from backtune.report.course import course_of_tests
from backtune.report.wording import (
    NOTHING,
    counted,
    day,
    metric_text,
    metric_words,
    params_text,
    short_title,
)
from backtune.results.leaderboard.row import Row
from backtune.validation.folds import TimeWindow

_EQUITY = "Each fold's winner in its own test window, flat at every start, with the equity that the one before ended with."
_FOLDS = "Each fold searches its train window; its winner meets the test window. The last one's parameters are the next to trade."


def cell_section(content: Content, row: Row) -> Section:
    """The folds of a row as one.

    Raises:
        ResultsError: a log cannot be read.
    """
    name = content.objectives[0].metric
    return Section(
        id=content.section_of(row),
        title=f"{' '.join(row.cell)}: {counted(len(row.folds), 'fold')} as one",
        headline=f"{metric_words(name)} {metric_text(name, row.oos_metrics[name])} out of sample, in sample "
        f"{metric_text(name, row.is_metrics[name])} on average; {counted(row.n_trials, 'trial')}",
        about="Out of sample is one backtest of all tests, in sample the mean over the folds.",
        warnings=row.warnings,
        bands=tuple(_bands(content, row)),
    )


def _bands(content: Content, row: Row) -> Iterator[Band]:
    yield ((folds_card(content, row),),)
    if row.values is None:
        return
    yield ((evidence_card(row, content.objectives[0].metric),),)
    yield from stress_bands(content, row)
    whole, gap = content.stitched(row)
    if whole is None:
        why = f"No equity, trades and months, for the tests could not be run again: {gap}"
        yield ((Card("", (Words(why, is_warning=True),), is_wide=True),),)
        yield ((metrics_card(row.is_metrics, row.oos_metrics),),)
        return
    course = course_of_tests(whole)
    yield ((equity_card(course, "the folds' winners", _EQUITY),),)
    yield ((trades_card(course),),)
    yield (months_card(course),), (metrics_card(row.is_metrics, row.oos_metrics),)


def folds_card(content: Content, row: Row) -> Card:
    """A line a fold: its windows, its best, and what that did."""
    names = list(dict.fromkeys([*(objective.metric for objective in content.objectives), "total_return"]))
    heads = [f"{short_title(name)} {sample}" for name in names for sample in ("in", "out")]
    table = Table(
        label="The folds",
        heads=("Fold", "Searched", "Tested", "Trials", *heads, "Trades out", "Best"),
        lines=tuple(_fold_line(fold, names) for fold in row.folds),
        look="words",
    )
    return Card("Folds", (table,), _FOLDS, is_wide=True)


def _fold_line(fold: Row, names: Sequence[str]) -> Line:
    numbers = (
        TableCell(metric_text(name, metrics[name]), is_out=metrics is fold.oos_metrics)
        for name in names
        for metrics in (fold.is_metrics, fold.oos_metrics)
    )
    trades = TableCell(metric_text("total_trades", fold.oos_metrics["total_trades"]), is_out=True)
    best = params_text(fold.params) if fold.values is not None else "; ".join(fold.warnings)
    return (
        TableCell(fold.fold), TableCell(_days(fold.train)), TableCell(_days(fold.test)), TableCell(f"{fold.n_trials:,}"), *numbers, trades,
        TableCell(best, is_weak=fold.values is None),
    )  # fmt: skip


def _days(span: TimeWindow | None) -> str:
    return NOTHING if span is None else f"{day(span.start)} to {day(span.end)}"
