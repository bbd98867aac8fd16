"""What a page is made of, whatever it is written as: cards with tables, figures and words."""

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
        text: what it says.
        tone: a colour from -1, worst, to 1, best; None for none.
        bar: a bar over this share of the field's width, instead of the text; None for none.
        is_out: whether it is out of sample, which stands out.
        is_weak: whether it tells against the winner.
        is_marked: whether a mark stands beside it.
        n_lines: how many lines it is high.
    """

    text: str
    tone: float | None = None
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
        label: what it shows, for who cannot see it.
        heads: of the columns; empty for none.
        lines: from the top.
        foot: the last line, set apart; empty for none.
        look: ``heat`` is coloured by tone, ``bars`` has bars in its second column, ``words`` has sentences in its last.
    """

    label: str
    heads: tuple[str, ...]
    lines: tuple[TableLine, ...]
    foot: TableLine = ()
    look: Literal["plain", "heat", "bars", "words"] = "plain"


@dataclass(frozen=True)
class Figure:
    """A figure that is drawn as wide as there is room."""

    draw: Callable[[FigureSize], Markup]


@dataclass(frozen=True)
class SmallFigures:
    """Figures side by side, each drawn once."""

    drawings: tuple[Markup, ...]


@dataclass(frozen=True)
class Legend:
    """What the lines of a figure are: the class of each, and words."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str
    is_warning: bool = False


CardElement = CardTable | Figure | SmallFigures | Legend | Paragraph


@dataclass(frozen=True)
class Card:
    """Something to look at, with a title over it and a sentence below.

    Attributes:
        title, note: empty for none.
        parts: from the top.
        is_wide: whether it takes the whole width.
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
    """What is shown of a study, or of the folds of a walk-forward as one.

    Attributes:
        id: of its place in the page.
        title, headline: what it is about, and what was found.
        about: what else is to be known of it.
        warnings: in words, as on the leaderboard.
        bands: cards from the top.
        is_part: whether it is about a fold of the walk-forward before it.
    """

    id: str
    title: str
    headline: str
    about: str
    warnings: tuple[str, ...]
    bands: tuple[CardBand, ...]
    is_part: bool = False
