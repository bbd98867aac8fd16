"""The command ``backtune report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from backtune.cli.options import RunPath


def report(
    run: RunPath,
    study: Annotated[
        str | None, typer.Option(help="The study (default: all studies).", show_default=False)
    ] = None,
    report_format: Annotated[
        Literal["html", "json", "md", "pdf", "xlsx"],
        typer.Option("--format", help="The format of the report."),
    ] = "html",
    output: Annotated[
        Path | None,
        typer.Option(
            help="The file for the report (default: report.FORMAT in the sweep's folder).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a report on a sweep: an HTML page that needs no network, PDF, Excel, Markdown, or JSON for programs."""
    from backtune.report.content import ReportContent
    from backtune.report.writer import write_report
    from backtune.results.stored_sweep import StoredSweep

    opened = StoredSweep.open(run)
    path = output if output is not None else opened.folder / f"report.{report_format}"
    write_report(ReportContent(opened, study), report_format, path)
    sys.stdout.write(f"{path}\n")
