"""The section about a walk-forward: the tests of its folds as one backtest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backtune.report.backtest_history import build_walk_forward_history
from backtune.report.cards.elements import (
    Card,
    CardBand,
    CardTable,
    Paragraph,
    ReportSection,
    TableCell,
    TableLine,
)
from backtune.report.cards.evidence import build_evidence_card
from backtune.report.cards.history import build_equity_card, build_months_card, build_trades_card
from backtune.report.cards.metrics import build_metrics_card
from backtune.report.cards.stress import build_stress_bands
from backtune.report.content import ReportContent
from backtune.report.formatting import (
    NO_VALUE,
    format_count,
    format_day,
    format_metric,
    format_metric_name,
    format_params,
    format_short_title,
)
from backtune.results.leaderboard.row import Row
from backtune.validation.folds import TimeWindow

_EQUITY = "Each fold's winner in its own test window, flat at every start, with the equity that the one before ended with."
_FOLDS = "Each fold searches its train window; its winner meets the test window. The last one's parameters are the next to trade."


def build_cell_section(content: ReportContent, row: Row) -> ReportSection:
    """Build the section about the folds of a row as one backtest.

    Raises:
        ResultsError: A log cannot be read.
    """
    name = content.objectives[0].metric
    return ReportSection(
        id=content.section_of(row),
        title=f"{' '.join(row.cell)}: {format_count(len(row.folds), 'fold')} as one",
        headline=f"{format_metric_name(name)} {format_metric(name, row.oos_metrics[name])} out of sample, in sample "
        f"{format_metric(name, row.is_metrics[name])} on average; {format_count(row.n_trials, 'trial')}",
        about="Out of sample is one backtest of all tests, in sample the mean over the folds.",
        warnings=row.warnings,
        bands=tuple(_bands(content, row)),
    )


def _bands(content: ReportContent, row: Row) -> Iterator[CardBand]:
    yield ((build_folds_card(content, row),),)
    if row.values is None:
        return
    yield ((build_evidence_card(row, content.objectives[0].metric),),)
    yield from build_stress_bands(content, row)
    whole, gap = content.stitched(row)
    if whole is None:
        why = f"No equity, trades and months, for the tests could not be run again: {gap}"
        yield ((Card("", (Paragraph(why, is_warning=True),), is_wide=True),),)
        yield ((build_metrics_card(row.is_metrics, row.oos_metrics),),)
        return
    course = build_walk_forward_history(whole)
    yield ((build_equity_card(course, "the folds' winners", _EQUITY),),)
    yield ((build_trades_card(course),),)
    yield (build_months_card(course),), (build_metrics_card(row.is_metrics, row.oos_metrics),)


def build_folds_card(content: ReportContent, row: Row) -> Card:
    """Build the card with a line for each fold: its windows, its best parameters and their results."""
    names = list(dict.fromkeys([*(objective.metric for objective in content.objectives), "total_return"]))
    heads = [f"{format_short_title(name)} {sample}" for name in names for sample in ("in", "out")]
    table = CardTable(
        label="The folds",
        heads=("Fold", "Searched", "Tested", "Trials", *heads, "Trades out", "Best"),
        lines=tuple(_fold_line(fold, names) for fold in row.folds),
        look="words",
    )
    return Card("Folds", (table,), _FOLDS, is_wide=True)


def _fold_line(fold: Row, names: Sequence[str]) -> TableLine:
    numbers = (
        TableCell(format_metric(name, metrics[name]), is_out=metrics is fold.oos_metrics)
        for name in names
        for metrics in (fold.is_metrics, fold.oos_metrics)
    )
    trades = TableCell(format_metric("total_trades", fold.oos_metrics["total_trades"]), is_out=True)
    best = format_params(fold.params) if fold.values is not None else "; ".join(fold.warnings)
    return (
        TableCell(fold.fold),
        TableCell(_days(fold.train)),
        TableCell(_days(fold.test)),
        TableCell(f"{fold.n_trials:,}"),
        *numbers,
        trades,
        TableCell(best, is_weak=fold.values is None),
    )


def _days(span: TimeWindow | None) -> str:
    return NO_VALUE if span is None else f"{format_day(span.start)} to {format_day(span.end)}"
