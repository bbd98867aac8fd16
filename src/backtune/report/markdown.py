"""A report as Markdown, for a pull request, a wiki or a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from backtune.report.cards.board import board, grid_cards, grids_note
from backtune.report.cards.card import Card, Table, Words
from backtune.report.cards.metrics import metrics_card
from backtune.report.cards.stress import stress_bands
from backtune.report.cards.walk_forward import folds_card
from backtune.report.content import Content
from backtune.report.summary_words import cautions, facts
from backtune.report.wording import metric_title, params_text
from backtune.results.leaderboard.row import Row

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")


def markdown_report(content: Content) -> str:
    """The sweep, its leaderboard with evidence, grids, and each winner; tables in GitHub's form."""
    parts = [
        f"# {plain(content.run.name)}",
        "\n".join(f"- **{name}**: {plain(text)}" for name, text in facts(content)),
        "\n>\n".join(f"> {plain(text)}" for text in cautions(content)),
    ]
    rows = [row for row in content.rows if content.study in (None, row.study)]
    parts += ["## Leaderboard", _leaderboard(content)]
    if content.study is None:
        parts += [
            f"## {metric_title(content.objectives[0].metric)} by asset and timeframe",
            grids_note(content),
        ]
        parts += [part for card in grid_cards(content) for part in _tables(card, card.title)]
    parts += ["## Winners", *(part for row in rows for part in _winner(content, row))]
    return "\n\n".join(parts) + "\n"


def _leaderboard(content: Content) -> str:
    shown = board(content)
    heads = ["", "study", *(column.label for column in shown.columns), "warnings"]
    lines = [
        [
            str(line.place),
            plain(f"{line.strategy} {line.cell}"),
            *(cell.text for cell in line.numbers),
            plain("; ".join(line.warnings)),
        ]
        for line in shown.lines
    ]
    return f"{shown.note}\n\n{_table(heads, lines)}"


def _winner(content: Content, row: Row) -> Iterator[str]:
    yield f"### {plain(f'{row.strategy} {row.asset} {row.timeframe}')}"
    if row.folds:
        yield from _tables(folds_card(content, row))
    if row.values is None:
        yield f"No winner: {plain('; '.join(row.warnings))}."
        return
    whose = f"Study {row.study}, trial {row.trial}" + (f" of {row.n_trials:,}" if not row.folds else "")
    yield plain(f"{whose}: {params_text(row.params)}")
    yield from _tables(metrics_card(row.is_metrics, row.oos_metrics))
    for ((card,),) in stress_bands(content, row):
        yield from (plain(part.text) for part in card.parts if isinstance(part, Words))
        yield from _tables(card, card.title)


def _tables(card: Card, corner: str = "") -> Iterator[str]:
    """Those of a card, with a word where the first column has no heading."""
    for part in card.parts:
        if isinstance(part, Table):
            heads = [plain(part.heads[0] or corner), *map(plain, part.heads[1:])]
            yield _table(heads, [[plain(cell.text) for cell in line] for line in part.lines])


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    ruler = ["---", *("---:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ruler, *lines))


def plain(text: str) -> str:
    """Text that no reader of Markdown takes for markup, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
