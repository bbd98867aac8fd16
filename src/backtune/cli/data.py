"""The commands ``backtune data``: import, download, make, list and check market data."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtune.cli.data_download import download
from backtune.cli.data_import import import_, show_imports
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
    from backtune.data.catalog import Catalog
    from backtune.data.check import FileReport
    from backtune.data.quality import Extremes
    from backtune.spec.timeframe import Timeframe

app = typer.Typer(
    name="data", help="Import, download, make, list and check market data.", no_args_is_help=True
)
app.command("import")(import_)
app.command("download")(download)

_CHECK_COLUMNS = (
    "file",
    "rows",
    "start",
    "end",
    "gaps",
    "absent",
    "largest step",
    "largest range",
    "no volume",
    "equal closes",
)
_CHECK_NUMBERS = ("rows", *_CHECK_COLUMNS[5:])


@app.command()
def make(
    root: Root = DEFAULT_ROOT,
    assets: Annotated[
        str, typer.Option(help="The names of the assets, separated by commas.")
    ] = "BTCUSD,ETHUSD",
    timeframe: Annotated[str, typer.Option(help="The timeframe of the bars.")] = "15m",
    start: Annotated[str, typer.Option(help="The first day, in UTC.")] = "2018-01-01",
    end: Annotated[str, typer.Option(help="The day after the last one, in UTC.")] = "2020-01-01",
    seed: Annotated[
        int, typer.Option(min=0, help="The seed of the market; another seed makes another market.")
    ] = 0,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Make a synthetic market, for a first try without data."""
    from backtune.data.synthetic import make_market

    names = [name.strip() for name in assets.split(",") if name.strip()]
    reports = make_market(
        root, assets=names, timeframe=timeframe, start=start, end=end, seed=seed, replace=replace
    )
    show_imports(reports, as_json=as_json)


@app.command("list")
def list_(
    root: Root = DEFAULT_ROOT,
    sources: Annotated[
        bool,
        typer.Option(
            "--sources", help="Show the files of each series, and the assumptions under which they were read."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the assets of a catalog, with their stored timeframes, funding payments and time spans."""
    from backtune.data.catalog import Catalog
    from backtune.spec.timeframe import Timeframe

    catalog = Catalog.open(root)
    rows = [
        _describe_series(catalog, asset, length)
        for asset in catalog.assets()
        for length in catalog.timeframes(asset)
    ] + [_describe_funding(catalog, asset) for asset in catalog.assets_with_funding()]
    rows.sort(key=itemgetter("asset"))
    if sources:
        for row in rows:
            length = None if row["timeframe"] == "funding" else Timeframe.parse(row["timeframe"])
            row["sources"] = [source.to_json() for source in catalog.sources(row["asset"], length)]
    if as_json:
        print_json(rows)
        return
    columns = ("asset", "timeframe", "rows", "start", "end")
    print_table(columns, [[str(row[column]) for column in columns] for row in rows])
    for row in rows if sources else ():
        _print_sources(row)


def _print_sources(row: dict[str, Any]) -> None:
    typer.echo(f"\n{row['asset']} {row['timeframe']}: from {len(row['sources'])} sources")
    for source in row["sources"]:
        typer.echo(f"  {source['name']}: {source['rows']:,} rows, {source['start']} to {source['end']}")
        print_assumptions(source.get("assumed", {}), indent=4)
        for note in source.get("notes", ()):
            typer.echo(f"    note       {note}")


@app.command()
def check(
    root: Root = DEFAULT_ROOT,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 on certain and likely findings too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read every file, check it against the manifest and the schema, and look for spikes, splits, frozen prices, absent
    volumes, changes of unit and gaps in its bars. The exit status is 1 if a file breaks the manifest or the schema.
    """
    from backtune.data.check import check_catalog

    reports = check_catalog(root)
    if as_json:
        print_json([report.to_json() for report in reports])
    else:
        print_table(_CHECK_COLUMNS, [_make_check_row(report) for report in reports], numbers=_CHECK_NUMBERS)
        _print_findings(reports)
        print_problems([report.problem for report in reports if report.problem])
        sound = sum(not report.problem for report in reports)
        typer.echo(f"{sound} of {len(reports)} files are as the manifest says")
    if any(report.problem or (strict and report.is_suspect) for report in reports):
        raise typer.Exit(1)


def _describe_series(catalog: Catalog, asset: str, timeframe: Timeframe) -> dict[str, Any]:
    start, end = catalog.span(asset, timeframe)
    return {
        "asset": asset,
        "timeframe": str(timeframe),
        "rows": catalog.rows(asset, timeframe),
        "start": start.isoformat(),
        "end": end.isoformat(),
    }


def _describe_funding(catalog: Catalog, asset: str) -> dict[str, Any]:
    from backtune.data.window import to_datetime

    series = catalog.funding(asset)
    return {
        "asset": asset,
        "timeframe": "funding",
        "rows": sum(partition.rows for partition in series),
        "start": to_datetime(series[0].start).isoformat(),
        "end": to_datetime(series[-1].end).isoformat(),
    }


def _make_check_row(report: FileReport) -> tuple[str, ...]:
    return (
        report.path,
        f"{report.rows:,}",
        format_moment(report.start),
        format_moment(report.end),
        "" if report.problem else describe_gaps(report.gaps, report.longest_gap_seconds),
        "bad" if report.problem else f"{report.absent:.1%}",
        *_format_extremes(report.extremes),
    )


def _format_extremes(found: Extremes | None) -> tuple[str, ...]:
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
