"""The command ``backtune audit``: show and verify the audit log of a gateway."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from backtune.cli.options import DatabaseUrl, Json, Runs, make_stdout_console, print_json

app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify(
    noted: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER:DIGEST",
            help="An entry that must still be in the log, as `verify` or the gateway's own log printed it earlier.",
            show_default=False,
        ),
    ] = None,
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Check that no entry was changed, removed, inserted or reordered. The exit status is 1 if one was.

    Only --noted reveals that entries were cut off at the end of the log.
    """
    from backtune.cli.gateway_files import open_gateway_files

    with open_gateway_files(runs, database) as files:
        verdict = files.audit.verify(noted)
    if as_json:
        print_json({"is_whole": verdict.fault is None, **asdict(verdict)})
    else:
        state = "whole" if verdict.fault is None else f"broken: {verdict.fault}"
        typer.echo(f"{state}\n{verdict.n_entries:,} entries in order; last {verdict.last or 'none'}")
    if verdict.fault is not None:
        raise typer.Exit(1)


@app.command("list")
def list_entries(
    last: Annotated[int, typer.Option(min=1, max=100_000, help="The number of entries to show.")] = 50,
    runs: Runs = None,
    database: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Show the latest entries of the audit log."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from backtune.cli.gateway_files import open_gateway_files

    with open_gateway_files(runs, database) as files:
        entries = files.audit.read_last(last)
    if as_json:
        print_json({"entries": entries})
        return
    columns = ("number", "time", "name", "role", "address", "action", "outcome", "job_id")
    table = Table(*columns, box=SIMPLE_HEAD)
    for entry in entries:
        # As text: the values that clients send are no markup.
        table.add_row(*(Text(str(entry.get(column, ""))) for column in columns))
    make_stdout_console().print(table)
