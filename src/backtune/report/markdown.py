"""A report as Markdown, for a pull request, a wiki or a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from backtune.report.cards.elements import Card, CardTable, Paragraph
from backtune.report.cards.leaderboard import build_grid_cards, build_leaderboard_table, describe_grids
from backtune.report.cards.metrics import build_metrics_card
from backtune.report.cards.stress import build_stress_bands
from backtune.report.cards.walk_forward import build_folds_card
from backtune.report.content import ReportContent
from backtune.report.formatting import format_metric_title, format_params
from backtune.report.sweep_summary import describe_sweep, list_cautions
from backtune.results.leaderboard.row import Row

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")


def render_markdown(content: ReportContent) -> str:
    """Render the sweep, its leaderboard with evidence, grids and each winner, with GitHub's tables."""
    parts = [
        f"# {escape_markdown(content.run.name)}",
        "\n".join(f"- **{name}**: {escape_markdown(text)}" for name, text in describe_sweep(content)),
        "\n>\n".join(f"> {escape_markdown(text)}" for text in list_cautions(content)),
    ]
    rows = [row for row in content.rows if content.study in (None, row.study)]
    parts += ["## Leaderboard", _leaderboard(content)]
    if content.study is None:
        parts += [
            f"## {format_metric_title(content.objectives[0].metric)} by asset and timeframe",
            describe_grids(content),
        ]
        parts += [part for card in build_grid_cards(content) for part in _tables(card, card.title)]
    parts += ["## Winners", *(part for row in rows for part in _winner(content, row))]
    return "\n\n".join(parts) + "\n"


def _leaderboard(content: ReportContent) -> str:
    shown = build_leaderboard_table(content)
    heads = ["", "study", *(column.label for column in shown.columns), "warnings"]
    lines = [
        [
            str(line.place),
            escape_markdown(f"{line.strategy} {line.cell}"),
            *(cell.text for cell in line.numbers),
            escape_markdown("; ".join(line.warnings)),
        ]
        for line in shown.lines
    ]
    return f"{shown.note}\n\n{_table(heads, lines)}"


def _winner(content: ReportContent, row: Row) -> Iterator[str]:
    yield f"### {escape_markdown(f'{row.strategy} {row.asset} {row.timeframe}')}"
    if row.folds:
        yield from _tables(build_folds_card(content, row))
    if row.values is None:
        yield f"No winner: {escape_markdown('; '.join(row.warnings))}."
        return
    subject = f"Study {row.study}, trial {row.trial}" + (f" of {row.n_trials:,}" if not row.folds else "")
    yield escape_markdown(f"{subject}: {format_params(row.params)}")
    yield from _tables(build_metrics_card(row.is_metrics, row.oos_metrics))
    for ((card,),) in build_stress_bands(content, row):
        yield from (escape_markdown(part.text) for part in card.parts if isinstance(part, Paragraph))
        yield from _tables(card, card.title)


def _tables(card: Card, corner: str = "") -> Iterator[str]:
    """Yield the tables of a card, with a heading for a first column that has none."""
    for part in card.parts:
        if isinstance(part, CardTable):
            heads = [escape_markdown(part.heads[0] or corner), *map(escape_markdown, part.heads[1:])]
            yield _table(heads, [[escape_markdown(cell.text) for cell in line] for line in part.lines])


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    ruler = ["---", *("---:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ruler, *lines))


def escape_markdown(text: str) -> str:
    """Escape text so that Markdown does not take it for markup, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
