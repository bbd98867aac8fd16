"""The leaderboard and the grids of cells as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from backtune.report.cards.card import Card, Table, TableCell
from backtune.report.content import Content
from backtune.report.plots.tone import SIGNED, tone
from backtune.report.summary_words import sample_name
from backtune.report.tables import Grid, grids
from backtune.report.wording import (
    interval_text,
    metric_text,
    metric_title,
    metric_words,
    p_text,
    params_text,
    share_text,
    short_title,
)
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
class Column:
    """A column of numbers: what, and in which sample (empty where that is no question)."""

    title: str
    sample: str = ""

    @property
    def label(self) -> str:
        """Both in one."""
        return f"{self.title} {self.sample}".strip()


@dataclass(frozen=True)
class BoardLine:
    """A row of the leaderboard.

    Attributes:
        place: from 1.
        section: where in a report it is told of.
        strategy: as in the row.
        cell: asset, timeframe, and the fold where there are several.
        params, warnings: in words.
        numbers: one for each column.
    """

    place: int
    section: str
    strategy: str
    cell: str
    params: str
    warnings: tuple[str, ...]
    numbers: tuple[TableCell, ...]


@dataclass(frozen=True)
class Board:
    """The leaderboard.

    Attributes:
        note: how it is ordered, and what the columns are.
        columns, lines: in order; columns of one title are neighbours.
        n_hidden: rows that there are beyond the lines.
    """

    note: str
    columns: tuple[Column, ...]
    lines: tuple[BoardLine, ...]
    n_hidden: int


_Field = tuple[Column, Callable[[Row], TableCell]]


def board(content: Content, most: int | None = None) -> Board:
    """The rows of the sweep, or of the study that the report is about; ``most`` of them at most."""
    rows = [row for row in content.rows if content.study in (None, row.study)]
    fields = _fields([objective.metric for objective in content.objectives])
    lines = tuple(
        BoardLine(
            place=place,
            section=content.section_of(row),
            strategy=row.strategy,
            cell=_cell_name(content, row),
            params=_params(row),
            warnings=row.warnings,
            numbers=tuple(read(row) for _, read in fields),
        )
        for place, row in enumerate(rows[:most], start=1)
    )
    order = f"Ordered by {metric_words(content.objectives[0].metric)} in sample, rows with fewer than {FEW_TRADES} trades last."
    return Board(
        f"{order} {_NOTE}",
        tuple(column for column, _ in fields),
        lines,
        n_hidden=len(rows) - len(lines),
    )


def grid_cards(content: Content) -> list[Card]:
    """A table for each strategy, coloured by value."""
    found = grids(content)
    known = [
        value
        for grid in found
        for line, few in zip(grid.values, grid.has_few_trades, strict=True)
        for value, has_few in zip(line, few, strict=True)
        if value is not None and not has_few
    ]
    minimize = content.objectives[0].minimize
    return [_grid_card(grid, known, minimize=minimize) for grid in found]


def grids_note(content: Content) -> str:
    """What the numbers of the grids are."""
    is_joined = any(row.folds for row in content.rows)
    whose = (
        "Of each cell's tests as one backtest"
        if is_joined
        else f"Of each cell's winner, {sample_name(content)}"
    )
    return f"{whose}."


def _fields(objectives: Sequence[str]) -> list[_Field]:
    """The columns: trials, objectives, evidence, and what is good to know beside."""
    found: list[_Field] = [(Column("Trials"), lambda row: TableCell(f"{row.n_trials:,}"))]
    for name in objectives:
        found += _pair(name)
        if name == "sharpe_ratio":
            found.append((Column("Sharpe", "95%"), _interval))
    if "sharpe_ratio" not in objectives:
        found.append((Column("Sharpe", "out, 95%"), _interval))
    found += [
        (Column("Family p"), _family_p),
        (Column("Haircut"), _haircut),
        (Column("Timing p"), _timing_p),
        (Column("DSR"), _dsr),
    ]
    for name in _BESIDE:
        found += _pair(name) if name not in objectives else []
    return found


def _pair(name: str) -> list[_Field]:
    title = short_title(name)
    return [(Column(title, "in"), partial(_inside, name)), (Column(title, "out"), partial(_outside, name))]


def _inside(name: str, row: Row) -> TableCell:
    return TableCell(metric_text(name, row.is_metrics[name]))


def _outside(name: str, row: Row) -> TableCell:
    return TableCell(metric_text(name, row.oos_metrics[name]), is_out=True)


def _interval(row: Row) -> TableCell:
    interval = row.evidence.oos_interval
    return TableCell(interval_text(interval), is_weak=interval is not None and interval.low < 0.0)


def _dsr(row: Row) -> TableCell:
    return TableCell(share_text(row.evidence.dsr), is_weak=_is_weak(row, "dsr"))


def _family_p(row: Row) -> TableCell:
    family = row.evidence.family
    return TableCell(p_text(family.p if family else None), is_weak=_is_weak(row, "family"))


def _haircut(row: Row) -> TableCell:
    family = row.evidence.family
    return TableCell(
        share_text(family.haircut_sharpe_ratio if family else None), is_weak=_is_weak(row, "family")
    )


def _timing_p(row: Row) -> TableCell:
    return TableCell(p_text(row.evidence.timing_p), is_weak=_is_weak(row, "timing_p"))


def _is_weak(row: Row, name: str) -> bool:
    return name in row.weaknesses


def _params(row: Row) -> str:
    text = params_text(row.params)
    return f"{row.fold} of {len(row.folds)}: {text}" if row.folds and text else text


def _cell_name(content: Content, row: Row) -> str:
    fold = content.fold(row)
    return f"{row.asset} {row.timeframe}{f' {fold}' if fold.startswith('walk') else ''}"


def _grid_card(grid: Grid, known: Sequence[float], *, minimize: bool) -> Card:
    table = Table(
        label=f"{metric_title(grid.metric)} of {grid.strategy} by asset and timeframe",
        heads=("", *grid.timeframes),
        lines=tuple(
            (
                TableCell(asset),
                *(
                    TableCell(
                        metric_text(grid.metric, value),
                        tone=None
                        if value is None or has_few
                        else tone(value, known, is_signed=grid.metric in SIGNED, minimize=minimize),
                    )
                    for value, has_few in zip(values, few, strict=True)
                ),
            )
            for asset, values, few in zip(grid.assets, grid.values, grid.has_few_trades, strict=True)
        ),
        look="heat",
    )
    return Card(grid.strategy, (table,))
