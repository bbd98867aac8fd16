"""Bars and funding from vendors' files into a catalog."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from backtune.data.calendar import annualise
from backtune.data.catalog import Catalog
from backtune.data.funding import FUNDING, check_rates
from backtune.data.ingest.adjustments import Adjust
from backtune.data.ingest.columns import parse_columns
from backtune.data.ingest.file_names import asset_of_funding, read_name, require_asset
from backtune.data.ingest.numbers import Decimal
from backtune.data.ingest.repair import describe_empty_rows, mend_rows, sort_rows
from backtune.data.ingest.report import ImportReport, describe_bars, describe_rates
from backtune.data.ingest.series_checks import check_same_series, compare_price_level
from backtune.data.ingest.sheet import read_sheet
from backtune.data.ingest.sources import Source, Unread, find_sources
from backtune.data.ingest.spacing import (
    Label,
    Length,
    check_plausible,
    find_length,
    fit_to_length,
    label_by_open,
)
from backtune.data.ingest.table import Reading, SeriesTable, read_rates, read_tables
from backtune.data.ingest.times import DateOrder
from backtune.data.ingest.zones import Zone
from backtune.data.manifest import Provenance
from backtune.data.quality import judge_bars
from backtune.data.schema import SCHEMA, check_bars, check_rows, time_rules
from backtune.errors import BacktuneError, CatalogError
from backtune.spec.timeframe import Timeframe

_PREVIEW_ROWS: Final = 3
# HistData stamps its bars in Eastern Standard Time all year, and its files say so nowhere.
_ZONES_OF_VENDORS: Final = ((re.compile(r"DAT_(?:ASCII|MT|NT|XLSX)_.*", re.IGNORECASE), "EST", "HistData"),)
_SYMBOL_MARKS = re.compile(r"[/:\s]")


@dataclass(frozen=True)
class ImportOptions:
    """The user's choices for an import; None leaves one to the files.

    Attributes:
        asset, timeframe: The asset and the length of bars of all files.
        price_scale: The factor for prices.
        timezone: The zone of times that carry none, as in ``America/New_York``; UTC without it.
        label: ``open`` or ``close``, the moment of a bar that its time names.
        adjust: ``all``, ``splits`` or ``none``, the treatment of splits and dividends.
        decimal: ``point`` or ``comma``, the decimal mark.
        date_order: ``dmy`` or ``mdy``, the order of day and month.
        columns: Columns by part, as in ``time=Date,open=First``.
        repair: True to mend files, see :mod:`backtune.data.ingest.repair`.
        replace: True to take the new values where the catalog has others for the same time.
        dry_run: True to write nothing and show the first bars.
    """

    asset: str | None = None
    timeframe: str | None = None
    price_scale: float = 1.0
    timezone: str | None = None
    label: Label = "open"
    adjust: Adjust = "all"
    decimal: Decimal | None = None
    date_order: DateOrder | None = None
    columns: str | None = None
    repair: bool = False
    replace: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        _ = self.reading, self.length  # refuses what is not possible, before any work

    @property
    def reading(self) -> Reading:
        """The choices of how files are read."""
        return Reading(
            zone=None if self.timezone is None else Zone.parse(self.timezone),
            decimal=self.decimal,
            date_order=self.date_order,
            adjust=self.adjust,
            columns=parse_columns(self.columns) if self.columns else {},
            price_scale=self.price_scale,
        )

    @property
    def length(self) -> Timeframe | None:
        """The timeframe, parsed."""
        return None if self.timeframe is None else Timeframe.parse(self.timeframe)


def import_bars(
    sources: str | Path | Iterable[str | Path],
    root: str | Path,
    options: ImportOptions | None = None,
    **choices: Any,
) -> list[ImportReport]:
    """Import files, folders of them and archives into the catalog at ``root``.

    A file that cannot be used is reported and leaves the others alone; so is a file in a folder that is not read.

    Args:
        options: The choices.
        choices: Single choices by their names, as in ``asset="BTCUSD"``, which go before those of ``options``.

    Returns:
        A report for each file, and for each asset of a file, in the order of the files.

    Raises:
        CatalogError: A source does not exist, or the catalog cannot be opened.
        SpecError: A choice is not possible.
    """
    return _import_all(sources, root, replace(options or ImportOptions(), **choices), _import_tables)


def import_funding(
    sources: str | Path | Iterable[str | Path],
    root: str | Path,
    options: ImportOptions | None = None,
    **choices: Any,
) -> list[ImportReport]:
    """Import files of funding payments, a column of times and one of the rates that longs pay; see :func:`import_bars`."""
    return _import_all(sources, root, replace(options or ImportOptions(), **choices), _import_rates)


_Importer = Callable[[Source, bytes, Catalog, ImportOptions], Iterator[ImportReport]]


def _import_all(
    sources: str | Path | Iterable[str | Path], root: str | Path, options: ImportOptions, import_: _Importer
) -> list[ImportReport]:
    found = find_sources([sources] if isinstance(sources, str | Path) else sources)
    catalog = Catalog.open_or_create(root)
    return [report for source in found for report in _import_source(source, catalog, options, import_)]


def _import_source(
    source: Source | Unread, catalog: Catalog, options: ImportOptions, import_: _Importer
) -> Iterator[ImportReport]:
    if isinstance(source, Unread):
        if source.is_error:
            yield ImportReport(source.label, error=f"{source.label}: {source.reason}")
        else:
            yield ImportReport(source.label, unread=source.reason)
        return
    try:
        content = source.read()
        yield from import_(replace(source, read=lambda: content), content, catalog, options)
    except BacktuneError as error:
        yield ImportReport(
            source.label,
            asset=options.asset or read_name(source.path).asset,
            error=_named(error, source.label),
        )
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        ValueError,
        OverflowError,
        MemoryError,
    ) as error:
        # A file can hold what no one thought of; it must not take the others along.
        reason = next(iter(str(error).splitlines()), "")
        yield ImportReport(
            source.label,
            error=f"{source.label}: cannot be read as bars: {type(error).__name__}: {reason}",
        )


def _import_tables(
    source: Source, content: bytes, catalog: Catalog, options: ImportOptions
) -> Iterator[ImportReport]:
    reading, notes = _with_zone_of_vendor(source, options.reading)
    tables = read_tables(read_sheet(source), reading)
    if len(tables) > 1 and options.asset is not None:
        symbols = ", ".join(str(table.symbol) for table in tables[:5])
        raise CatalogError(
            f"{source.label}: holds {len(tables)} assets ({symbols}{', ...' if len(tables) > 5 else ''}), which --asset "
            f"{options.asset} would make one; leave it out, and each gets the name that it has in the file"
        )
    for table in tables:
        table = replace(table, notes=(*notes, *table.notes))  # noqa: PLW2901
        symbol = None if table.symbol is None else _SYMBOL_MARKS.sub("", table.symbol)
        named = read_name(source.path).asset
        # Where a file holds several assets, its rows name them.
        asset = symbol if len(tables) > 1 or named is None else named
        report = ImportReport(source.label, asset=options.asset or asset)
        try:
            yield _import_table(table, report, source, content, catalog, options)
        except BacktuneError as error:
            yield replace(report, error=_named(error, source.label))


def _import_table(
    table: SeriesTable,
    report: ImportReport,
    source: Source,
    content: bytes,
    catalog: Catalog,
    options: ImportOptions,
) -> ImportReport:
    asset = require_asset(report.asset, source.label)
    table, length = _understand_bars(table, source, options)
    frame = table.frame.select(SCHEMA.names())
    timeframe = length.timeframe
    calendar = annualise(frame["timestamp"].to_physical().to_numpy(), timeframe, "auto")
    assumed = {
        **table.assumed,
        "timeframe": f"{timeframe}, {length.origin}",
        "calendar": calendar.describe_short(),
    }
    report = replace(report, timeframe=str(timeframe), assumed=assumed)
    if options.asset is None:
        check_same_series(asset, timeframe, source, catalog)
    level = compare_price_level(asset, timeframe, frame, catalog, source, replaces=options.replace)
    findings = tuple(f for f in judge_bars(frame, timeframe) if f.confidence != "possible")
    report = replace(report, notes=(*table.notes, *level), findings=findings)
    report = describe_bars(report, frame, timeframe)
    if options.dry_run:
        return replace(report, preview=_preview(frame))
    provenance = _provenance(report, source, content)
    changed = catalog.write(
        asset, timeframe, frame, replace=options.replace, source=source.label, provenance=provenance
    )
    return report if changed else replace(report, notes=(*report.notes, "the catalog has these bars already"))


def _understand_bars(
    table: SeriesTable, source: Source, options: ImportOptions
) -> tuple[SeriesTable, Length]:
    """Return checked bars, oldest first and labelled by their opens, and their length."""
    label = source.label
    if options.repair:
        table = mend_rows(sort_rows(table))
    else:
        describe_empty_rows(table, source=label)
    # Missing, unsorted and duplicate times are refused before a length is told from the times.
    check_rows(table.frame, time_rules(), source=label, rows=table.frame["row"])
    length = _stated_length(source, options) or find_length(table, label)
    table = fit_to_length(
        label_by_open(table, length.timeframe, options.label), length, repair=options.repair, source=label
    )
    check_plausible(table, length.timeframe, label)
    check_bars(table.frame.select(SCHEMA.names()), source=label, rows=table.frame["row"])
    return table, length


def _stated_length(source: Source, options: ImportOptions) -> Length | None:
    if options.length is not None:
        return Length(options.length, "as chosen", is_chosen=True)
    named = read_name(source.path).timeframe
    return None if named is None else Length(Timeframe.parse(named), "from the file's name")


def _with_zone_of_vendor(source: Source, reading: Reading) -> tuple[Reading, tuple[str, ...]]:
    if reading.zone is None:
        for name, zone, vendor in _ZONES_OF_VENDORS:
            if name.fullmatch(source.path.stem):
                return replace(reading, zone=Zone.parse(zone)), (
                    f"times are {zone}, as {vendor} stamps them",
                )
    return reading, ()


def _preview(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the first rows and the last."""
    return pl.concat([frame.head(_PREVIEW_ROWS), frame[_PREVIEW_ROWS:].tail(1)])


def _provenance(report: ImportReport, source: Source, content: bytes) -> Provenance:
    start, end = (None if moment is None else moment.isoformat() for moment in (report.start, report.end))
    return Provenance(
        name=source.path.name,
        rows=report.rows,
        start=start,
        end=end,
        sha256=hashlib.sha256(content).hexdigest(),
        assumed=report.assumed,
        notes=report.notes,
    )


def _named(error: BacktuneError, label: str) -> str:
    """Return the error's text, with the file's name in front where it does not begin with it."""
    text = str(error)
    return text if text.startswith(label) else f"{label}: {text}"


def _import_rates(
    source: Source, content: bytes, catalog: Catalog, options: ImportOptions
) -> Iterator[ImportReport]:
    report = ImportReport(
        source.label, asset=options.asset or asset_of_funding(source.path), timeframe=FUNDING
    )
    asset = require_asset(report.asset, source.label)
    table = read_rates(read_sheet(source), options.reading)
    if options.repair:
        table = sort_rows(table)
    frame = check_rates(table.frame.drop("row"), source=source.label, rows=table.frame["row"])
    if options.asset is None:
        check_same_series(asset, None, source, catalog)
    report = describe_rates(replace(report, assumed=table.assumed, notes=table.notes), frame)
    if options.dry_run:
        yield replace(report, preview=_preview(frame))
        return
    provenance = _provenance(report, source, content)
    changed = catalog.write(
        asset, None, frame, replace=options.replace, source=source.label, provenance=provenance
    )
    notes = report.notes if changed else (*report.notes, "the catalog has these payments already")
    if asset not in catalog.assets():
        notes = (*notes, f"the catalog has no bars of {asset} yet")
    yield replace(report, notes=notes)
