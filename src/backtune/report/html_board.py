"""The leaderboard as HTML."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from urllib.parse import quote

from backtune.report.cards.elements import TableCell
from backtune.report.cards.leaderboard import (
    LeaderboardColumn,
    LeaderboardLine,
    LeaderboardTable,
    build_leaderboard_table,
)
from backtune.report.content import ReportContent
from backtune.report.markup import Markup, element, join_markup

_MOST_ROWS = 200


def build_leaderboard_section(content: ReportContent, places: Collection[str]) -> Markup:
    """Build the leaderboard: in-sample beside out-of-sample, with the number of trials, the evidence and the warnings.

    Args:
        places: Ids of the sections that the page has; only rows of these are links.
    """
    shown = build_leaderboard_table(content, _MOST_ROWS)
    more = f"{shown.n_hidden:,} more rows: backtune leaderboard shows them." if shown.n_hidden else None
    return element(
        "section",
        element("h2", "Leaderboard"),
        element("p", shown.note, class_="note"),
        element(
            "table",
            _head(shown),
            element("tbody", *(row for line in shown.lines for row in _rows(line, shown.columns, places))),
            class_="board",
        ),
        element("p", more, class_="note") if more else None,
    )


def section_anchor(section: str) -> str:
    """Return the name of a section's anchor in the page."""
    return f"study-{quote(section)}"


def _head(shown: LeaderboardTable) -> Markup:
    first = [element("th", text, scope="col", rowspan="2") for text in ("", "Study and its best")]
    samples = (element("th", column.sample, scope="col") for column in shown.columns if column.sample)
    return element("thead", element("tr", *first, *_titles(shown)), element("tr", *samples))


def _titles(shown: LeaderboardTable) -> Iterator[Markup]:
    for title, group in groupby(shown.columns, key=lambda column: column.title):
        columns = list(group)
        if any(column.sample for column in columns):
            yield element("th", title, scope="colgroup", colspan=str(len(columns)))
        else:
            yield element("th", title, scope="col", rowspan="2")


def _rows(
    line: LeaderboardLine, columns: tuple[LeaderboardColumn, ...], places: Collection[str]
) -> Iterator[Markup]:
    """Yield the row of numbers and, over the whole width below it, the warnings."""
    name = (element("b", line.strategy), f" {line.cell}")
    study = [
        element("a", *name, href=f"#{section_anchor(line.section)}")
        if line.section in places
        else join_markup(*name),
        element("span", line.params, class_="params") if line.params else None,
    ]
    numbers = [_number(column, cell) for column, cell in zip(columns, line.numbers, strict=True)]
    yield element(
        "tr", element("td", str(line.place), class_="place"), element("td", *study, class_="study"), *numbers
    )
    if line.warnings:
        doubts = (element("span", text) for text in line.warnings)
        doubt = element("td", *doubts, class_="warning", colspan=str(len(columns) + 1))
        yield element("tr", element("td", ""), doubt, class_="doubts")


def _number(column: LeaderboardColumn, cell: TableCell) -> Markup:
    kind = (
        "interval"
        if "%" in column.sample
        else "out"
        if cell.is_out
        else column.sample or column.title.lower()
    )
    return element("td", cell.text, class_=f"{kind} weak" if cell.is_weak else kind, data_label=column.label)
