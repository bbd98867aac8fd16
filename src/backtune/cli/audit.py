"""``backtune audit``: what was done through a gateway, and whether the log of it is whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from backtune.cli.options import DatabaseUrl, Json, Runs, print_json, stdout_console

app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify(
    anchor: Annotated[
        str | None,
        typer.Option(
            help="An anchor that was noted elsewhere, as the gateway's log has it.", show_default=False
        ),
    ] = None,
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Look at every entry: none changed, removed, reordered or cut off. Exit status 1 where one is."""
    from backtune.cli.gateway_files import gateway_files

    with gateway_files(runs, database) as files:
        verdict = files.audit.verify(anchor)
    if as_json:
        print_json({"is_whole": verdict.fault is None, **asdict(verdict)})
    else:
        found = "whole" if verdict.fault is None else f"broken: {verdict.fault}"
        typer.echo(f"{found}\n{verdict.n_entries:,} entries in order; anchor {verdict.anchor or 'none'}")
    if verdict.fault is not None:
        raise typer.Exit(1)


@app.command("list")
def list_entries(
    last: Annotated[int, typer.Option(min=1, max=100_000, help="So many.")] = 50,
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Show the latest entries."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from backtune.cli.gateway_files import gateway_files

    with gateway_files(runs, database) as files:
        entries = files.audit.last(last)
    if as_json:
        print_json({"entries": entries})
        return
    columns = ("number", "time", "name", "role", "address", "action", "outcome", "job_id")
    table = Table(*columns, box=SIMPLE_HEAD)
    for entry in entries:
        # As text: what clients send is no markup.
        table.add_row(*(Text(str(entry.get(column, ""))) for column in columns))
    stdout_console().print(table)
