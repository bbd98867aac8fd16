"""``backtune cluster``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from backtune.cli.options import Json, print_json

app = typer.Typer(no_args_is_help=True)

LauncherFile = Annotated[Path, typer.Argument(help="A launcher file of Ray.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


@app.callback()
def cluster() -> None:
    """Cluster files, and the clusters that they describe."""


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


@app.command("up")
def up(file: LauncherFile, yes: Yes = False) -> None:
    """Check a launcher file, then start its cluster or bring it up to date: `ray up`."""
    from backtune.cluster.launch import start

    start(file, yes=yes)


@app.command("status")
def status(file: LauncherFile) -> None:
    """Which machines a cluster has, and what it waits for: `ray status` on its head."""
    from backtune.cluster.launch import show

    show(file)


@app.command("down")
def down(file: LauncherFile, yes: Yes = False) -> None:
    """End all machines of a cluster: `ray down`. Data and results stay."""
    from backtune.cluster.launch import end

    end(file, yes=yes)
