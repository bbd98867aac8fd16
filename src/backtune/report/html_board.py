"""The parts of the page about the whole sweep: the leaderboard and the grids of cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from urllib.parse import quote

from backtune.report.content import Content
from backtune.report.html_cards import heat, tone
from backtune.report.markup import Markup, element
from backtune.report.summary_words import sample_name
from backtune.report.tables import Grid, grids
from backtune.report.wording import metric_text, metric_title, metric_words, params_text
from backtune.results.leaderboard import Row

_MOST_ROWS = 200
_SHORT = {
    "total_return": "Return",
    "max_drawdown": "Drawdown",
    "sharpe_ratio": "Sharpe",
    "total_trades": "Trades",
}


def board_section(content: Content) -> Markup:
    """The leaderboard: in-sample beside out-of-sample, with the number of trials and the warnings."""
    rows = [row for row in content.rows if content.study in (None, row.study)]
    names = [goal.metric for goal in content.goals]
    names = list(dict.fromkeys([*names, "total_return", "max_drawdown", "total_trades"]))
    head = element(
        "thead",
        element("tr", *(element("th", text, scope="col", rowspan="2") for text in ("", "Study and its best", "Trials")),
                *(element("th", _SHORT.get(name, metric_title(name)), scope="colgroup", colspan="2") for name in names)),
        element("tr", *(element("th", part, scope="col") for _ in names for part in ("in", "out"))),
    )  # fmt: skip
    lines = [_line(place, row, content, names) for place, row in enumerate(rows[:_MOST_ROWS], start=1)]
    left = len(rows) - len(lines)
    return element(
        "section",
        element("h2", "Leaderboard"),
        element("p", f"Ordered by {metric_words(names[0])} {sample_name(content)}. In: on the bars of the search. "
                "Out: on bars that it never saw.", class_="note"),
        element("table", head, element("tbody", *lines), class_="board"),
        element("p", f"{left:,} more rows: backtune leaderboard shows them.", class_="note") if left else None,
    )  # fmt: skip


def anchor(study_id: str) -> str:
    """The name of a study's place in the page."""
    return f"study-{quote(study_id)}"


def _line(place: int, row: Row, content: Content, names: Sequence[str]) -> Markup:
    fold = content.fold(row)
    title = f"{row.asset} {row.timeframe}{f' {fold}' if fold.startswith('walk') else ''}"
    study = [
        element("a", element("b", row.strategy), f" {title}", href=f"#{anchor(row.study)}"),
        element("span", params_text(row.params), class_="params") if row.params else None,
        *(element("span", text, class_="warning") for text in row.warnings),
    ]
    numbers = chain.from_iterable(
        (
            element(
                "td", metric_text(name, row.is_metrics[name]), class_="in", data_label=f"{_label(name)} in"
            ),
            element(
                "td", metric_text(name, row.oos_metrics[name]), class_="out", data_label=f"{_label(name)} out"
            ),
        )
        for name in names
    )
    return element(
        "tr",
        element("td", str(place), class_="place"),
        element("td", *study, class_="study"),
        element("td", f"{row.n_trials:,}", data_label="Trials", class_="trials"),
        *numbers,
    )


def _label(name: str) -> str:
    return _SHORT.get(name, metric_title(name))


def grids_section(content: Content) -> Markup:
    """A table for each strategy, coloured by value."""
    found = grids(content)
    known = [value for grid in found for line in grid.values for value in line if value is not None]
    minimize = content.goals[0].minimize
    folds = {study.fold for study in content.run.studies}
    mean = f", the mean of {len(folds)} folds" if len(folds) > 1 else ""
    return element(
        "section",
        element("h2", f"{metric_title(content.goals[0].metric)} by asset and timeframe"),
        element("p", f"Of each cell's winner, {sample_name(content)}{mean}. Blue is better, orange is worse.", class_="note"),
        element("div", *(_grid(grid, known, minimize=minimize) for grid in found), class_="cards"),
    )  # fmt: skip


def _grid(grid: Grid, known: Sequence[float], *, minimize: bool) -> Markup:
    head = element("tr", element("th", ""), *(element("th", name, scope="col") for name in grid.timeframes))
    lines = [
        element(
            "tr", element("th", asset, scope="row"),
            *(heat(metric_text(grid.metric, value), tone(value, known, minimize=minimize)) for value in values),
        )
        for asset, values in zip(grid.assets, grid.values, strict=True)
    ]  # fmt: skip
    return element(
        "figure",
        element("figcaption", grid.strategy),
        element(
            "table", element("thead", head), element("tbody", *lines), class_="heat",
            aria_label=f"{metric_title(grid.metric)} of {grid.strategy} by asset and timeframe",
        ),
        class_="card",
    )  # fmt: skip
