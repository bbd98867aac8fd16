"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backtune.objective import Metrics
from backtune.results.leaderboard import Row
from backtune.results.runs import Run
from backtune.spec import Goal

_IN_PERCENT = {"total_return", "annual_return", "volatility", "max_drawdown", "win_rate", "exposure"}
_SHORT = {"total_return": "return", "max_drawdown": "drawdown", "total_trades": "trades"}


def print_leaderboard(console: Console, run: Run, rows: Sequence[Row], top: int) -> None:
    """The first ``top`` rows (all for 0): the objectives in-sample and out-of-sample, parameters and warnings below."""
    goals = [Goal.parse(text).metric for text in run.spec["search"]["objectives"]]
    shown = [*goals, *(name for name in ("total_return", "max_drawdown") if name not in goals)]
    table = Table(
        title=_title(run),
        title_justify="left",
        caption=_caption(rows, top),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", justify="right", style="dim")
    table.add_column("study, best parameters", overflow="fold", min_width=22)
    table.add_column("trials", justify="right")
    for name in shown:
        heading = _SHORT.get(name, name.removesuffix("_ratio").replace("_", " "))
        table.add_column(f"{heading}\nin → [b]out[/b]", justify="right", no_wrap=True)
    table.add_column("trades\n[b]out[/b]", justify="right")
    for place, row in enumerate(rows[: top or None], start=1):
        table.add_row(
            str(place), _study(row), f"{row.n_trials:,}",
            *(_pair(name, row.is_metrics, row.oos_metrics) for name in shown),
            _number("total_trades", row.oos_metrics["total_trades"]),
        )  # fmt: skip
    console.print(table)


def _study(row: Row) -> Text:
    text = Text.assemble((row.strategy, "bold"), f" {row.asset} {row.timeframe}")
    if row.params:
        text.append(f"\n{_params(row)}", style="dim")
    for warning in row.warnings:
        text.append(f"\n! {warning}", style="yellow")
    return text


def _title(run: Run) -> str:
    search = run.spec["search"]
    objectives = ", ".join(search["objectives"])
    return f"{run.name}: {len(run.studies)} studies, {search['sampler']} on {objectives}"


def _caption(rows: Sequence[Row], top: int) -> str | None:
    hidden = len(rows) - top if top else 0
    return f"{hidden} more rows: --top 0 shows all" if hidden > 0 else None


def _params(row: Row) -> str:
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in row.params.items()
    )


def _pair(name: str, inside: Metrics, outside: Metrics) -> Text:
    text = Text(f"{_number(name, inside[name])} → ", style="dim")
    value = outside[name]
    text.append(_number(name, value), style="not dim bold" if value is not None else "dim")
    return text


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name in _IN_PERCENT:
        return f"{100 * value:,.0f}%" if abs(value) >= 0.1 else f"{100 * value:.1f}%"
    return f"{value:,.0f}" if name == "total_trades" else f"{value:.2f}"
