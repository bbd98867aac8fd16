"""Files from elsewhere as tables: text or Parquet, columns as they stand."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from backtune.data.parquet import read_any
from backtune.errors import BarsError

# A tab or a semicolon splits nothing else, where a comma may also be a decimal mark.
_DELIMITERS: Final = ("\t", ";", "|", ",")
_SAMPLE_BYTES: Final = 65_536
_SAMPLE_LINES: Final = 50
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


@dataclass(frozen=True)
class Sheet:
    """The rows of a file below its header, if it has one.

    Attributes:
        frame: columns by position; of text from a text file, of any type from Parquet. Not empty.
        names: of the columns; made up where there is no header.
        first_row: its values as text.
    """

    path: Path
    frame: pl.DataFrame
    names: tuple[str, ...]
    first_row: tuple[str, ...]
    has_header: bool = True


def read_text_sheet(path: Path) -> Sheet:
    """Read a text file; delimiter, encoding and header are found.

    Raises:
        BarsError: the file cannot be read, or is not a table.
    """
    content = _utf8(path)
    sample = content[:_SAMPLE_BYTES].decode(errors="replace").splitlines()[:_SAMPLE_LINES]
    delimiter, skipped = _dialect(sample, path)
    rows = [row for row in csv.reader(sample[skipped:], delimiter=delimiter) if row]
    has_header = not any(_is_number(field) for field in rows[0])
    data = rows[1:] if has_header else rows
    if not data:
        raise BarsError("has a header and no rows", source=path)
    body = _after_lines(content, skipped + has_header)
    names = rows[0] if has_header else [f"column {i + 1}" for i in range(len(data[0]))]
    frame = _text_columns(body, delimiter, len(data[0]), path)
    return Sheet(path, frame, tuple(names), tuple(data[0]), has_header)


def read_parquet_sheet(path: Path) -> Sheet:
    """Read a Parquet file.

    Raises:
        BarsError: the file cannot be read, or has no rows.
    """
    frame = read_any(path)
    if frame.is_empty():
        raise BarsError("has no rows", source=path)
    return Sheet(path, frame, tuple(frame.columns), tuple(str(value) for value in frame.row(0)))


READERS: Final[Mapping[str, Callable[[Path], Sheet]]] = {
    ".csv": read_text_sheet,
    ".tsv": read_text_sheet,
    ".txt": read_text_sheet,
    ".parquet": read_parquet_sheet,
    ".pq": read_parquet_sheet,
}


def read_sheet(path: Path) -> Sheet:
    """Read a file by its suffix, one of ``READERS``."""
    return READERS[path.suffix.lower()](path)


def _utf8(path: Path) -> bytes:
    """The text of a file in UTF-8, with plain ends of lines and no blank lines."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BarsError(f"cannot be read: {error.strerror}", source=path) from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BarsError(f"is not text in UTF-8 or UTF-16: {error}", source=path) from error
    if not text.strip():
        raise BarsError("is empty", source=path)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANK_LINES.sub("\n", text).lstrip("\n").encode()


def _dialect(sample: list[str], path: Path) -> tuple[str, int]:
    """The delimiter, and how many lines of other matter stand before the table."""
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter)]
        width = Counter(w for w in widths if w).most_common(1)[0][0]
        if width > 1:
            return delimiter, next(i for i, w in enumerate(widths) if w >= max(2, width / 2))
    raise BarsError("is not a table: no tab, semicolon, bar or comma splits its lines", source=path)


def _text_columns(body: bytes, delimiter: str, width: int, path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(
            body,
            has_header=False,
            separator=delimiter,
            schema={f"column_{i + 1}": pl.String for i in range(width)},
        )
    except pl.exceptions.PolarsError as error:
        raise BarsError(f"cannot be read as a table: {str(error).splitlines()[0]}", source=path) from error
    # Spreadsheets end tables with lines of mere delimiters.
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))


def _after_lines(content: bytes, n_lines: int) -> bytes:
    at = 0
    for _ in range(n_lines):
        at = content.index(b"\n", at) + 1
    return content[at:]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
