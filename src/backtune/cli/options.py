"""Options that several commands share."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

SpecPath = Annotated[Path, typer.Argument(help="The spec, YAML or JSON.", show_default=False)]
RunPath = Annotated[
    Path, typer.Argument(help="A sweep's folder, as `backtune run` printed it.", show_default=False)
]
Runs = Annotated[
    Path | None,
    typer.Option(help="Where results live.  [default: $BACKTUNE_RUNS, or runs]", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def print_json(content: Any) -> None:
    """Write plain data to stdout as JSON."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
