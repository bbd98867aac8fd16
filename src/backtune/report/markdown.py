"""A report as Markdown, for a pull request, a wiki or a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from backtune.report.content import Content
from backtune.report.summary_words import cautions, facts, sample_name
from backtune.report.tables import Grid, grids
from backtune.report.wording import metric_names, metric_text, metric_title, params_text
from backtune.results.leaderboard import Row

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")


def markdown_report(content: Content) -> str:
    """The sweep, its leaderboard and grids, and each winner; tables in GitHub's form."""
    parts = [
        f"# {_plain(content.run.name)}",
        "\n".join(f"- **{name}**: {_plain(text)}" for name, text in facts(content)),
        "\n".join(f"> {_plain(text)}" for text in cautions(content)),
    ]
    rows = [row for row in content.rows if content.study in (None, row.study)]
    parts += ["## Leaderboard", _leaderboard(content, rows)]
    if content.study is None:
        parts += [f"## {metric_title(content.goals[0].metric)} by cell, {sample_name(content)}"]
        parts += [_grid(grid) for grid in grids(content)]
    parts += ["## Winners", *(part for row in rows for part in _winner(row))]
    return "\n\n".join(parts) + "\n"


def _leaderboard(content: Content, rows: Sequence[Row]) -> str:
    shown = list(dict.fromkeys([*(goal.metric for goal in content.goals), "total_return", "max_drawdown"]))
    heads = ["", "study", "trials"]
    heads += [f"{metric_title(name)}, {part}" for name in shown for part in ("in", "out")]
    lines = []
    for place, row in enumerate(rows, start=1):
        pairs = (
            metric_text(name, metrics[name])
            for name in shown
            for metrics in (row.is_metrics, row.oos_metrics)
        )
        cell = _plain(" ".join((row.strategy, row.asset, row.timeframe)))
        lines.append([str(place), cell, f"{row.n_trials:,}", *pairs, _plain("; ".join(row.warnings))])
    return _table([*heads, "warnings"], lines)


def _grid(grid: Grid) -> str:
    lines = [
        [_plain(asset), *(metric_text(grid.metric, value) for value in values)]
        for asset, values in zip(grid.assets, grid.values, strict=True)
    ]
    return _table([_plain(grid.strategy), *grid.timeframes], lines)


def _winner(row: Row) -> Iterator[str]:
    yield f"### {_plain(f'{row.strategy} {row.asset} {row.timeframe}')}"
    if row.values is None:
        yield f"No winner: {_plain('; '.join(row.warnings))}."
        return
    yield f"Study {_plain(row.study)}, trial {row.trial} of {row.n_trials:,}: {_plain(params_text(row.params))}"
    yield _table(
        ["metric", "in sample", "out of sample"],
        [
            [
                metric_title(name),
                metric_text(name, row.is_metrics[name]),
                metric_text(name, row.oos_metrics[name]),
            ]
            for name in metric_names()
        ],
    )


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    ruler = ["---", *("---:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ruler, *lines))


def _plain(text: str) -> str:
    """Text that no reader of Markdown takes for markup, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
