"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from backtune.data.window import to_datetime
from backtune.report.wording import IN_PERCENT, NOTHING, p_text, share_text
from backtune.results.evidence.evidence import Evidence
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.verdict import describe_verdict, is_better_than_luck
from backtune.results.stored_sweep import StoredSweep
from backtune.results.trial import Metrics
from backtune.space import Params
from backtune.validation.folds import TimeWindow

# The columns beside objectives and evidence, shown where there is room for them.
_WHERE_ROOM = ("total_return", "max_drawdown")
# The columns of evidence, by the attribute that tells of it, and the one that goes where there is no room.
_EVIDENCE = {"family": "family\np", "haircut": "haircut\nSharpe", "timing_p": "timing\np", "dsr": "\nDSR"}
_WHERE_ROOM_TOO = "haircut"
_LEGEND = (
    "family p: the share of sweeps in which luck alone tests as well. haircut: the Sharpe ratio that is left. timing p: the share of "
    "other times at which the same positions do as well. DSR: yellow where luck reaches as much. All that speaks against a row: "
    "--json, or backtune report."
)
# What the first column keeps for itself beside more columns, and where there are none.
_STUDY_WIDTH, _LEAST_STUDY_WIDTH = 30, 22
_ANY_WIDTH = 10_000
# Of a grid of thousands of assets, so many calendars that disagree with the bars are listed.
_MOST_DISAGREEMENTS = 10
_SHORT = {"total_return": "return", "max_drawdown": "drawdown", "total_trades": "trades"}


def print_leaderboard(console: Console, run: StoredSweep, rows: Sequence[Row], top: int) -> None:
    """Print the first ``top`` rows (all for 0) and those that test better than luck, what that comes to, and the warnings.

    Objectives are shown in sample and out of sample. Warnings about calendars are printed once for each asset and timeframe.
    """
    objectives = run.spec.search.objective_metrics
    shown = {
        place: row
        for place, row in enumerate(rows, start=1)
        if not top or place <= top or is_better_than_luck(row)
    }
    more, evidence = [name for name in _WHERE_ROOM if name not in objectives], dict(_EVIDENCE)
    table = _table(shown, objectives, evidence, more, _STUDY_WIDTH)
    while _least_width(console, table) > console.width and (more or _WHERE_ROOM_TOO in evidence):
        if more:
            more.pop()
        else:
            del evidence[_WHERE_ROOM_TOO]
        table = _table(shown, objectives, evidence, more, _STUDY_WIDTH if more else _LEAST_STUDY_WIDTH)
    table.title, table.caption = _title(run), _caption(len(rows) - len(shown))
    console.print(table)
    verdict = describe_verdict(rows)
    if verdict:
        console.print(f" {verdict}", style="bold", highlight=False, markup=False)
        console.print(f" {_LEGEND}", style="dim", highlight=False, markup=False)
    if any(map(_told_warnings, shown.values())):
        console.print(_warnings(shown))
    for line in disagreement_lines(row.disagreement for row in rows):
        console.print(f" ! {line}", style="yellow", highlight=False, markup=False)
    centres = {place: row for place, row in shown.items() if _has_centre_to_name(row)}
    if centres:
        console.print(_centres(centres, objectives[0]))


def print_folds(console: Console, run: StoredSweep, rows: Sequence[Row]) -> None:
    """Of each row of a walk-forward, what its folds found and what that did in their tests."""
    objectives = run.spec.search.objective_metrics
    for place, row in enumerate(rows, start=1):
        if row.folds:
            console.print()
            console.print(_folds(place, row, objectives))


def _folds(place: int, row: Row, objectives: Sequence[str]) -> Table:
    title = Text.assemble((f" {place}  ", "dim"), (row.strategy, "bold"), f" {row.asset} {row.timeframe}")
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("fold")
    table.add_column("test", no_wrap=True)
    table.add_column("trials", justify="right")
    _add_pairs(table, objectives, row.folds)
    table.add_column("trades\n[b]out[/b]", justify="right", no_wrap=True)
    table.add_column("parameters", overflow="fold", min_width=_LEAST_STUDY_WIDTH)
    for fold in row.folds:
        table.add_row(
            fold.fold, _days(fold.test), f"{fold.n_trials:,}",
            *(_pair(name, fold.is_metrics, fold.oos_metrics) for name in objectives),
            _number("total_trades", fold.oos_metrics["total_trades"]), Text(_listed(fold.params) or "-", style="dim"),
        )  # fmt: skip
    return table


def _days(span: TimeWindow | None) -> str:
    if span is None:
        return "-"
    return "\n".join(
        f"{to_datetime(moment):%Y-%m-%d %H:%M}".removesuffix(" 00:00") for moment in (span.start, span.end)
    )


def _table(
    rows: Mapping[int, Row],
    objectives: Sequence[str],
    evidence: Mapping[str, str],
    more: Sequence[str],
    study_width: int,
) -> Table:
    table = Table(title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", style="dim")
    table.add_column("study, best parameters", overflow="fold", min_width=study_width)
    table.add_column("trials", justify="right")
    _add_pairs(table, objectives, list(rows.values()))
    for heading in evidence.values():
        table.add_column(heading, justify="right", no_wrap=True)
    _add_pairs(table, more, list(rows.values()))
    table.add_column("trades\n[b]out[/b]", justify="right", no_wrap=True)
    for place, row in rows.items():
        table.add_row(
            str(place), _study(row), f"{row.n_trials:,}",
            *(_pair(name, row.is_metrics, row.oos_metrics) for name in objectives), *_evidence(row, evidence),
            *(_pair(name, row.is_metrics, row.oos_metrics) for name in more),
            _number("total_trades", row.oos_metrics["total_trades"]),
        )  # fmt: skip
    return table


def _least_width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(width=_ANY_WIDTH), table).minimum


def _add_pairs(table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
    for name in names:
        heading = _SHORT.get(name, _words(name))
        # Rich takes the longest word for the least width, and cuts what does not fit.
        width = max((_pair(name, row.is_metrics, row.oos_metrics).cell_len for row in rows), default=0)
        table.add_column(
            f"{heading}\nin → [b]out[/b]", justify="right", no_wrap=True, min_width=max(width, len(heading))
        )


def _study(row: Row) -> Text:
    text = Text.assemble((row.strategy, "bold"), f" {row.asset} {row.timeframe}")
    if row.params:
        of_fold = f"{row.fold} of {len(row.folds)}: " if row.folds else ""
        text.append(f"\n{of_fold}{_listed(row.params)}", style="dim")
    return text


def _evidence(row: Row, columns: Iterable[str]) -> list[Text]:
    """Return the evidence of these columns, marked where it is weak."""
    found, family = row.evidence, row.evidence.family
    texts = {
        "family": p_text(family.p if family else None),
        "haircut": share_text(family.haircut_sharpe_ratio if family else None),
        "timing_p": p_text(found.timing_p),
        "dsr": share_text(found.dsr),
    }
    weak = row.weaknesses
    return [
        Text(texts[name], style="yellow" if name in weak else "dim" if texts[name] == NOTHING else "")
        for name in columns
    ]


def _warnings(rows: Mapping[int, Row]) -> Table:
    """A paragraph for each row that has some; in the table they would stand in a narrow column."""
    table = Table.grid(padding=(0, 1))
    table.add_column("", justify="right", style="dim")
    table.add_column("", style="yellow")
    for place, row in rows.items():
        told = _told_warnings(row)
        if told:
            table.add_row(f" {place}", Text("! " + "; ".join(told)))
    return table


def _has_centre_to_name(row: Row) -> bool:
    return row.evidence.plateau.has_steadier_centre and "family" not in row.weaknesses


def _told_warnings(row: Row) -> list[str]:
    """Return the warnings to print: of a row that is no better than luck, which is said of all together, the others alone."""
    weak = row.weaknesses
    said = {row.disagreement, *(weak.values() if "family" in weak else ())}
    return [text for text in row.warnings if text not in said]


def disagreement_lines(disagreements: Iterable[str]) -> list[str]:
    """The sentences of several series on how their calendar and their bars differ, each once, and not too many of them."""
    found = list(dict.fromkeys(text for text in disagreements if text))
    more = len(found) - _MOST_DISAGREEMENTS
    return [
        *found[:_MOST_DISAGREEMENTS],
        *([f"the same of {more:,} more series, see --json"] if more > 0 else []),
    ]


def _centres(rows: Mapping[int, Row], objective: str) -> Table:
    """A line for each row whose best stands alone while another candidate does not."""
    table = Table.grid(padding=(0, 1))
    table.add_column("", justify="right", style="dim")
    table.add_column("")
    for place, row in rows.items():
        table.add_row(f" {place}", _centre(row.evidence, objective))
    return table


def _centre(evidence: Evidence, objective: str) -> Text:
    own = _number(objective, (evidence.plateau.centre_metrics or {}).get(objective))
    plateaus = f"plateau {_number('', evidence.plateau.centre_stability)} instead of {_number('', evidence.plateau.stability)}"
    told = f" ({_words(objective)} {own} in sample, {plateaus})"
    return Text.assemble("* centre of the plateau: ", _listed(evidence.plateau.centre or {}), (told, "dim"))


def _title(run: StoredSweep) -> str:
    search = run.spec.search
    return f"{run.name}: {len(run.studies)} studies, {search.sampler} on {', '.join(map(str, search.objectives))}"


def _caption(n_hidden: int) -> str | None:
    return f"{n_hidden} more rows: --top 0 shows all" if n_hidden > 0 else None


def _words(metric: str) -> str:
    return metric.removesuffix("_ratio").replace("_", " ")


def _listed(params: Params) -> str:
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )


def _pair(name: str, inside: Metrics, outside: Metrics) -> Text:
    text = Text(f"{_number(name, inside[name])} → ", style="dim")
    value = outside[name]
    text.append(_number(name, value), style="not dim bold" if value is not None else "dim")
    return text


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name in IN_PERCENT:
        return f"{100 * value:,.0f}%" if abs(value) >= 0.1 else f"{100 * value:.1f}%"
    return f"{value:,.0f}" if name == "total_trades" else f"{value:.2f}"
