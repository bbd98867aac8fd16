"""``backtune best``."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from backtune.cli.options import RunPath, print_json


def best(
    run: RunPath,
    study: Annotated[
        str | None, typer.Option(help="Of this study.  [default: the leaderboard's best]")
    ] = None,
    centre: Annotated[
        bool,
        typer.Option(
            "--centre", help="Those at the centre of its plateau instead, with what they did in sample."
        ),
    ] = False,
    output_format: Annotated[
        Literal["yaml", "json"], typer.Option("--format", help="How to write them.")
    ] = "yaml",
) -> None:
    """Print the best parameters, for `backtune backtest SPEC --params FILE` to read."""
    from backtune.report.chosen import chosen_row
    from backtune.report.export.parameters import Parameters
    from backtune.results.stored_sweep import StoredSweep
    from backtune.spec.documents import to_yaml

    opened = StoredSweep.open(run)
    row = chosen_row(opened, study)
    content = (Parameters.of_centre if centre else Parameters.of)(opened, row).to_json()
    if output_format == "json":
        print_json(content)
    else:
        sys.stdout.write(to_yaml(content))
