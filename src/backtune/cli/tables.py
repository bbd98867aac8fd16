"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from backtune.data.window import to_datetime
from backtune.report.formatting import IN_PERCENT, NO_VALUE, format_optional_p_value, format_share
from backtune.results.evidence.evidence import Evidence
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.verdict import describe_verdict, is_better_than_luck
from backtune.results.stored_sweep import StoredSweep
from backtune.results.trial import Metrics
from backtune.space import Params
from backtune.validation.folds import TimeWindow

# Metrics that are shown beside objectives and evidence if the terminal is wide enough.
_OPTIONAL_METRICS = ("total_return", "max_drawdown")
# The headings of the columns of evidence, by attribute, and the attribute that a narrow terminal does not show.
_EVIDENCE = {"family": "family\np", "haircut": "haircut\nSharpe", "timing_p": "timing\np", "dsr": "\nDSR"}
_OPTIONAL_EVIDENCE = "haircut"
_LEGEND = (
    "family p: the share of sweeps in which luck alone tests as well. haircut: the Sharpe ratio that is left. timing p: the share of "
    "other times at which the same positions do as well. DSR: yellow where luck reaches as much. All warnings on a row: "
    "--json, or backtune report."
)
# The width of the first column beside optional metrics, and without them.
_STUDY_WIDTH, _LEAST_STUDY_WIDTH = 30, 22
_ANY_WIDTH = 10_000
# The largest number of calendars that disagree with their bars to list.
_MOST_DISAGREEMENTS = 10
_SHORT = {"total_return": "return", "max_drawdown": "drawdown", "total_trades": "trades"}


def print_leaderboard(console: Console, run: StoredSweep, rows: Sequence[Row], top: int) -> None:
    """Print the first ``top`` rows (all for 0) and those that are better than luck, the verdict on all rows, and the warnings.

    Objectives are shown in sample and out of sample. Warnings about calendars are printed once for each asset and timeframe.
    """
    objectives = run.spec.search.objective_metrics
    shown = {
        place: row
        for place, row in enumerate(rows, start=1)
        if not top or place <= top or is_better_than_luck(row)
    }
    more, evidence = [name for name in _OPTIONAL_METRICS if name not in objectives], dict(_EVIDENCE)
    table = _tabulate_rows(shown, objectives, evidence, more, _STUDY_WIDTH)
    wide = console.options.update(width=_ANY_WIDTH)
    while Measurement.get(console, wide, table).minimum > console.width and (
        more or _OPTIONAL_EVIDENCE in evidence
    ):
        if more:
            more.pop()
        else:
            del evidence[_OPTIONAL_EVIDENCE]
        table = _tabulate_rows(
            shown, objectives, evidence, more, _STUDY_WIDTH if more else _LEAST_STUDY_WIDTH
        )
    search, n_hidden = run.spec.search, len(rows) - len(shown)
    objective_list = ", ".join(map(str, search.objectives))
    n_studies = "1 study" if len(run.studies) == 1 else f"{len(run.studies)} studies"
    table.title = f"{run.name}: {n_studies}, {search.sampler} on {objective_list}"
    table.caption = f"{n_hidden} more rows: --top 0 shows all" if n_hidden else None
    console.print(table)
    verdict = describe_verdict(rows)
    if verdict:
        console.print(f" {verdict}", style="bold", highlight=False, markup=False)
        console.print(f" {_LEGEND}", style="dim", highlight=False, markup=False)
    if any(map(_find_row_warnings, shown.values())):
        console.print(_tabulate_warnings(shown))
    for line in list_disagreements(row.disagreement for row in rows):
        console.print(f" ! {line}", style="yellow", highlight=False, markup=False)
    centres = {
        place: row
        for place, row in shown.items()
        if row.evidence.plateau.has_steadier_centre and "family" not in row.weaknesses
    }
    if centres:
        console.print(_tabulate_centres(centres, objectives[0]))


def print_folds(console: Console, run: StoredSweep, rows: Sequence[Row]) -> None:
    """Print the folds of each walk-forward row: the parameters that each fold found, and their metrics in its test."""
    objectives = run.spec.search.objective_metrics
    for place, row in enumerate(rows, start=1):
        if row.folds:
            console.print()
            console.print(_tabulate_folds(place, row, objectives))


def _tabulate_folds(place: int, row: Row, objectives: Sequence[str]) -> Table:
    title = Text.assemble((f" {place}  ", "dim"), (row.strategy, "bold"), f" {row.asset} {row.timeframe}")
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("fold")
    table.add_column("test", no_wrap=True)
    table.add_column("trials", justify="right")
    _add_metric_columns(table, objectives, row.folds)
    table.add_column("trades\n[b]out[/b]", justify="right", no_wrap=True)
    table.add_column("parameters", overflow="fold", min_width=_LEAST_STUDY_WIDTH)
    for fold in row.folds:
        table.add_row(
            fold.fold,
            _format_window(fold.test),
            f"{fold.n_trials:,}",
            *(_format_in_and_out(name, fold.is_metrics, fold.oos_metrics) for name in objectives),
            _format_metric("total_trades", fold.oos_metrics["total_trades"]),
            Text(_format_params(fold.params) or "-", style="dim"),
        )
    return table


def _format_window(span: TimeWindow | None) -> str:
    if span is None:
        return "-"
    return "\n".join(
        f"{to_datetime(moment):%Y-%m-%d %H:%M}".removesuffix(" 00:00") for moment in (span.start, span.end)
    )


def _tabulate_rows(
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
    _add_metric_columns(table, objectives, list(rows.values()))
    for heading in evidence.values():
        table.add_column(heading, justify="right", no_wrap=True)
    _add_metric_columns(table, more, list(rows.values()))
    table.add_column("trades\n[b]out[/b]", justify="right", no_wrap=True)
    for place, row in rows.items():
        table.add_row(
            str(place),
            _describe_best(row),
            f"{row.n_trials:,}",
            *(_format_in_and_out(name, row.is_metrics, row.oos_metrics) for name in objectives),
            *_format_evidence(row, evidence),
            *(_format_in_and_out(name, row.is_metrics, row.oos_metrics) for name in more),
            _format_metric("total_trades", row.oos_metrics["total_trades"]),
        )
    return table


def _add_metric_columns(table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
    for name in names:
        heading = _SHORT.get(name, _name_metric(name))
        # Rich takes the longest word for the least width, and cuts what does not fit.
        width = max(
            (_format_in_and_out(name, row.is_metrics, row.oos_metrics).cell_len for row in rows), default=0
        )
        table.add_column(
            f"{heading}\nin → [b]out[/b]", justify="right", no_wrap=True, min_width=max(width, len(heading))
        )


def _describe_best(row: Row) -> Text:
    text = Text.assemble((row.strategy, "bold"), f" {row.asset} {row.timeframe}")
    if row.params:
        of_fold = f"{row.fold} of {len(row.folds)}: " if row.folds else ""
        text.append(f"\n{of_fold}{_format_params(row.params)}", style="dim")
    return text


def _format_evidence(row: Row, columns: Iterable[str]) -> list[Text]:
    """Return the evidence of these columns, marked where it is weak."""
    found, family = row.evidence, row.evidence.family
    texts = {
        "family": format_optional_p_value(family.p if family else None),
        "haircut": format_share(family.haircut_sharpe_ratio if family else None),
        "timing_p": format_optional_p_value(found.timing_p),
        "dsr": format_share(found.dsr),
    }
    weak = row.weaknesses
    return [
        Text(texts[name], style="yellow" if name in weak else "dim" if texts[name] == NO_VALUE else "")
        for name in columns
    ]


def _tabulate_warnings(rows: Mapping[int, Row]) -> Table:
    """Return a paragraph of warnings for each row that has some; in the leaderboard they would fill a narrow column."""
    table = Table.grid(padding=(0, 1))
    table.add_column("", justify="right", style="dim")
    table.add_column("", style="yellow")
    for place, row in rows.items():
        warnings = _find_row_warnings(row)
        if warnings:
            table.add_row(f" {place}", Text("! " + "; ".join(warnings)))
    return table


def _find_row_warnings(row: Row) -> list[str]:
    """Return the warnings to print below the table. Weaknesses of a row that is no better than luck are left to the verdict."""
    weak = row.weaknesses
    said = {row.disagreement, *(weak.values() if "family" in weak else ())}
    return [text for text in row.warnings if text not in said]


def list_disagreements(disagreements: Iterable[str]) -> list[str]:
    """Return the different sentences on calendars that disagree with their bars, and the number of those left out."""
    found = list(dict.fromkeys(text for text in disagreements if text))
    more = len(found) - _MOST_DISAGREEMENTS
    return [
        *found[:_MOST_DISAGREEMENTS],
        *([f"{more:,} more series have such a disagreement; --json lists them"] if more > 0 else []),
    ]


def _tabulate_centres(rows: Mapping[int, Row], objective: str) -> Table:
    """Return a line for each row whose best stands alone, with the centre of its plateau."""
    table = Table.grid(padding=(0, 1))
    table.add_column("", justify="right", style="dim")
    table.add_column("")
    for place, row in rows.items():
        table.add_row(f" {place}", _describe_centre(row.evidence, objective))
    return table


def _describe_centre(evidence: Evidence, objective: str) -> Text:
    plateau = evidence.plateau
    own = _format_metric(objective, (plateau.centre_metrics or {}).get(objective))
    plateaus = f"plateau {_format_metric('', plateau.centre_stability)} instead of {_format_metric('', plateau.stability)}"
    detail = f" ({_name_metric(objective)} {own} in sample, {plateaus})"
    return Text.assemble("* centre of the plateau: ", _format_params(plateau.centre or {}), (detail, "dim"))


def _name_metric(metric: str) -> str:
    return metric.removesuffix("_ratio").replace("_", " ")


def _format_params(params: Params) -> str:
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )


def _format_in_and_out(name: str, inside: Metrics, outside: Metrics) -> Text:
    text = Text(f"{_format_metric(name, inside[name])} → ", style="dim")
    value = outside[name]
    text.append(_format_metric(name, value), style="not dim bold" if value is not None else "dim")
    return text


def _format_metric(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name in IN_PERCENT:
        return f"{100 * value:,.0f}%" if abs(value) >= 0.1 else f"{100 * value:.1f}%"
    return f"{value:,.0f}" if name == "total_trades" else f"{value:.2f}"
