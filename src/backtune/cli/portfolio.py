"""The command ``backtune portfolio``."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backtune.cli.options import Json, RunPath, make_stdout_console, print_json

if TYPE_CHECKING:
    import numpy as np

    from backtune.results.members import Part
    from backtune.results.portfolio import SweepPortfolio
    from backtune.spec.timeframe import Timeframe

# Widths of a column of correlations, and of the column of numbers before them.
_CELL_WIDTH, _HEAD_WIDTH = 6, 5


def portfolio(
    run: RunPath,
    method: Annotated[
        str | None,
        typer.Option(
            help="equal, inverse_volatility, risk_parity or maximum_diversification (default: all of them).",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=2, help="The number of winners at most, the best in sample first (default: all)."),
    ] = None,
    json: Json = False,
) -> None:
    """Weigh the winners: weights are learned in sample and scored out of sample."""
    from backtune.results.portfolio import portfolio_of
    from backtune.results.stored_sweep import StoredSweep

    opened = StoredSweep.open(run)
    found = portfolio_of(opened, method, top)
    if json:
        print_json(found.to_json())
    else:
        print_portfolio(make_stdout_console(), opened.name, found)


def print_portfolio(out: Console, name: str, found: SweepPortfolio) -> None:
    """Print scores and weights of all methods, and correlations where they fit."""
    out.print(
        f"{name}: {len(found.members)} winners, returns over {found.step}", highlight=False, markup=False
    )
    for part in found.parts:
        out.print(Text(_describe_windows(part, found.step), style="dim"))
    out.print(_tabulate_scores(found))
    out.print(_tabulate_weights(found))
    fits = _HEAD_WIDTH + _CELL_WIDTH * len(found.members) <= out.width
    if fits:
        out.print(_tabulate_correlations(found))
    out.print(Text(_describe_correlations(found, shown=fits), style="dim"))
    for warning in found.warnings:
        out.print(Text(f"! {warning}", style="yellow"))


def _describe_windows(part: Part, step: Timeframe) -> str:
    from backtune.data.window import to_datetime

    samples = {"in": part.moments, "out": part.oos_moments}
    spans = (
        f"{name} {to_datetime(int(step.shift(moments[:1], -1)[0])):%Y-%m-%d} to {to_datetime(int(moments[-1]) - 1):%Y-%m-%d} "
        f"({len(moments):,})"
        for name, moments in samples.items()
    )
    return f"{part.name} {', '.join(spans)}"


def _tabulate_scores(found: SweepPortfolio) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("method")
    for heading in ("Sharpe", "return", "volatility", "drawdown"):
        table.add_column(f"{heading}\nin → [b]out[/b]", justify="right", no_wrap=True)
    table.add_column("diversi-\nfication", justify="right")
    for method, allocation in found.allocations.items():
        inside, outside = asdict(allocation.in_sample), asdict(allocation.out_of_sample)
        ratio = allocation.diversification_ratio
        scores = (
            Text.assemble(
                (f"{_format_score(name, inside[name])} → ", "dim"),
                (_format_score(name, outside[name]), "bold"),
            )
            for name in inside
        )
        table.add_row(method.replace("_", " "), *scores, "-" if ratio is None else f"{ratio:.2f}")
    return table


def _format_score(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if name == "sharpe_ratio" else f"{100 * value:,.{0 if abs(value) >= 0.1 else 1}f}%"


def _tabulate_weights(found: SweepPortfolio) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", style="dim")
    table.add_column(
        "weights" if len(found.parts) == 1 else f"weights in {found.parts[-1].name}", overflow="fold"
    )
    for method in found.allocations:
        table.add_column(method.replace("_", "\n"), justify="right")
    for k, row in enumerate(found.members):
        title = Text.assemble((row.strategy, "bold"), f" {row.asset} {row.timeframe}")
        weights = (allocation.weights[-1, k] for allocation in found.allocations.values())
        table.add_row(str(k + 1), title, *(f"{100 * weight:.0f}%" for weight in weights))
    return table


def _tabulate_correlations(found: SweepPortfolio) -> Table:
    """Return the correlations in sample below the diagonal, those out of sample above it."""
    n = len(found.members)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", style="dim", justify="right")
    for k in range(n):
        table.add_column(str(k + 1), justify="right", no_wrap=True)
    inside, outside = found.correlations, found.oos_correlations
    for i in range(n):
        cells = [
            _format_correlation(inside[i, j], "dim")
            if j < i
            else _format_correlation(outside[i, j], "bold")
            if j > i
            else Text("·")
            for j in range(n)
        ]
        table.add_row(str(i + 1), *cells)
    return table


def _format_correlation(value: float, style: str) -> Text:
    return Text("-" if math.isnan(value) else f"{value:.2f}".replace("0.", "."), style=style)


def _describe_correlations(found: SweepPortfolio, *, shown: bool) -> str:
    means = [_mean_of_pairs(matrix) for matrix in (found.correlations, found.oos_correlations)]
    inside, outside = ("-" if mean is None else f"{mean:.2f}" for mean in means)
    where = "; below the diagonal in sample, above it out" if shown else "; --json has all"
    return f"correlations: mean {inside} in sample, {outside} out{where}"


def _mean_of_pairs(correlations: np.ndarray) -> float | None:
    pairs = [
        float(value) for i, line in enumerate(correlations) for value in line[:i] if not math.isnan(value)
    ]
    return sum(pairs) / len(pairs) if pairs else None
