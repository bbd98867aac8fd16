"""A report as PDF: the cards of the page in HTML on A4."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from backtune.report.cards.board import COLOURS, board, grid_cards, grids_note
from backtune.report.cards.card import (
    Band,
    Card,
    Figure,
    Legend,
    Part,
    Section,
    SmallFigures,
    Table,
    TableCell,
    Words,
)
from backtune.report.cards.study import chapters, left_out, sections
from backtune.report.content import Content
from backtune.report.plots.curves import Size
from backtune.report.summary_words import cautions, facts
from backtune.report.typesetting import pages, picture, typesetter
from backtune.report.wording import metric_title

MOST_STUDIES = 60
_MOST_ROWS = 200
# Of a table that is kept on one page.
_MOST_LINES = 20
# Of the leaderboard on an upright page, and on a broad one.
_UPRIGHT, _BROAD = 15, 25
_WIDE, _HALF = Size(640, "print"), Size(320, "print")
# Colours of the lines of a legend that have another name than their class.
_LINE_COLOURS = {"won": "curve", "lost": "bad"}
_LONG_WORD = re.compile(r"\S{19,}")
_BREAK = "\u200b"


def pdf_report(content: Content) -> bytes:
    """The pages.

    Raises:
        ReportError: what it takes is not installed.
        ResultsError: a log cannot be read.
    """
    # What is said takes seconds to find; whether it can be set is known at once.
    typesetter()
    return pages(document(content))[0]


def document(content: Content) -> dict[str, Any]:
    """What the pages say, as plain data for ``page.typ``.

    Raises:
        ResultsError: a log cannot be read.
    """
    # Five pages a fold, which nobody prints: those of a walk-forward are in its table, and each by itself with --study.
    told = chapters(content, MOST_STUDIES, with_folds=False)
    grids = grid_cards(content) if content.study is None else []
    return {
        "title": content.run.name,
        "heading": _breakable(content.run.name),
        "facts": [[name, _breakable(text)] for name, text in facts(content)],
        "cautions": list(cautions(content)),
        "board": _board(content),
        "grids_title": f"{metric_title(content.objectives[0].metric)} by asset and timeframe",
        "grids_note": f"{grids_note(content)} {COLOURS}",
        "grids": [_band(band) for band in _in_twos(grids)],
        "studies": [_section(section) for section in sections(content, told)],
        "more": left_out(content, told),
    }


def _board(content: Content) -> dict[str, Any]:
    found = board(content, _MOST_ROWS)
    is_broad = len(found.columns) > _UPRIGHT
    n_columns = min(len(found.columns), _BROAD)
    more = f"{found.n_hidden:,} more rows: backtune leaderboard shows them." if found.n_hidden else ""
    return {
        "note": found.note,
        "is_broad": is_broad,
        "columns": [{"title": c.title, "sample": c.sample} for c in found.columns[:n_columns]],
        "lines": [
            {
                "place": line.place, "strategy": _breakable(line.strategy), "cell": _breakable(line.cell),
                "params": _breakable(line.params), "warnings": list(map(_breakable, line.warnings)),
                "numbers": [_cell(cell) for cell in line.numbers[:n_columns]],
            }
            for line in found.lines
        ],
        "more": more,
    }  # fmt: skip


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": _breakable(section.title), "headline": section.headline, "about": _breakable(section.about),
        "warnings": list(map(_breakable, section.warnings)), "bands": [_band(band) for band in section.bands],
    }  # fmt: skip


def _in_twos(cards: Sequence[Card]) -> list[Band]:
    return [tuple((card,) for card in cards[i : i + 2]) for i in range(0, len(cards), 2)]


def _band(band: Band) -> list[list[dict[str, Any]]]:
    return [[_card(card) for card in stack] for stack in band]


def _card(card: Card) -> dict[str, Any]:
    return {
        "title": _breakable(card.title), "note": _breakable(card.note), "is_wide": card.is_wide,
        # What may be longer than a page.
        "is_breakable": any(map(_is_long, card.parts)),
        "parts": [_part(part, _WIDE if card.is_wide else _HALF) for part in card.parts],
    }  # fmt: skip


def _is_long(part: Part) -> bool:
    return isinstance(part, SmallFigures) or (isinstance(part, Table) and len(part.lines) > _MOST_LINES)


def _part(part: Part, size: Size) -> dict[str, Any]:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Figure):
        return {"kind": "figure", "figure": picture(part.draw(size))}
    if isinstance(part, SmallFigures):
        return {"kind": "small", "figures": [picture(drawing) for drawing in part.drawings]}
    if isinstance(part, Legend):
        return {"kind": "legend", "entries": [_entry(*entry) for entry in part.entries]}
    return _words(part)


def _words(words: Words) -> dict[str, Any]:
    return {"kind": "words", "text": _breakable(words.text), "is_warning": words.is_warning}


def _entry(class_: str, text: str) -> dict[str, Any]:
    return {"text": text, "colour": _LINE_COLOURS.get(class_, class_), "dashed": class_ == "hold"}


def _table(table: Table) -> dict[str, Any]:
    return {
        "kind": "table", "look": table.look, "heads": list(map(_breakable, table.heads)),
        "n_columns": max(map(len, (table.heads, *table.lines))),
        "lines": [[_cell(cell) for cell in line] for line in table.lines],
        "foot": [_cell(cell) for cell in table.foot],
    }  # fmt: skip


def _cell(cell: TableCell) -> dict[str, Any]:
    return {
        "text": _breakable(cell.text), "tone": cell.tone, "bar": cell.bar, "is_out": cell.is_out,
        "is_weak": cell.is_weak, "is_marked": cell.is_marked, "n_lines": cell.n_lines,
    }  # fmt: skip


def _breakable(text: str) -> str:
    """A line may break inside of long words, else they would run out of their column."""
    return _LONG_WORD.sub(
        lambda word: _BREAK.join(re.findall(r"[^-_/=.]{1,12}[-_/=.]*|[-_/=.]+", word[0])), text
    )
