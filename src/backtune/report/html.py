"""A report as one self-contained HTML page, without scripts, links to other files or network access.

Figures are drawn twice, wide and narrow; the style sheet shows the one that fits and colours it for light or dark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from backtune.report.cards.elements import (
    Card,
    CardBand,
    CardElement,
    CardTable,
    Figure,
    Legend,
    ReportSection,
    SmallFigures,
    TableCell,
    TableLine,
)
from backtune.report.cards.leaderboard import (
    COLOURS,
    LeaderboardColumn,
    LeaderboardLine,
    LeaderboardTable,
    build_grid_cards,
    build_leaderboard_table,
    describe_grids,
)
from backtune.report.cards.sections import build_sections, describe_left_out, plan_chapters
from backtune.report.content import ReportContent
from backtune.report.formatting import NO_VALUE, format_metric_title
from backtune.report.markup import Markup, element, join_markup
from backtune.report.plots.history import FigureSize
from backtune.report.sweep_summary import describe_sweep, list_cautions

_MOST_ROWS = 200
# A page of more studies would be too heavy for a phone.
MOST_STUDIES = 60
_LOOKS = {"plain": "plain", "heat": "heat", "bars": "plain bars", "words": "plain words"}
_MOST_ON_A_PHONE = 5
_WIDE, _HALF, _NARROW = FigureSize(900, "broad"), FigureSize(420, "broad"), FigureSize(340, "narrow")
_STYLE = Path(__file__).with_name("page.css")


def render_html(content: ReportContent) -> str:
    """Render the page.

    Raises:
        ResultsError: A log cannot be read.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{content.run.name}: backtune report"),
        element("style", Markup(_STYLE.read_text(encoding="utf-8"))),
    )
    told = plan_chapters(content, MOST_STUDIES)
    more = describe_left_out(content, told)
    # The sections that a row of the leaderboard may link to.
    rows = {content.section_of(chapter.row) for chapter in told if chapter.row is not None}
    places = rows.union(*(chapter.studies for chapter in told))
    body = element(
        "body",
        element(
            "header",
            element("p", "backtune report", class_="eyebrow"),
            element("h1", content.run.name),
            _facts(content),
        ),
        element(
            "main",
            element(
                "aside",
                element("h2", "Before you believe a number"),
                *(element("p", text) for text in list_cautions(content)),
                class_="caution",
            ),
            build_leaderboard_section(content, places),
            _overview(content),
            element("h2", "Studies"),
            *(_section(part, opened=content.study is not None) for part in build_sections(content, told)),
            element("p", more, class_="note") if more else None,
        ),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en').text}\n"


def _facts(content: ReportContent) -> Markup:
    pairs = (
        element("div", element("dt", name), element("dd", text)) for name, text in describe_sweep(content)
    )
    return element("dl", *pairs, class_="facts")


def _overview(content: ReportContent) -> Markup | None:
    if content.study is not None:
        return None
    return element(
        "section",
        element("h2", f"{format_metric_title(content.objectives[0].metric)} by asset and timeframe"),
        element("p", f"{describe_grids(content)} {COLOURS}", class_="note"),
        build_card_grid([((card,),) for card in build_grid_cards(content)]),
    )


def _section(section: ReportSection, *, opened: bool) -> Markup:
    """Build the section of a study, collapsed unless it is the only one."""
    return element(
        "details",
        element(
            "summary", element("b", section.title), " ", element("span", section.headline, class_="note")
        ),
        element(
            "div",
            element("p", section.about, class_="note id"),
            *(element("p", text, class_="warning") for text in section.warnings),
            build_card_grid(section.bands),
            id=section_anchor(section.id),
        ),
        class_="part" if section.is_part else None,
        open=opened,
    )


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


def build_card_grid(bands: Sequence[CardBand]) -> Markup:
    """Build the grid of cards, with two columns on a broad screen and one on a narrow screen."""
    return element("div", *(_in_grid(stack) for band in bands for stack in band), class_="cards")


def build_card(shown: Card) -> Markup:
    """Build a card with its title above and its note below."""
    parts = [_part(part, is_wide=shown.is_wide) for part in shown.parts]
    return element(
        "figure",
        element("figcaption", shown.title) if shown.title else None,
        *parts,
        element("p", shown.note, class_="note") if shown.note else None,
        class_="card wide" if shown.is_wide else "card",
    )


def _in_grid(stack: Sequence[Card]) -> Markup:
    if len(stack) == 1:
        return build_card(stack[0])
    return element("div", *map(build_card, stack), class_="stack")


def _part(part: CardElement, *, is_wide: bool) -> Markup:
    if isinstance(part, CardTable):
        return build_table(part)
    if isinstance(part, Figure):
        return join_markup(part.draw(_WIDE if is_wide else _HALF), part.draw(_NARROW))
    if isinstance(part, SmallFigures):
        return element("div", *part.drawings, class_="slices")
    if isinstance(part, Legend):
        return _legend(part)
    return element("p", part.text, class_="warning" if part.is_warning else "note")


def _legend(legend: Legend) -> Markup:
    entries = (
        element("span", element("i", class_=f"key {class_}"), text, class_="entry")
        for class_, text in legend.entries
    )
    return element("p", *entries, class_="legend")


def build_table(shown: CardTable) -> Markup:
    """Build a table, which scrolls sideways on a narrow screen where it has many columns."""
    head = element("thead", element("tr", *(element("th", text, scope="col") for text in shown.heads)))
    foot = element("tfoot", _line(shown.foot)) if shown.foot else None
    has_many = shown.look == "heat" or len(shown.heads) > _MOST_ON_A_PHONE
    made = element(
        "table",
        head if shown.heads else None,
        element("tbody", *_lines(shown.lines)),
        foot,
        class_=_LOOKS[shown.look] + ("" if has_many else " few"),
        aria_label=shown.label,
    )
    return element("div", made, class_="scroll") if has_many else made


def _lines(lines: Sequence[TableLine]) -> Iterator[Markup]:
    covered = 0
    for line in lines:
        yield _line(line, has_heading=covered == 0)
        covered = max(covered, line[0].n_lines) - 1


def _line(line: TableLine, *, has_heading: bool = True) -> Markup:
    if not has_heading:
        return element("tr", *map(_field, line))
    first, *others = line
    height = {"scope": "rowgroup", "rowspan": str(first.n_lines)} if first.n_lines > 1 else {"scope": "row"}
    return element("tr", element("th", first.text, **height), *map(_field, others))


def _field(cell: TableCell) -> Markup:
    if cell.bar is not None:
        bar = element("span", class_="bar", style=f"width:{100 * cell.bar:.1f}%")
        return element("td", bar, class_="bars")
    style = None if cell.colour is None else f"--share:{round(60 * abs(cell.colour))}%"
    return element("td", cell.text, class_=" ".join(_classes(cell)) or None, style=style)


def _classes(cell: TableCell) -> Iterator[str]:
    if cell.colour is not None:
        yield "good" if cell.colour >= 0 else "bad"
    if cell.is_out:
        yield "out"
    if cell.is_weak:
        yield "weak"
    if cell.is_marked:
        yield "outside"
    if cell.text == NO_VALUE:
        yield "none"
