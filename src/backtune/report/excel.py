"""A report as an Excel workbook: sheets of numbers for filters and calculations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backtune.report.cards.stress import (
    describe_break_even,
    list_condition_lines,
    list_other_cell_lines,
    list_shown_metrics,
)
from backtune.report.content import ReportContent
from backtune.report.formatting import IN_PERCENT, format_count, format_params, metric_names
from backtune.report.sweep_summary import describe_sweep, list_cautions
from backtune.report.workbook import MOST_LINES, SheetColumn, SheetField, WorkbookSheet, build_workbook
from backtune.results.leaderboard.row import Row
from backtune.results.log.segments import count_trials, decode_params, read_log
from backtune.results.stored_sweep import StoredStudy
from backtune.space import Space

_CELL = ("strategy", "asset", "timeframe", "fold", "study")
_BESIDE = ("total_return", "max_drawdown", "total_trades")
_EVIDENCE = (
    "family_p",
    "haircut_sharpe_ratio",
    "q_value",
    "oos_sharpe_low",
    "oos_sharpe_high",
    "timing_p",
    "permutation_p",
    "hold_sharpe_ratio",
    "hold_total_return",
    "test_years",
    "min_track_record_years",
    "dsr",
    "dsr_level",
    "n_independent",
    "n_elsewhere",
    "pbo_loss",
    "pbo",
    "plateau",
)
_PARAMETER, _OBJECTIVE = "params_", "objective_"

_SHARES = IN_PERCENT | {"pbo_loss", "hold_total_return"}
_COUNTS = frozenset({"total_trades", "trial", "n_trials", "n_independent", "n_elsewhere", "number"})
_WIDTHS = {
    "what": 20,
    "in words": 110,
    "strategy": 26,
    "study": 24,
    "params": 50,
    "reason": 30,
    "condition": 34,
    "warnings": 80,
}
_LEAST_WIDTH = 9


def render_excel(content: ReportContent) -> bytes:
    """Return a workbook with the sheets summary, leaderboard, metrics, stress and trials, and folds for a walk-forward.

    Raises:
        ReportError: The package xlsxwriter is not installed.
        ResultsError: A log cannot be read.
    """
    return build_workbook(content.run.name, _sheets(content))


def _sheets(content: ReportContent) -> Iterator[WorkbookSheet]:
    rows = [row for row in content.rows if content.study in (None, row.study)]
    entries = {entry.id: entry for entry in content.run.studies}
    told = [entries[name] for name in content.ids]
    yield WorkbookSheet("summary", _columns("what", "in words"), _summary(content, told))
    folds = [fold for row in rows for fold in row.folds]
    yield _leaderboard(content, rows, "leaderboard")
    if folds:
        yield _leaderboard(content, folds, "folds")
    yield _metrics(content, [*rows, *folds])
    yield _stress(content, rows)
    yield _trials(content, told)


def _summary(content: ReportContent, told: Sequence[StoredStudy]) -> Iterator[tuple[str, str]]:
    yield "Name", content.run.name
    yield from describe_sweep(content)
    yield from (("Caution", caution) for caution in list_cautions(content))
    yield "Numbers", "is: in sample, oos: out of sample. Fractions, shown in per cent where they are shares."
    n_trials = sum(count_trials(content.run.study_folder(entry.id)) for entry in told)
    n_left = n_trials - (MOST_LINES - 1)
    if n_left > 0:
        told_of = f"{n_left:,} of {format_count(n_trials, 'trial')}, of the studies of lowest rank: a sheet has no more lines"
        yield "Left out", f"{told_of}. --study ID shows one study, backtune export writes all."


def _leaderboard(content: ReportContent, rows: Sequence[Row], name: str) -> WorkbookSheet:
    shown = list(dict.fromkeys([*(objective.metric for objective in content.objectives), *_BESIDE]))
    numbers = [*(f"{part}_{name}" for name in shown for part in ("is", "oos")), *_EVIDENCE]
    lines = []
    for row in rows:
        flat = row.to_json()
        found = (flat[name] for name in numbers)
        lines.append(
            (
                *_cell(content, row),
                row.trial,
                row.n_trials,
                format_params(row.params),
                *found,
                "; ".join(row.warnings),
            )
        )
    return WorkbookSheet(name, _columns(*_CELL, "trial", "n_trials", "params", *numbers, "warnings"), lines)


def _metrics(content: ReportContent, rows: Sequence[Row]) -> WorkbookSheet:
    names = metric_names()
    lines = [
        (*_cell(content, row), row.trial, sample, *(metrics[name] for name in names))
        for row in rows
        for sample, metrics in (("in", row.is_metrics), ("out", row.oos_metrics))
    ]
    return WorkbookSheet("metrics", _columns(*_CELL, "trial", "sample", *names), lines)


def _stress(content: ReportContent, rows: Sequence[Row]) -> WorkbookSheet:
    names = list_shown_metrics(content)
    lines = [
        (*_cell(content, row), row.trial, *fields)
        for row in rows
        if content.is_stressed(row)
        for fields in _stress_lines(content, row, names)
    ]
    return WorkbookSheet(
        "stress", _columns(*_CELL, "trial", "condition", "cost_bps", *names, "in words"), lines
    )


def _stress_lines(content: ReportContent, row: Row, names: Sequence[str]) -> Iterator[tuple[SheetField, ...]]:
    """Yield the lines of the conditions, the other cells and the break-even costs, or the reason why there are none."""
    nothing = (None,) * len(names)
    stress, gap = content.stress(row)
    if stress is None:
        yield "", None, *nothing, gap
        return
    charged = stress.break_even.charged_bps
    for line in (*list_condition_lines(stress), *list_other_cell_lines(stress)):
        cost = charged if line.is_own else None
        yield line.name, cost, *(line.metrics.get(name) for name in names), line.meaning
    yield "Break-even", stress.break_even.cost_bps, *nothing, describe_break_even(stress.break_even)


def _cell(content: ReportContent, row: Row) -> tuple[str, ...]:
    return row.strategy, row.asset, row.timeframe, content.fold(row), row.study


def _trials(content: ReportContent, told: Sequence[StoredStudy]) -> WorkbookSheet:
    params = list(dict.fromkeys(name for entry in told for name in entry.parse_space()))
    columns = _columns(
        *_CELL,
        "number",
        "state",
        "reason",
        *(f"{_OBJECTIVE}{objective.metric}" for objective in content.objectives),
        *(f"{_PARAMETER}{name}" for name in params),
        *metric_names(),
        "duration_seconds",
    )
    return WorkbookSheet("trials", columns, _trial_lines(content, told, params))


def _trial_lines(
    content: ReportContent, told: Sequence[StoredStudy], params: Sequence[str]
) -> Iterator[tuple[SheetField, ...]]:
    for entry in told:
        cell = (entry.strategy, entry.asset, entry.timeframe, entry.fold.name, entry.id)
        log, space = read_log(content.run.study_folder(entry.id)), entry.parse_space()
        for row in log.iter_rows(named=True) if log is not None else ():
            yield (*cell, *_trial_fields(row, space, params, len(entry.objectives)))


def _trial_fields(
    row: dict[str, Any], space: Space, params: Sequence[str], n_objectives: int
) -> Iterator[SheetField]:
    yield from (row["number"], row["state"], row["reason"])
    yield from (row[f"values_{i}"] for i in range(n_objectives))
    own = decode_params(row, space)
    yield from (own.get(name) for name in params)
    yield from (row[name] for name in metric_names())
    yield row["duration_seconds"]


def _columns(*names: str) -> tuple[SheetColumn, ...]:
    return tuple(
        SheetColumn(name, _WIDTHS.get(name, max(_LEAST_WIDTH, len(name) + 3)), _number_format(name))
        for name in names
    )


def _number_format(name: str) -> str:
    metric = name.removeprefix("is_").removeprefix("oos_").removeprefix(_OBJECTIVE)
    if metric in _SHARES:
        return "0.0%"
    if metric in _COUNTS:
        return "#,##0"
    return "0.00" if metric in metric_names() or name in _EVIDENCE else ""
