"""Cards as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backtune.report.cards.elements import (
    Card,
    CardBand,
    CardElement,
    CardTable,
    Figure,
    Legend,
    Paragraph,
    SmallFigures,
    TableCell,
    TableLine,
)
from backtune.report.formatting import NO_VALUE
from backtune.report.markup import Markup, element, join_markup
from backtune.report.plots.history import FigureSize

_LOOKS = {"plain": "plain", "heat": "heat", "bars": "plain bars", "words": "plain words"}
_MOST_ON_A_PHONE = 5
_WIDE, _HALF, _NARROW = FigureSize(900, "broad"), FigureSize(420, "broad"), FigureSize(340, "narrow")


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
    return _words(part)


def _words(words: Paragraph) -> Markup:
    return element("p", words.text, class_="warning" if words.is_warning else "note")


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
