"""``backtune export-optuna``."""

from __future__ import annotations

from typing import Annotated

import typer

from backtune.cli.options import Json, RunPath, print_json, stdout_console


def export_optuna(
    run: RunPath,
    storage: Annotated[
        str,
        typer.Option(
            help="An address such as sqlite:///trials.db, or the path of a journal file.", show_default=False
        ),
    ],
    study: Annotated[str | None, typer.Option(help="Only this study.")] = None,
    json: Json = False,
) -> None:
    """Write the trials into an Optuna storage, for optuna-dashboard. What is there already is not written again."""
    from backtune.errors import SpecError
    from backtune.results.runs import Run
    from backtune.search.export import export_study

    opened = Run.open(run)
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
        stdout_console().print(
            f"{total:,} trials of {len(written)} studies written to {storage}", highlight=False, markup=False
        )
