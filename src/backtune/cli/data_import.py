"""The command ``backtune data import``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backtune.cli.data_tables import (
    DEFAULT_ROOT,
    Replace,
    Root,
    describe_gaps,
    format_moment,
    print_assumptions,
    print_problems,
    print_table,
)
from backtune.cli.options import Json, print_json

if TYPE_CHECKING:
    from backtune.data.ingest.report import ImportReport

_MOST_GROUPS = 8


def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Files (CSV, Parquet, Feather or JSON, zipped or not), or folders of them.",
        ),
    ],
    root: Root = DEFAULT_ROOT,
    asset: Annotated[
        str | None, typer.Option(help="The name of the asset (default: taken from the file's name).")
    ] = None,
    funding: Annotated[
        bool, typer.Option("--funding", help="The files hold funding payments, each with a time and a rate.")
    ] = False,
    timeframe: Annotated[
        str | None,
        typer.Option(
            help="The timeframe, such as 15m or 1mo (default: taken from the file's name or its rows)."
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="The time zone of times without an offset, such as America/New_York or UTC-5 (default: UTC)."
        ),
    ] = None,
    label: Annotated[
        Literal["open", "close"], typer.Option(help="Whether the time of a bar is its open or its close.")
    ] = "open",
    adjust: Annotated[
        Literal["all", "splits", "none"],
        typer.Option(
            help="Adjust prices for all splits and dividends in a file, for splits alone, or for none."
        ),
    ] = "all",
    decimal: Annotated[
        Literal["point", "comma"] | None,
        typer.Option(help="The decimal mark (default: found from the numbers)."),
    ] = None,
    date_order: Annotated[
        Literal["dmy", "mdy", "ymd"] | None,
        typer.Option(
            help="The order of day, month and year in dates such as 01/02/2020 (default: found from the dates)."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="The columns by name or number, such as time=Date+Clock,open=First (default: found from their names)."
        ),
    ] = None,
    price_scale: Annotated[
        float, typer.Option(help="A factor for all prices, such as 1e-5 for prices in points.")
    ] = 1.0,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Sort rows, drop duplicates and rows without prices, correct small errors, and report each change.",
        ),
    ] = False,
    replace: Replace = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the interpretation of each file and its first bars, and write nothing."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Import bars or funding payments. The layouts of the usual vendors are recognised. Every assumption is printed, and
    every file is either imported or listed with the reason why not.
    """
    from backtune.data.ingest.importer import ImportOptions, import_bars, import_funding

    if funding and (timeframe is not None or price_scale != 1 or label != "open"):
        raise typer.BadParameter("timeframe, label and price scale do not go with --funding")
    options = ImportOptions(
        asset=asset,
        timeframe=timeframe,
        price_scale=price_scale,
        timezone=timezone,
        label=label,
        adjust=adjust,
        decimal=decimal,
        date_order=date_order,
        columns=columns,
        repair=repair,
        replace=replace,
        dry_run=dry_run,
    )
    reports = (import_funding if funding else import_bars)(sources, root, options)
    show_imports(reports, as_json=as_json)
    if dry_run and not as_json:
        typer.echo("nothing was written (--dry-run)")


def show_imports(reports: Sequence[ImportReport], *, as_json: bool) -> None:
    """Print the result of each file, and exit with status 1 if one was not imported.

    Raises:
        Exit: A file was not imported.
    """
    if as_json:
        print_json([report.to_json() for report in reports])
    else:
        imported = [report for report in reports if not report.error and not report.unread]
        columns = ("source", "asset", "timeframe", "rows", "start", "end", "gaps", "notes")
        print_table(columns, [_make_row(report) for report in imported])
        for report in imported:
            if report.preview is not None:
                _print_preview(report)
        _print_assumptions(imported)
        _print_findings(imported)
        _print_unread_files([report for report in reports if report.unread])
        print_problems([f"error: {report.error}" for report in reports if report.error])
        failed = sum(report.error is not None for report in reports)
        if failed:
            typer.echo(
                f"{len(imported)} imported, {failed} not; mend what is named above and import again", err=True
            )
    if any(report.error for report in reports):
        raise typer.Exit(1)


def _print_preview(report: ImportReport) -> None:
    frame = report.preview
    if frame is None:
        return
    import polars as pl

    name = Path(report.source).name
    typer.echo(
        f"\n{report.asset} {report.timeframe} ({name}): the first rows and the last of {report.rows:,}"
    )
    rows = [
        [f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else f"{value:g}" for value in row]
        for row in frame.with_columns(pl.col("timestamp").dt.replace_time_zone(None)).rows()
    ]
    print_table(["open time, UTC", *frame.columns[1:]], rows)


def _print_assumptions(reports: Sequence[ImportReport]) -> None:
    """Print the assumptions under which files were read, once for all files that share them."""
    groups: dict[tuple[tuple[str, str], ...], list[ImportReport]] = {}
    for report in reports:
        if report.assumed:
            groups.setdefault(tuple(sorted(report.assumed.items())), []).append(report)
    for number, (assumed, files) in enumerate(groups.items()):
        if number == _MOST_GROUPS:
            typer.echo(f"\n... and {len(groups) - number} more ways of reading; --json lists all")
            break
        names = [f"{report.asset} {report.timeframe}" for report in files]
        shown = ", ".join(dict.fromkeys(names[:3])) + (
            f" and {len(names) - 3} more" if len(names) > 3 else ""
        )
        typer.echo(f"\nread as follows: {shown}")
        print_assumptions(dict(assumed), indent=2)


def _print_findings(reports: Sequence[ImportReport]) -> None:
    """Print the findings on bars that obey the schema."""
    doubtful = [report for report in reports if report.findings]
    for report in doubtful[:_MOST_GROUPS]:
        typer.echo(f"\nlooks wrong: {report.asset} {report.timeframe} ({Path(report.source).name})")
        for finding in report.findings[:_MOST_GROUPS]:
            typer.echo(f"  {finding.confidence:<8} {finding.sentence}")
    if len(doubtful) > _MOST_GROUPS:
        typer.echo(f"\n... and {len(doubtful) - _MOST_GROUPS} more files; `backtune data check` lists all")


def _print_unread_files(reports: Sequence[ImportReport]) -> None:
    if not reports:
        return
    typer.echo(f"\nnot read: {len(reports)} file{'' if len(reports) == 1 else 's'}")
    for report in reports:
        typer.echo(f"  {report.source}: {report.unread}")


def _make_row(report: ImportReport) -> tuple[str, ...]:
    return (
        Path(report.source).name,
        report.asset or "",
        report.timeframe or "",
        f"{report.rows:,}",
        format_moment(report.start),
        format_moment(report.end),
        describe_gaps(report.gaps, report.longest_gap_seconds),
        "; ".join(report.notes),
    )
