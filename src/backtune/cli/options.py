"""Options that several commands share."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from backtune.errors import SpecError
from backtune.storage.location import get_local_path, resolve_location

_FILE_WIDTH = 120

SpecPath = Annotated[Path, typer.Argument(help="The spec, a YAML or JSON file.", show_default=False)]
RunPath = Annotated[
    str,
    typer.Argument(
        help="The folder of a sweep, as `backtune run` printed it.", metavar="RUN", show_default=False
    ),
]
Runs = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="The folder of all results, or s3://bucket/prefix (default: $BACKTUNE_RUNS, or runs).",
        show_default=False,
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        envvar="BACKTUNE_DATABASE",
        help="The SQLAlchemy URL of the gateway's records (default: a SQLite file in the runs folder).",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def locate_gateway_runs(runs: str | None) -> Path:
    """Return the runs folder of a gateway, which keeps files of its own there.

    Raises:
        SpecError: The folder is in S3.
    """
    from backtune.results.runs_folder import locate_runs_folder
    from backtune.spec import base_folder

    location = resolve_location(base_folder(), locate_runs_folder() if runs is None else runs).resolve()
    folder = get_local_path(location)
    if folder is None:
        raise SpecError(
            "--runs",
            f"{location}: a gateway keeps its records in this folder, so it must be on a disk that the cluster sees too",
            value=str(location),
        )
    return folder


def make_stdout_console() -> Console:
    """Return a console for results: as wide as the terminal, and wide enough for a table in a file or a job's log."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _FILE_WIDTH
    return console


def print_json(content: Any) -> None:
    """Write plain data to stdout as JSON."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
