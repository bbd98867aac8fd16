"""Options that several commands share."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

_WIDTH_OF_A_FILE = 120

SpecPath = Annotated[Path, typer.Argument(help="The spec, YAML or JSON.", show_default=False)]
RunPath = Annotated[
    Path, typer.Argument(help="A sweep's folder, as `backtune run` printed it.", show_default=False)
]
Runs = Annotated[
    Path | None,
    typer.Option(help="Where results live.  [default: $BACKTUNE_RUNS, or runs]", show_default=False),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        envvar="BACKTUNE_DATABASE",
        help="SQLAlchemy's URL of the gateway's records.  [default: a SQLite file in the runs folder]",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def stdout_console() -> Console:
    """A console for results: as wide as the terminal, and wide enough for a table in a file or a job's log."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_A_FILE
    return console


def print_json(content: Any) -> None:
    """Write plain data to stdout as JSON."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
