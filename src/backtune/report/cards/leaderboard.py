"""The leaderboard and the grids of cells as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from backtune.report.cards.elements import Card, CardTable, TableCell
from backtune.report.cards.grids import StrategyGrid, build_grids
from backtune.report.content import ReportContent
from backtune.report.formatting import (
    format_interval,
    format_metric,
    format_metric_name,
    format_metric_title,
    format_optional_p_value,
    format_params,
    format_share,
    format_short_title,
)
from backtune.report.plots.colour_scale import SIGNED_METRICS, compute_colour
from backtune.report.sweep_summary import name_judged_sample
from backtune.results.evidence.evidence import FEW_TRADES
from backtune.results.leaderboard.row import Row

COLOURS = f"Blue is better, orange is worse; with fewer than {FEW_TRADES} trades a cell has no colour."
_BESIDE = ("total_return", "max_drawdown", "total_trades")
_NOTE = (
    "In: on the bars of the search. Out: on bars that it never saw; 95%: the interval of that Sharpe ratio. Family p: the share "
    "of sweeps, at most, in which luck alone tests as well; 0.05 or less is good. Haircut: the Sharpe ratio out of sample that is "
    "left. Timing p: the share of other times at which the same positions do as well. DSR: a probability, to be compared with what "
    "luck reaches."
)


@dataclass(frozen=True)
class LeaderboardColumn:
    """A column of numbers: its title, and the sample (empty for a column without one)."""

    title: str
    sample: str = ""

    @property
    def label(self) -> str:
        """Return title and sample as one text."""
        return f"{self.title} {self.sample}".strip()


@dataclass(frozen=True)
class LeaderboardLine:
    """A row of the leaderboard.

    Attributes:
        place: Place on the leaderboard, from 1.
        section: Id of the report section about the row.
        strategy: Name of the strategy.
        cell: Asset, timeframe, and the fold where there are several.
        params: Parameters as text.
        warnings: Warnings as sentences.
        numbers: One cell for each column.
    """

    place: int
    section: str
    strategy: str
    cell: str
    params: str
    warnings: tuple[str, ...]
    numbers: tuple[TableCell, ...]


@dataclass(frozen=True)
class LeaderboardTable:
    """The leaderboard as a table.

    Attributes:
        note: The sentences that explain the order and the columns.
        columns: Columns from the left; those of one title are neighbours.
        lines: Lines from the top.
        n_hidden: Number of rows that are not among the lines.
    """

    note: str
    columns: tuple[LeaderboardColumn, ...]
    lines: tuple[LeaderboardLine, ...]
    n_hidden: int


_Field = tuple[LeaderboardColumn, Callable[[Row], TableCell]]


def build_leaderboard_table(content: ReportContent, most: int | None = None) -> LeaderboardTable:
    """Build the table of the first ``most`` rows of the sweep, or of the study that the report is about."""
    rows = [row for row in content.rows if content.study in (None, row.study)]
    fields = _fields([objective.metric for objective in content.objectives])
    lines = tuple(
        LeaderboardLine(
            place=place,
            section=content.section_of(row),
            strategy=row.strategy,
            cell=_name_cell(content, row),
            params=_format_params(row),
            warnings=row.warnings,
            numbers=tuple(read(row) for _, read in fields),
        )
        for place, row in enumerate(rows[:most], start=1)
    )
    order = f"Ordered by {format_metric_name(content.objectives[0].metric)} in sample, rows with fewer than {FEW_TRADES} trades last."
    return LeaderboardTable(
        f"{order} {_NOTE}",
        tuple(column for column, _ in fields),
        lines,
        n_hidden=len(rows) - len(lines),
    )


def build_grid_cards(content: ReportContent) -> list[Card]:
    """Build a table for each strategy, coloured by value."""
    found = build_grids(content)
    known = [
        value
        for grid in found
        for line, few in zip(grid.values, grid.has_few_trades, strict=True)
        for value, has_few in zip(line, few, strict=True)
        if value is not None and not has_few
    ]
    minimize = content.objectives[0].minimize
    return [_grid_card(grid, known, minimize=minimize) for grid in found]


def describe_grids(content: ReportContent) -> str:
    """Say whose numbers the grids show."""
    is_joined = any(row.folds for row in content.rows)
    subject = (
        "Of each cell's tests as one backtest"
        if is_joined
        else f"Of each cell's winner, {name_judged_sample(content)}"
    )
    return f"{subject}."


def _fields(objectives: Sequence[str]) -> list[_Field]:
    """Return the columns: trials, objectives, evidence, and a few more metrics."""
    found: list[_Field] = [(LeaderboardColumn("Trials"), lambda row: TableCell(f"{row.n_trials:,}"))]
    for name in objectives:
        found += _pair(name)
        if name == "sharpe_ratio":
            found.append((LeaderboardColumn("Sharpe", "95%"), _interval))
    if "sharpe_ratio" not in objectives:
        found.append((LeaderboardColumn("Sharpe", "out, 95%"), _interval))
    found += [
        (
            LeaderboardColumn("Family p"),
            partial(_show_evidence, "family", "family_p", format_optional_p_value),
        ),
        (
            LeaderboardColumn("Haircut"),
            partial(_show_evidence, "family", "haircut_sharpe_ratio", format_share),
        ),
        (
            LeaderboardColumn("Timing p"),
            partial(_show_evidence, "timing_p", "timing_p", format_optional_p_value),
        ),
        (LeaderboardColumn("DSR"), partial(_show_evidence, "dsr", "dsr", format_share)),
    ]
    for name in _BESIDE:
        found += _pair(name) if name not in objectives else []
    return found


def _pair(name: str) -> list[_Field]:
    title = format_short_title(name)
    return [
        (LeaderboardColumn(title, "in"), lambda row: TableCell(format_metric(name, row.is_metrics[name]))),
        (
            LeaderboardColumn(title, "out"),
            lambda row: TableCell(format_metric(name, row.oos_metrics[name]), is_out=True),
        ),
    ]


def _interval(row: Row) -> TableCell:
    interval = row.evidence.oos_interval
    return TableCell(format_interval(interval), is_weak=interval is not None and interval.low < 0.0)


def _show_evidence(
    weakness: str, name: str, format_value: Callable[[float | None], str], row: Row
) -> TableCell:
    """Return a number of the evidence, by its name in JSON, marked where the named weakness is among those of the row."""
    return TableCell(format_value(row.evidence.to_json()[name]), is_weak=weakness in row.weaknesses)


def _format_params(row: Row) -> str:
    text = format_params(row.params)
    return f"{row.fold} of {len(row.folds)}: {text}" if row.folds and text else text


def _name_cell(content: ReportContent, row: Row) -> str:
    fold = content.fold(row)
    return f"{row.asset} {row.timeframe}{f' {fold}' if fold.startswith('walk') else ''}"


def _grid_card(grid: StrategyGrid, known: Sequence[float], *, minimize: bool) -> Card:
    table = CardTable(
        label=f"{format_metric_title(grid.metric)} of {grid.strategy} by asset and timeframe",
        heads=("", *grid.timeframes),
        lines=tuple(
            (
                TableCell(asset),
                *(
                    TableCell(
                        format_metric(grid.metric, value),
                        colour=None
                        if value is None or has_few
                        else compute_colour(
                            value, known, is_signed=grid.metric in SIGNED_METRICS, minimize=minimize
                        ),
                    )
                    for value, has_few in zip(values, few, strict=True)
                ),
            )
            for asset, values, few in zip(grid.assets, grid.values, grid.has_few_trades, strict=True)
        ),
        look="heat",
    )
    return Card(grid.strategy, (table,))
