"""The commands ``backtune cluster``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from backtune.cli.options import Json, print_json

app = typer.Typer(no_args_is_help=True)

LauncherFile = Annotated[Path, typer.Argument(help="A launcher file of Ray.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@app.callback()
def cluster() -> None:
    """Cluster files, the clusters that they describe, and a head on this machine."""


@app.command("check")
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Launcher files of Ray or manifests of KubeRay.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Check every key of cluster files, without asking a cloud."""
    from backtune.cluster.check import check_file

    checked = [check_file(path) for path in files]
    if json:
        print_json([{"file": str(one.path), "kinds": one.kinds, "to_fill_in": one.blanks} for one in checked])
        return
    for one in checked:
        sys.stdout.write(f"{one.path}: {', '.join(one.kinds)}: good\n")
        for blank in one.blanks:
            sys.stdout.write(f"  to be filled in: {blank}\n")


@app.command("head")
def head(
    port: Annotated[
        int, typer.Option(help="The port for drivers: backtune run --address 127.0.0.1:PORT.")
    ] = 6379,
    dashboard_port: Annotated[
        int, typer.Option(help="The port of the dashboard: backtune submit --address http://127.0.0.1:PORT.")
    ] = 8265,
    client_port: Annotated[
        int, typer.Option(help="The port for Ray's client: ray://127.0.0.1:PORT.")
    ] = 10001,
    cpus: Annotated[
        int | None,
        typer.Option(help="The number of cpus for jobs and units (default: all).", min=0, show_default=False),
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Also end when the program that started this one ends.")
    ] = False,
) -> None:
    """Run a Ray head for jobs until Ctrl-C. It serves this machine alone; its token is made if there is none."""
    from backtune.cluster.foreground_head import run_head
    from backtune.cluster.local_head import Ports

    run_head(Ports(port, dashboard_port, client_port), cpus=cpus, with_parent=with_parent)


@app.command("token")
def token() -> None:
    """Make the token that clusters ask for, readable by its user alone, or keep the one that exists."""
    from backtune.cluster.ray_access import make_token_file

    sys.stdout.write(f"{make_token_file()}\n")


@app.command("up")
def up(file: LauncherFile, yes: Yes = False) -> None:
    """Check a launcher file, then start its cluster or bring it up to date: `ray up`."""
    from backtune.cluster.launch import start_cluster

    start_cluster(file, yes=yes)


@app.command("status")
def status(file: LauncherFile) -> None:
    """Show the machines of a cluster and the work that waits for more machines: `ray status` on its head."""
    from backtune.cluster.launch import show_cluster

    show_cluster(file)


@app.command("down")
def down(file: LauncherFile, yes: Yes = False) -> None:
    """End all machines of a cluster: `ray down`. Data and results stay."""
    from backtune.cluster.launch import end_cluster

    end_cluster(file, yes=yes)
