"""Bars and funding from vendors' files into a catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from backtune.data.bars import check_bars
from backtune.data.catalog import Catalog
from backtune.data.funding import check_rates
from backtune.data.gaps import common_step, find_gaps
from backtune.data.naming import asset_of_funding, read_name
from backtune.data.sheet import READERS, read_parquet_sheet, read_sheet, read_text_sheet
from backtune.data.table import Table, bars_table, check_scale, rates_table
from backtune.data.window import to_datetime
from backtune.errors import BacktuneError, BarsError, CatalogError
from backtune.timeframe import Timeframe

FUNDING: Final = "funding"  # stands for the timeframe in reports of funding payments


@dataclass(frozen=True)
class ImportReport:
    """What became of one file.

    Attributes:
        source: the file.
        timeframe: of the bars, or ``funding``.
        rows: bars or payments in it that are now in the catalog.
        start, end: open time of the first bar and end of the last, or times of the first and the last payment.
        gaps, longest_gap_seconds: places where bars are absent, and the longest time without one.
        notes: what was taken for what, and what was mended.
        error: why the file was not imported; then nothing of it was.
    """

    source: str
    asset: str | None = None
    timeframe: str | None = None
    rows: int = 0
    start: datetime | None = None
    end: datetime | None = None
    gaps: int = 0
    longest_gap_seconds: int = 0
    notes: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; times in ISO."""
        plain = {**vars(self), "notes": list(self.notes)}
        return plain | {key: plain[key] and plain[key].isoformat() for key in ("start", "end")}


@dataclass(frozen=True)
class _Options:
    asset: str | None
    timeframe: Timeframe | None
    price_scale: float
    repair: bool
    replace: bool


def read_csv(path: str | Path, *, price_scale: float = 1.0) -> pl.DataFrame:
    """The bars of a text file, in the schema, in the file's order and not checked.

    Header names, delimiter, time form and common vendor layouts are found by themselves.

    Args:
        price_scale: what prices are multiplied with; 1e-5 reads 158611 as exactly 1.58611.

    Raises:
        BarsError: the file cannot be read, or a column, a time or a number in it; names row and column.
    """
    return bars_table(read_text_sheet(Path(path)), price_scale=price_scale).frame


def read_parquet(path: str | Path, *, price_scale: float = 1.0) -> pl.DataFrame:
    """The bars of a Parquet file from elsewhere; otherwise as :func:`read_csv`."""
    return bars_table(read_parquet_sheet(Path(path)), price_scale=price_scale).frame


def import_bars(
    sources: str | Path | Iterable[str | Path],
    root: str | Path,
    *,
    asset: str | None = None,
    timeframe: str | None = None,
    price_scale: float = 1.0,
    repair: bool = False,
    replace: bool = False,
) -> list[ImportReport]:
    """Import files, and folders of them, into the catalog at ``root``.

    A file that cannot be used is reported and leaves the others alone.

    Args:
        asset, timeframe: of all files; without them, each file's name tells, and its rows.
        price_scale: what prices are multiplied with.
        repair: sort rows, and drop exact duplicates.
        replace: take the new values where the catalog has others for the same time.

    Returns:
        One report for each file, in the order of the files.

    Raises:
        CatalogError: a source is not there, or the catalog cannot be opened.
        SpecError: the timeframe or the scale is not one.
    """
    check_scale(price_scale)
    length = None if timeframe is None else Timeframe.parse(timeframe)
    options = _Options(asset, length, price_scale, repair, replace)
    files = _files([sources] if isinstance(sources, str | Path) else sources)
    catalog = Catalog.open_or_create(root)
    return [_import_file(file, catalog, options) for file in files]


def import_funding(
    sources: str | Path | Iterable[str | Path],
    root: str | Path,
    *,
    asset: str | None = None,
    repair: bool = False,
    replace: bool = False,
) -> list[ImportReport]:
    """As :func:`import_bars`, for files of funding payments: a column of times, and one of the rates that longs pay."""
    options = _Options(asset, None, 1.0, repair, replace)
    files = _files([sources] if isinstance(sources, str | Path) else sources)
    catalog = Catalog.open_or_create(root)
    return [_import_funding_file(file, catalog, options) for file in files]


def _files(sources: Iterable[str | Path]) -> list[Path]:
    known = ", ".join(READERS)
    files: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            found = sorted(file for file in source.rglob("*") if file.suffix.lower() in READERS)
            if not found:
                raise CatalogError(f"{source}: the folder holds no file to import ({known})")
            files.extend(found)
        elif not source.exists():
            raise CatalogError(f"{source}: there is no such file or folder")
        elif source.suffix.lower() not in READERS:
            raise CatalogError(f"{source}: cannot be imported; it has to be one of {known}")
        else:
            files.append(source)
    return files


def _import_file(file: Path, catalog: Catalog, options: _Options) -> ImportReport:
    named = read_name(file)
    report = ImportReport(str(file), asset=options.asset or named.asset)
    try:
        asset = _known(report.asset, file)
        read = bars_table(read_sheet(file), price_scale=options.price_scale)
        table = _in_order(read, file, check_bars, repair=options.repair)
        timeframe = options.timeframe or named.timeframe
        if timeframe is None:
            timeframe = _from_rows(table.frame, file)
            table = replaced(table, notes=(*table.notes, f"timeframe {timeframe} is the rows' usual step"))
        _check_timeframe(table.frame, timeframe, file)
        report = replaced(report, timeframe=str(timeframe))
        changed = catalog.write(asset, timeframe, table.frame, replace=options.replace, source=str(file))
    except BacktuneError as error:
        return replaced(report, error=str(error))
    notes = table.notes if changed else (*table.notes, "the catalog has these bars already")
    return filled(replaced(report, notes=notes), table.frame, timeframe)


def _import_funding_file(file: Path, catalog: Catalog, options: _Options) -> ImportReport:
    report = ImportReport(str(file), asset=options.asset or asset_of_funding(file), timeframe=FUNDING)
    try:
        asset = _known(report.asset, file)
        table = _in_order(rates_table(read_sheet(file)), file, check_rates, repair=options.repair)
        changed = catalog.write_funding(asset, table.frame, replace=options.replace, source=str(file))
    except BacktuneError as error:
        return replaced(report, error=str(error))
    notes = table.notes if changed else (*table.notes, "the catalog has these payments already")
    if asset not in catalog.assets():
        notes = (*notes, f"the catalog has no bars of {asset} yet")
    times = table.frame["timestamp"].to_physical()
    start, end = to_datetime(int(times[0])), to_datetime(int(times[-1]))
    return replaced(report, rows=len(times), start=start, end=end, notes=notes)


def _known(asset: str | None, file: Path) -> str:
    if asset is None:
        raise CatalogError(f"{file}: the file's name does not tell the asset; pass --asset")
    return asset


def filled(report: ImportReport, frame: pl.DataFrame, timeframe: Timeframe) -> ImportReport:
    """The report with what can be told from the imported bars (sorted, not empty)."""
    gaps = find_gaps(frame, timeframe)
    opens = frame["timestamp"].to_physical()
    return replaced(
        report,
        rows=frame.height,
        start=to_datetime(int(opens[0])),
        end=to_datetime(int(opens[-1]) + timeframe.microseconds),
        gaps=gaps.count,
        longest_gap_seconds=gaps.longest_seconds,
    )


def _in_order(table: Table, file: Path, check: Callable[..., pl.DataFrame], *, repair: bool) -> Table:
    """Checked rows, oldest first. A file that runs strictly backwards is a vendor's layout and is reversed."""
    notes = list(table.notes)
    # columns: row, and those of the table
    frame = table.frame.with_row_index("row")
    time = pl.col("timestamp")
    if frame.height > 1 and frame.select((time.diff() < pl.duration()).drop_nulls().all()).item():
        frame = frame.reverse()
        notes.append("newest first: reversed")
    if repair:
        unique = frame.unique(subset=table.frame.columns, keep="first", maintain_order=True)
        if unique.height < frame.height:
            notes.append(f"dropped {frame.height - unique.height} exact duplicates")
        backward = int(unique.select((time.diff() < pl.duration()).sum()).item())
        if backward:
            notes.append(f"sorted: {backward} rows were older than the row before")
        frame = unique.sort("timestamp", maintain_order=True)
    return Table(check(frame.drop("row"), source=file, rows=frame["row"]), tuple(notes))


def _from_rows(frame: pl.DataFrame, file: Path) -> Timeframe:
    steps = common_step(frame)
    if steps is None:
        raise BarsError(
            "neither the file's name nor a single row tells the timeframe; pass --timeframe", source=file
        )
    return Timeframe(max(1, steps[1]))


def _check_timeframe(frame: pl.DataFrame, timeframe: Timeframe, file: Path) -> None:
    steps = common_step(frame)
    if steps is not None and steps[0] != timeframe.seconds:
        smallest, usual = (Timeframe(max(1, step)) for step in steps)
        raise BarsError(
            f"the timeframe is said to be {timeframe}, but the rows are {smallest} apart at the least and "
            f"{usual} usually; pass the right --timeframe",
            source=file,
            column="timestamp",
        )
