"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from backtune.objective import Metrics
from backtune.results.leaderboard import Row
from backtune.results.runs import Run
from backtune.spec import Goal

_IN_PERCENT = {"total_return", "annual_return", "volatility", "max_drawdown", "win_rate", "exposure"}


def print_leaderboard(console: Console, run: Run, rows: Sequence[Row], top: int) -> None:
    """The first ``top`` rows (all for 0), with the objectives in-sample and out-of-sample."""
    goals = [Goal.parse(text).metric for text in run.spec["search"]["objectives"]]
    shown = [*goals, *(name for name in ("total_return", "max_drawdown") if name not in goals)]
    table = Table(
        title=_title(run), title_justify="left", caption=_caption(rows, top), caption_justify="left"
    )
    for heading in ("", "strategy", "asset", "tf", "parameters"):
        table.add_column(heading, overflow="fold")
    table.add_column("trials", justify="right")
    for name in shown:
        table.add_column(f"{name.replace('_', ' ')}\nin → out of sample", justify="right")
    table.add_column("trades\nout", justify="right")
    table.add_column("warnings", overflow="fold", style="yellow")
    for place, row in enumerate(rows[: top or None], start=1):
        table.add_row(
            str(place), row.strategy, row.asset, row.timeframe, _params(row), f"{row.n_trials:,}",
            *(_pair(name, row.is_metrics, row.oos_metrics) for name in shown),
            _number("total_trades", row.oos_metrics["total_trades"]), "; ".join(row.warnings),
        )  # fmt: skip
    console.print(table)


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
        return f"{100 * value:.1f}%"
    return f"{value:,.0f}" if name == "total_trades" else f"{value:.2f}"
