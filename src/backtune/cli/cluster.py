"""``backtune cluster``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from backtune.cli.options import Json, print_json

app = typer.Typer(no_args_is_help=True)


@app.callback()
def cluster() -> None:
    """Cluster files."""


@app.command("check")
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Launcher files of Ray, manifests of KubeRay.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Find what is wrong in a cluster file, to the last key, without asking a cloud."""
    from backtune.cluster.check import check_file

    checked = [check_file(path) for path in files]
    if json:
        print_json([{"file": str(one.path), "kinds": one.kinds, "to_fill_in": one.blanks} for one in checked])
        return
    for one in checked:
        sys.stdout.write(f"{one.path}: {', '.join(one.kinds)}: good\n")
        for blank in one.blanks:
            sys.stdout.write(f"  to be filled in: {blank}\n")
