"""Options, tables and lines of text that the commands on market data share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer

_PIPE_WIDTH = 200
_SUBJECTS = ("time", "zone", "label", "timeframe", "prices", "numbers", "scale", "volume", "calendar")

Root = Annotated[str, typer.Option(help="The catalog: a folder, or s3://bucket/prefix.")]
Replace = Annotated[bool, typer.Option("--replace", help="Take the new values where the catalog has others.")]

DEFAULT_ROOT = "data/market"


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ("rows",)
) -> None:
    """Print rows of text, with the columns of ``numbers`` to the right; nothing where there is no row."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(box=None)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    console.print(table)


def print_assumptions(assumed: Mapping[str, str], *, indent: int) -> None:
    """Print the assumptions under which a file was read, a line for each subject."""
    known = [subject for subject in _SUBJECTS if subject in assumed]
    for subject in (*known, *sorted(assumed.keys() - set(known))):
        typer.echo(f"{' ' * indent}{subject:<10} {assumed[subject]}")


def print_problems(problems: Sequence[str]) -> None:
    """Print each problem on a line of the error stream."""
    for problem in problems:
        typer.echo(problem, err=True)


def describe_gaps(count: int, longest_seconds: int) -> str:
    """Return the number of gaps and the longest of them, or ``none``."""
    length = str(timedelta(seconds=longest_seconds)).removesuffix(", 0:00:00")
    return f"{count:,}, longest {length}" if count else "none"


def format_moment(moment: datetime | None) -> str:
    """Return a time to the minute, empty for None."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
