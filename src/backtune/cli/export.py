"""The commands ``backtune export`` and ``backtune export-optuna``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from backtune.cli.options import Json, RunPath, make_stdout_console, print_json


def export(
    run: RunPath,
    study: Annotated[
        str | None, typer.Option(help="The study (default: all studies).", show_default=False)
    ] = None,
    export_format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="The format of the tables.")
    ] = "parquet",
    output: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the tables (default: export in the sweep's folder).", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the results of a sweep as tables: the leaderboard, and the trials, equity and trades of each study.

    The exit status is 3 if equity and trades are missing because a winner could not be run again.
    """
    from backtune.report.content import ReportContent
    from backtune.report.export.tables import export_tables
    from backtune.results.stored_sweep import StoredSweep

    opened = StoredSweep.open(run)
    folder = output if output is not None else opened.folder / "export"
    exported = export_tables(ReportContent(opened, study), export_format, folder)
    if json:
        print_json({"files": [str(path) for path in exported.files], "missing": exported.gaps})
    else:
        sys.stdout.write(f"{folder}: {len(exported.files)} files\n")
    for name, gap in exported.gaps.items():
        sys.stderr.write(f"{name}: no equity and trades: {gap}\n")
    raise typer.Exit(3 if exported.gaps else 0)


def export_optuna(
    run: RunPath,
    storage: Annotated[
        str,
        typer.Option(
            help="The URL of a database, such as sqlite:///trials.db, or the path of a journal file.",
            show_default=False,
        ),
    ],
    study: Annotated[str | None, typer.Option(help="The study (default: all studies).")] = None,
    json: Json = False,
) -> None:
    """Write the trials of a sweep into an Optuna storage, for optuna-dashboard. Trials that are there are not written again."""
    from backtune.errors import SpecError
    from backtune.results.stored_sweep import StoredSweep
    from backtune.search.export import export_study

    opened = StoredSweep.open(run)
    ids = [entry.id for entry in opened.studies]
    if study is not None and study not in ids:
        raise SpecError("--study", f"{study!r} is not in this sweep", value=study, allowed=ids)
    written = {
        entry.id: export_study(opened, entry, storage)
        for entry in opened.studies
        if study in (None, entry.id)
    }
    if json:
        print_json({"storage": storage, "written": written})
    else:
        total = sum(written.values())
        make_stdout_console().print(
            f"{total:,} trials of {len(written)} studies written to {storage}", highlight=False, markup=False
        )
