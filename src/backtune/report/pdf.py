"""A report as PDF: the cards of the page in HTML on A4."""

from __future__ import annotations

import re
from typing import Any

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
)
from backtune.report.cards.leaderboard import (
    COLOURS,
    build_grid_cards,
    build_leaderboard_table,
    describe_grids,
)
from backtune.report.cards.sections import build_sections, describe_left_out, plan_chapters
from backtune.report.content import ReportContent
from backtune.report.formatting import format_metric_title
from backtune.report.plots.history import FigureSize
from backtune.report.sweep_summary import describe_sweep, list_cautions
from backtune.report.typesetting import embed_figure_style, import_typst, typeset_pages

MOST_STUDIES = 60
_MOST_ROWS = 200
# A table of up to this many lines is kept on one page.
_MOST_LINES = 20
# The most columns of the leaderboard on a portrait and on a landscape page.
_UPRIGHT, _BROAD = 15, 25
_WIDE, _HALF = FigureSize(640, "print"), FigureSize(320, "print")
# Colours of legend lines whose class has another name than the colour.
_LINE_COLOURS = {"won": "curve", "lost": "bad"}
_LONG_WORD = re.compile(r"\S{19,}")
_BREAK = "\u200b"


def render_pdf(content: ReportContent) -> bytes:
    """Render the pages.

    Raises:
        ReportError: Typst is not installed.
        ResultsError: A log cannot be read.
    """
    # Collecting the content takes seconds: fail at once where typst is missing.
    import_typst()
    return typeset_pages(build_pdf_document(content))[0]


def build_pdf_document(content: ReportContent) -> dict[str, Any]:
    """Return the content of the pages as plain data for ``page.typ``.

    Raises:
        ResultsError: A log cannot be read.
    """
    # A fold would take five pages: the table of a walk-forward lists its folds, and --study reports one in full.
    told = plan_chapters(content, MOST_STUDIES, with_folds=False)
    grids = build_grid_cards(content) if content.study is None else []
    return {
        "title": content.run.name,
        "heading": _breakable(content.run.name),
        "facts": [[name, _breakable(text)] for name, text in describe_sweep(content)],
        "cautions": list(list_cautions(content)),
        "board": _board(content),
        "grids_title": f"{format_metric_title(content.objectives[0].metric)} by asset and timeframe",
        "grids_note": f"{describe_grids(content)} {COLOURS}",
        "grids": [[[_card(card)] for card in grids[i : i + 2]] for i in range(0, len(grids), 2)],
        "studies": [_section(section) for section in build_sections(content, told)],
        "more": describe_left_out(content, told),
    }


def _board(content: ReportContent) -> dict[str, Any]:
    found = build_leaderboard_table(content, _MOST_ROWS)
    is_broad = len(found.columns) > _UPRIGHT
    n_columns = min(len(found.columns), _BROAD)
    more = f"{found.n_hidden:,} more rows: backtune leaderboard shows them." if found.n_hidden else ""
    return {
        "note": found.note,
        "is_broad": is_broad,
        "columns": [{"title": c.title, "sample": c.sample} for c in found.columns[:n_columns]],
        "lines": [
            {
                "place": line.place,
                "strategy": _breakable(line.strategy),
                "cell": _breakable(line.cell),
                "params": _breakable(line.params),
                "warnings": list(map(_breakable, line.warnings)),
                "numbers": [_cell(cell) for cell in line.numbers[:n_columns]],
            }
            for line in found.lines
        ],
        "more": more,
    }


def _section(section: ReportSection) -> dict[str, Any]:
    return {
        "title": _breakable(section.title),
        "headline": section.headline,
        "about": _breakable(section.about),
        "warnings": list(map(_breakable, section.warnings)),
        "bands": [_band(band) for band in section.bands],
    }


def _band(band: CardBand) -> list[list[dict[str, Any]]]:
    return [[_card(card) for card in stack] for stack in band]


def _card(card: Card) -> dict[str, Any]:
    return {
        "title": _breakable(card.title),
        "note": _breakable(card.note),
        "is_wide": card.is_wide,
        # A long card may be split over pages.
        "is_breakable": any(map(_is_long, card.parts)),
        "parts": [_part(part, _WIDE if card.is_wide else _HALF) for part in card.parts],
    }


def _is_long(part: CardElement) -> bool:
    return isinstance(part, SmallFigures) or (isinstance(part, CardTable) and len(part.lines) > _MOST_LINES)


def _part(part: CardElement, size: FigureSize) -> dict[str, Any]:
    if isinstance(part, CardTable):
        return _table(part)
    if isinstance(part, Figure):
        return {"kind": "figure", "figure": embed_figure_style(part.draw(size))}
    if isinstance(part, SmallFigures):
        return {"kind": "small", "figures": [embed_figure_style(drawing) for drawing in part.drawings]}
    if isinstance(part, Legend):
        entries = [
            {"text": text, "colour": _LINE_COLOURS.get(class_, class_), "dashed": class_ == "hold"}
            for class_, text in part.entries
        ]
        return {"kind": "legend", "entries": entries}
    return {"kind": "words", "text": _breakable(part.text), "is_warning": part.is_warning}


def _table(table: CardTable) -> dict[str, Any]:
    return {
        "kind": "table",
        "look": table.look,
        "heads": list(map(_breakable, table.heads)),
        "n_columns": max(map(len, (table.heads, *table.lines))),
        "lines": [[_cell(cell) for cell in line] for line in table.lines],
        "foot": [_cell(cell) for cell in table.foot],
    }


def _cell(cell: TableCell) -> dict[str, Any]:
    return {
        "text": _breakable(cell.text),
        "tone": cell.colour,
        "bar": cell.bar,
        "is_out": cell.is_out,
        "is_weak": cell.is_weak,
        "is_marked": cell.is_marked,
        "n_lines": cell.n_lines,
    }


def _breakable(text: str) -> str:
    """Allow line breaks inside long words, which would run out of their column otherwise."""
    return _LONG_WORD.sub(
        lambda word: _BREAK.join(re.findall(r"[^-_/=.]{1,12}[-_/=.]*|[-_/=.]+", word[0])), text
    )
