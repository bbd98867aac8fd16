"""The commands on the results of sweeps: ``leaderboard``, ``status``, ``sync`` and ``ui``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from backtune.cli.options import Json, RunPath, Runs, make_stdout_console, print_json
from backtune.storage.location import parse_location


def leaderboard(
    run: RunPath,
    top: Annotated[int, typer.Option(min=0, help="The number of rows; 0 shows all.")] = 20,
    study: Annotated[
        str | None, typer.Option(help="Show this study alone, with its whole Pareto front.")
    ] = None,
    folds: Annotated[
        bool, typer.Option("--folds", help="Show the folds of each walk-forward as well.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the best of every study, in sample beside out of sample, with the number of trials it was picked from."""
    from backtune.cli.tables import print_folds, print_leaderboard
    from backtune.errors import SpecError
    from backtune.results.leaderboard.ranking import build_leaderboard as rows_of
    from backtune.results.stored_sweep import StoredSweep

    opened = StoredSweep.open(run)
    ids = [entry.id for entry in opened.studies]
    if study is not None and study not in ids:
        raise SpecError("--study", f"{study!r} is not in this sweep", value=study, allowed=ids)
    rows = rows_of(opened, top=None if json else top or None, study=study)
    if json:
        print_json([row.to_json() for row in rows])
        return
    out = make_stdout_console()
    print_leaderboard(out, opened, rows, top)
    if folds:
        print_folds(out, opened, rows[: top or None])


def status(
    run: Annotated[str | None, typer.Argument(help="The folder of a sweep (default: all sweeps).")] = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show the progress of sweeps."""
    from backtune.results.progress import ProgressReader
    from backtune.results.runs_folder import list_sweeps, locate_runs_folder
    from backtune.results.stored_sweep import StoredSweep

    found = (
        [StoredSweep.open(run)]
        if run is not None
        else list_sweeps(parse_location(runs or locate_runs_folder()))
    )
    counts = [(entry, ProgressReader(entry).read()) for entry in found]
    if json:
        print_json(
            [
                {
                    "sweep_id": entry.sweep_id,
                    "folder": str(entry.folder),
                    "n_studies": progress.n_studies,
                    "n_studies_done": progress.n_studies_done,
                    "n_trials": progress.n_trials,
                    "n_trials_planned": progress.n_trials_planned,
                    "best": progress.best,
                }
                for entry, progress in counts
            ]
        )
        return
    table = Table("sweep", "studies", "trials", "best", "folder")
    for entry, progress in counts:
        table.add_row(
            entry.sweep_id,
            f"{progress.n_studies_done}/{progress.n_studies}",
            f"{progress.n_trials:,}/{progress.n_trials_planned:,}",
            "-" if progress.best is None else f"{progress.best:.3f}",
            str(entry.folder),
        )
    make_stdout_console().print(table)


def sync(
    run: RunPath,
    uri: Annotated[
        str | None,
        typer.Option(help="The address of MLflow (default: that of the spec).", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Bring MLflow up to date with the results of a sweep."""
    from dataclasses import asdict

    from backtune.results.stored_sweep import StoredSweep
    from backtune.tracking.sync import sync_sweep

    report = sync_sweep(StoredSweep.open(run), uri)
    if json:
        print_json(asdict(report))
    else:
        make_stdout_console().print(report.in_words(), highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(1 if report.problems else 0)


def ui(
    run: Annotated[
        str | None, typer.Argument(help="The folder of a sweep (default: the runs folder).")
    ] = None,
    runs: Runs = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 5000,
) -> None:
    """Serve MLflow's pages on the results until Ctrl-C, or print their address where an MLflow server tracks the sweep."""
    from backtune.results.runs_folder import locate_runs_folder
    from backtune.results.stored_sweep import StoredSweep
    from backtune.tracking.address import build_ui_command, check_mlflow, is_server_uri, resolve_tracking_uri
    from backtune.tracking.leaderboard_view import build_view_url
    from backtune.tracking.sync import find_experiment

    check_mlflow()
    opened = StoredSweep.open(run) if run is not None else None
    folder = opened.folder.parent if opened is not None else parse_location(runs or locate_runs_folder())
    uri = resolve_tracking_uri(opened) if opened is not None else None
    served = uri if uri is not None and is_server_uri(uri) else f"http://{host}:{port}"
    page = build_view_url(served, find_experiment(opened) if opened is not None else None)
    Console(stderr=True).print(f"MLflow on {page}", highlight=False, soft_wrap=True)
    if served == uri:
        return
    sys.stdout.flush()
    command = build_ui_command(folder, uri, host=host, port=port)
    # MLflow replaces this process, so that signals reach it.
    os.execv(command[0], command)  # noqa: S606
