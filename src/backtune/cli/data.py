"""``backtune data``: bring market data in, make some, list and check it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from backtune.data.catalog import Catalog
    from backtune.data.check import FileReport
    from backtune.data.ingest.report import ImportReport
    from backtune.data.quality import Extremes
    from backtune.timeframe import Timeframe

app = typer.Typer(
    name="data", help="Bring market data in, make some, list and check it.", no_args_is_help=True
)

Root = Annotated[str, typer.Option(help="The catalog: a folder, or s3://bucket/prefix.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Replace = Annotated[bool, typer.Option("--replace", help="Take the new values where the catalog has others.")]

DEFAULT_ROOT = "data/market"
_WIDTH_OF_A_PIPE = 200
_MOST_GROUPS = 8
_SUBJECTS = ("time", "zone", "label", "timeframe", "prices", "numbers", "scale", "volume", "calendar")
_CHECK_COLUMNS = (
    "file", "rows", "start", "end", "gaps", "absent", "largest step", "largest range", "no volume", "equal closes",
)  # fmt: skip
_RIGHT = frozenset({"rows", "absent", "largest step", "largest range", "no volume", "equal closes"})


class Label(StrEnum):
    """The moment of a bar that its time names."""

    OPEN = "open"
    CLOSE = "close"


class Adjust(StrEnum):
    """The treatment of splits and dividends."""

    ALL = "all"
    SPLITS = "splits"
    NONE = "none"


class DecimalMark(StrEnum):
    """The decimal mark of numbers."""

    POINT = "point"
    COMMA = "comma"


class DateOrder(StrEnum):
    """The order of day and month in dates."""

    DMY = "dmy"
    MDY = "mdy"
    YMD = "ymd"


@app.command("import")
def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Files (CSV, Parquet, Feather, JSON, also zipped), or folders."
        ),
    ],
    root: Root = DEFAULT_ROOT,
    asset: Annotated[str | None, typer.Option(help="Name of the asset; else the file's name tells.")] = None,
    funding: Annotated[
        bool, typer.Option("--funding", help="The files hold funding payments: a time and a rate.")
    ] = False,
    timeframe: Annotated[
        str | None,
        typer.Option(help="Length of a bar, as in 15m or 1mo; else the file's name or its rows tell."),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Zone of times without an offset, as in America/New_York or UTC-5; else they are taken as UTC."
        ),
    ] = None,
    label: Annotated[Label, typer.Option(help="The moment of a bar that its time names.")] = Label.OPEN,
    adjust: Annotated[
        Adjust,
        typer.Option(
            help="Splits and dividends that a file tells of: adjust prices for all, for splits, or for none."
        ),
    ] = Adjust.ALL,
    decimal: Annotated[DecimalMark | None, typer.Option(help="Decimal mark; else the numbers tell.")] = None,
    date_order: Annotated[
        DateOrder | None,
        typer.Option(help="Order of day and month in dates such as 01/02/2020; else they tell."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns by name or number, as in time=Date+Clock,open=First; else their names tell."
        ),
    ] = None,
    price_scale: Annotated[float, typer.Option(help="Multiplies prices, as 1e-5 for points.")] = 1.0,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Sort rows, drop duplicates and rows without prices, mend slips; each is said."
        ),
    ] = False,
    replace: Replace = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show how files are understood, with their first bars; write nothing."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import bars, or funding. Layouts of the usual vendors are recognised; every assumption is said, and every file is
    either imported or listed with the reason why not.
    """
    from backtune.data.ingest.importer import ImportOptions, import_bars, import_funding

    if funding and (timeframe is not None or price_scale != 1 or label is not Label.OPEN):
        raise typer.BadParameter("timeframe, label and price scale do not go with --funding")
    options = ImportOptions(
        asset=asset,
        timeframe=timeframe,
        price_scale=price_scale,
        timezone=timezone,
        label=label.value,
        adjust=adjust.value,
        decimal=None if decimal is None else decimal.value,
        date_order=None if date_order is None else date_order.value,
        columns=columns,
        repair=repair,
        replace=replace,
        dry_run=dry_run,
    )
    reports = (import_funding if funding else import_bars)(sources, root, options)
    _show_imports(reports, as_json=as_json)
    if dry_run and not as_json:
        typer.echo("nothing was written (--dry-run)")


@app.command()
def make(
    root: Root = DEFAULT_ROOT,
    assets: Annotated[str, typer.Option(help="Names, separated by commas.")] = "BTCUSD,ETHUSD",
    timeframe: Annotated[str, typer.Option(help="Length of a bar.")] = "15m",
    start: Annotated[str, typer.Option(help="First day, UTC.")] = "2018-01-01",
    end: Annotated[str, typer.Option(help="The day after the last, UTC.")] = "2020-01-01",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another market.")] = 0,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Make a synthetic market, to try things out without data."""
    from backtune.data.synthetic import make_market

    names = [name.strip() for name in assets.split(",") if name.strip()]
    reports = make_market(
        root, assets=names, timeframe=timeframe, start=start, end=end, seed=seed, replace=replace
    )
    _show_imports(reports, as_json=as_json)


@app.command("list")
def list_(
    root: Root = DEFAULT_ROOT,
    sources: Annotated[
        bool,
        typer.Option("--sources", help="Show the files of each, and under which assumptions they were read."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List assets, stored timeframes and funding, and spans."""
    from backtune.data.catalog import Catalog
    from backtune.timeframe import Timeframe

    catalog = Catalog.open(root)
    rows = [
        _stored(catalog, asset, length) for asset in catalog.assets() for length in catalog.timeframes(asset)
    ] + [_stored_funding(catalog, asset) for asset in catalog.assets_with_funding()]
    rows.sort(key=itemgetter("asset"))
    if sources:
        for row in rows:
            length = None if row["timeframe"] == "funding" else Timeframe.parse(row["timeframe"])
            row["sources"] = [source.to_json() for source in catalog.sources(row["asset"], length)]
    if as_json:
        _print_json(rows)
        return
    columns = ("asset", "timeframe", "rows", "start", "end")
    _print_table(columns, [[str(row[column]) for column in columns] for row in rows])
    for row in rows if sources else ():
        _print_sources(row)


def _print_sources(row: dict[str, Any]) -> None:
    typer.echo(f"\n{row['asset']} {row['timeframe']}: from {len(row['sources'])} sources")
    for source in row["sources"]:
        typer.echo(f"  {source['name']}: {source['rows']:,} rows, {source['start']} to {source['end']}")
        assumed = source.get("assumed", {})
        for subject, text in sorted(assumed.items(), key=_subject_order):
            typer.echo(f"    {subject:<10} {text}")
        for note in source.get("notes", ()):
            typer.echo(f"    note       {note}")


@app.command()
def check(
    root: Root = DEFAULT_ROOT,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 on certain and likely findings too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every file, check it against the manifest and the schema, and judge its bars: spikes, splits, frozen prices,
    absent volumes, changes of unit, gaps. Exits with 1 if a file is not sound.
    """
    from backtune.data.check import check_catalog

    reports = check_catalog(root)
    if as_json:
        _print_json([report.to_json() for report in reports])
    else:
        _print_table(_CHECK_COLUMNS, [_check_row(report) for report in reports])
        _print_findings(reports)
        _print_problems([report.problem for report in reports if report.problem])
        sound = sum(not report.problem for report in reports)
        typer.echo(f"{sound} of {len(reports)} files are as the manifest says")
    if any(report.problem or (strict and report.is_suspect) for report in reports):
        raise typer.Exit(1)


def _show_imports(reports: Sequence[ImportReport], *, as_json: bool) -> None:
    if as_json:
        _print_json([report.to_json() for report in reports])
    else:
        imported = [report for report in reports if not report.error and not report.unread]
        columns = ("source", "asset", "timeframe", "rows", "start", "end", "gaps", "notes")
        _print_table(columns, [_import_row(report) for report in imported])
        for report in imported:
            if report.preview is not None:
                _print_preview(report)
        _print_assumptions(imported)
        _print_doubts(imported)
        _print_unread([report for report in reports if report.unread])
        _print_problems([f"error: {report.error}" for report in reports if report.error])
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
    _print_table(["open time, UTC", *frame.columns[1:]], rows)


def _print_assumptions(reports: Sequence[ImportReport]) -> None:
    """Print under which assumptions files were read, once for all files that share them."""
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
        for subject, text in sorted(assumed, key=_subject_order):
            typer.echo(f"  {subject:<10} {text}")


def _print_doubts(reports: Sequence[ImportReport]) -> None:
    """Print what looks wrong with bars that obey the schema."""
    doubtful = [report for report in reports if report.findings]
    for report in doubtful[:_MOST_GROUPS]:
        typer.echo(f"\nlooks wrong: {report.asset} {report.timeframe} ({Path(report.source).name})")
        for finding in report.findings[:_MOST_GROUPS]:
            typer.echo(f"  {finding.confidence:<8} {finding.sentence}")
    if len(doubtful) > _MOST_GROUPS:
        typer.echo(f"\n... and {len(doubtful) - _MOST_GROUPS} more files; `backtune data check` lists all")


def _subject_order(entry: tuple[str, str]) -> int:
    return _SUBJECTS.index(entry[0]) if entry[0] in _SUBJECTS else len(_SUBJECTS)


def _print_unread(reports: Sequence[ImportReport]) -> None:
    if not reports:
        return
    typer.echo(f"\nnot read: {len(reports)} file{'' if len(reports) == 1 else 's'}")
    for report in reports:
        typer.echo(f"  {report.source}: {report.unread}")


def _stored(catalog: Catalog, asset: str, timeframe: Timeframe) -> dict[str, Any]:
    start, end = catalog.span(asset, timeframe)
    return {
        "asset": asset,
        "timeframe": str(timeframe),
        "rows": catalog.rows(asset, timeframe),
        "start": start.isoformat(),
        "end": end.isoformat(),
    }


def _stored_funding(catalog: Catalog, asset: str) -> dict[str, Any]:
    from backtune.data.window import to_datetime

    series = catalog.funding(asset)
    return {
        "asset": asset,
        "timeframe": "funding",
        "rows": sum(partition.rows for partition in series),
        "start": to_datetime(series[0].start).isoformat(),
        "end": to_datetime(series[-1].end).isoformat(),
    }


def _import_row(report: ImportReport) -> tuple[str, ...]:
    return (
        Path(report.source).name,
        report.asset or "",
        report.timeframe or "",
        f"{report.rows:,}",
        _day(report.start),
        _day(report.end),
        _gaps(report.gaps, report.longest_gap_seconds),
        "; ".join(report.notes),
    )


def _check_row(report: FileReport) -> tuple[str, ...]:
    return (
        report.path,
        f"{report.rows:,}",
        _day(report.start),
        _day(report.end),
        "" if report.problem else _gaps(report.gaps, report.longest_gap_seconds),
        "bad" if report.problem else f"{report.absent:.1%}",
        *_extremes(report.extremes),
    )


def _extremes(found: Extremes | None) -> tuple[str, ...]:
    if found is None:
        return ("",) * 4
    step = "" if found.largest_step is None else f"{found.largest_step:+,.1%}"
    return step, f"{found.largest_range:,.1%}", f"{found.without_volume:.1%}", f"{found.equal_closes:,}"


def _print_findings(reports: Sequence[FileReport]) -> None:
    found = [(report.path, finding) for report in reports for finding in report.findings]
    if not found:
        return
    typer.echo()
    for path, finding in found:
        typer.echo(f"{path}: {finding.confidence}: {finding.sentence}")
    typer.echo(
        "\ncertain: the numbers leave no other reading; likely: sound markets hardly ever show it; possible: they may. "
        "Nothing was changed."
    )


def _gaps(count: int, longest_seconds: int) -> str:
    length = str(timedelta(seconds=longest_seconds)).removesuffix(", 0:00:00")
    return f"{count:,}, longest {length}" if count else "none"


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2))


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(box=None)
    for column in columns:
        table.add_column(column, justify="right" if column in _RIGHT else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_OF_A_PIPE)
    console.print(table)


def _print_problems(problems: Sequence[str]) -> None:
    for problem in problems:
        typer.echo(problem, err=True)
