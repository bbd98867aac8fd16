"""The elements of a report in any format: cards with tables, figures and paragraphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from backtune.report.markup import Markup
from backtune.report.plots.history import FigureSize


@dataclass(frozen=True)
class TableCell:
    """A field of a table.

    Attributes:
        text: Text of the field.
        colour: Position on the colour scale from -1, worst, to 1, best; None for no colour.
        bar: Share of the field's width that a bar covers instead of the text; None for no bar.
        is_out: True if the number is out of sample, which is emphasized.
        is_weak: True if the number speaks against the winner.
        is_marked: True if a mark stands beside the text.
        n_lines: Number of lines that the field spans.
    """

    text: str
    colour: float | None = None
    bar: float | None = None
    is_out: bool = False
    is_weak: bool = False
    is_marked: bool = False
    n_lines: int = 1


TableLine = tuple[TableCell, ...]


@dataclass(frozen=True)
class CardTable:
    """A table; the first field of a line is its heading, unless the heading of a line above reaches down to it.

    Attributes:
        label: Description for screen readers.
        heads: Headings of the columns; empty for none.
        lines: Lines from the top.
        foot: Last line, set apart; empty for none.
        look: Style of the table: ``heat`` is coloured by value, ``bars`` has bars in its second column, ``words`` has sentences in its last.
    """

    label: str
    heads: tuple[str, ...]
    lines: tuple[TableLine, ...]
    foot: TableLine = ()
    look: Literal["plain", "heat", "bars", "words"] = "plain"


@dataclass(frozen=True)
class Figure:
    """A figure that is drawn for the width of its place."""

    draw: Callable[[FigureSize], Markup]


@dataclass(frozen=True)
class SmallFigures:
    """Figures side by side, each drawn once."""

    drawings: tuple[Markup, ...]


@dataclass(frozen=True)
class Legend:
    """The legend of a figure: pairs of a line's style class and its description."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str
    is_warning: bool = False


CardElement = CardTable | Figure | SmallFigures | Legend | Paragraph


@dataclass(frozen=True)
class Card:
    """A framed part of a report with a title above and a note below.

    Attributes:
        title: Title; empty for none.
        parts: Elements from the top.
        note: Note below the elements; empty for none.
        is_wide: True if the card takes the whole width.
    """

    title: str
    parts: tuple[CardElement, ...]
    note: str = ""
    is_wide: bool = False


# Cards below each other, and such stacks side by side.
CardStack = tuple[Card, ...]
CardBand = tuple[CardStack, ...]


@dataclass(frozen=True)
class ReportSection:
    """The section about a study, or about the folds of a walk-forward as one backtest.

    Attributes:
        id: Id of the section's anchor.
        title: Name of the study or cell.
        headline: Main result.
        about: Further explanation.
        warnings: Warnings of the leaderboard row.
        bands: Rows of cards from the top.
        is_part: True if the section is about a fold of the walk-forward before it.
    """

    id: str
    title: str
    headline: str
    about: str
    warnings: tuple[str, ...]
    bands: tuple[CardBand, ...]
    is_part: bool = False
