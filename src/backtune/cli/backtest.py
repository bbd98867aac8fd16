"""The command ``backtune backtest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from backtune.cli.options import Json, SpecPath, make_stdout_console, print_json

if TYPE_CHECKING:
    from backtune.report.export.parameters import ParameterEvaluation


def backtest(
    spec: SpecPath,
    params: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="A file with parameters, as `backtune best` prints them.", show_default=False
        ),
    ],
    json: Json = False,
) -> None:
    """Backtest given parameters on the bars of a spec, under its execution rules, in sample and out of sample."""
    from backtune.report.export.parameters import CellParameters, evaluate_parameters
    from backtune.spec import SweepSpec

    evaluation = evaluate_parameters(SweepSpec.load(spec), CellParameters.read(params))
    if json:
        print_json(evaluation.to_json())
    else:
        _print_evaluation(evaluation)


def _print_evaluation(evaluation: ParameterEvaluation) -> None:
    from backtune.data.calendar import describe
    from backtune.data.unfinished import describe_unfinished

    values = " ".join(f"{name}={value}" for name, value in evaluation.params.items())
    table = Table(
        title=f"{evaluation.strategy} {evaluation.asset} {evaluation.timeframe} {values}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("metric")
    table.add_column("in sample", justify="right")
    if evaluation.oos_metrics is not None:
        table.add_column("out of sample", justify="right")
    for name, inside in evaluation.is_metrics.items():
        outside = () if evaluation.oos_metrics is None else (_format_metric(evaluation.oos_metrics[name]),)
        table.add_row(name, _format_metric(inside), *outside)
    out = make_stdout_console()
    out.print(table)
    for sentence in describe_unfinished(evaluation.unfinished):
        out.print(Text(sentence, style="dim"), soft_wrap=True)
    series = f"{evaluation.asset} {evaluation.timeframe}"
    line = f"a year  {describe([evaluation.annualisation], series)}"
    out.print(line, highlight=False, markup=False, soft_wrap=True)
    for warning in evaluation.warnings:
        out.print(f"! {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _format_metric(value: float | None) -> str:
    return "-" if value is None else f"{value:,.6g}"
