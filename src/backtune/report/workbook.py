"""The one door to xlsxwriter: tables as the sheets of an Excel workbook.

Text stays text, even where it starts like a formula or a link.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backtune.errors import MissingPackageError

# The most lines of a sheet, headings included.
MOST_LINES = 1_048_576
# Excel takes 32,767 units of 16 bits in a field, of which a letter may need two. More is cut off.
MOST_LETTERS = 16_383

SheetField = str | float | bool | None


@dataclass(frozen=True)
class SheetColumn:
    """A column of a sheet.

    Attributes:
        name: Heading of the column.
        width: Width in characters.
        number_format: Excel number format such as ``0.0%``; empty for the general format.
    """

    name: str
    width: float
    number_format: str = ""


@dataclass(frozen=True)
class WorkbookSheet:
    """A table with frozen headings. Lines beyond :data:`MOST_LINES` are left out."""

    name: str
    columns: tuple[SheetColumn, ...]
    lines: Iterable[Sequence[SheetField]]


def build_workbook(title: str, sheets: Iterable[WorkbookSheet]) -> bytes:
    """Return sheets as one workbook; equal sheets give equal bytes. Undefined numbers are empty fields.

    Raises:
        MissingPackageError: xlsxwriter is not installed.
        OSError: The disk of temporary files is full; sheets are written there first, line by line.
    """
    try:
        import xlsxwriter
        from xlsxwriter.exceptions import FileCreateError
    except ImportError:
        raise MissingPackageError("an Excel report", "xlsxwriter", "report") from None
    options = {
        # Keeps one line in memory: a sheet may have a million.
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "use_zip64": True,
    }
    whole = io.BytesIO()
    try:
        with xlsxwriter.Workbook(whole, options) as workbook:
            workbook.set_properties({"title": title, "created": datetime(2000, 1, 1)})  # noqa: DTZ001
            for sheet in sheets:
                _write(workbook, sheet)
    except FileCreateError as error:
        cause = error.args[0] if error.args else None
        raise cause if isinstance(cause, OSError) else OSError(str(error)) from error
    return whole.getvalue()


def _write(workbook: Any, sheet: WorkbookSheet) -> None:
    page = workbook.add_worksheet(sheet.name)
    page.freeze_panes(1, 0)
    heading = workbook.add_format({"bold": True, "bottom": 1})
    formats = []
    for place, column in enumerate(sheet.columns):
        formats.append(workbook.add_format({"num_format": column.number_format or "General"}))
        page.set_column(place, place, column.width)
        page.write_string(0, place, _text(column.name), heading)
    n_lines = 1
    for line in sheet.lines:
        if n_lines == MOST_LINES:
            break
        for place, field in enumerate(line):
            _write_field(page, n_lines, place, field, formats[place])
        n_lines += 1
    if n_lines > 1:
        page.autofilter(0, 0, n_lines - 1, len(sheet.columns) - 1)


def _write_field(page: Any, line: int, place: int, field: SheetField, own_format: Any) -> None:
    if isinstance(field, bool):
        page.write_boolean(line, place, field, own_format)
    elif isinstance(field, str):
        page.write_string(line, place, _text(field), own_format)
    elif field is not None and math.isfinite(field):
        page.write_number(line, place, field, own_format)


def _text(text: str) -> str:
    """Return text as a field can hold it. Xlsxwriter would write text that starts with this tag as markup."""
    shown = text[:MOST_LETTERS]
    return f" {shown}" if shown.startswith("<r>") else shown
