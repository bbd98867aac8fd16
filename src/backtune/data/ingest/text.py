"""Text files as tables: encoding, delimiter, lines before the header, header and rows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

import polars as pl

from backtune.errors import BarsError

# A tab or a semicolon splits nothing else, where a comma may also be a decimal mark.
_DELIMITERS: Final = ("\t", ";", "|", ",")
_SAMPLE_BYTES: Final = 65_536
_SAMPLE_LINES: Final = 60
_MOST_HEADER_LINES: Final = 4
_NAMES: Final = frozenset({"open", "high", "low", "close", "volume", "date", "time"})
# The first cells of headers of several lines.
_LEVELS: Final = frozenset({"", "price", "ticker", "tickers", "symbols", "attributes", "date"})
_COMMENTS = re.compile(r"(?:[ \t]*(?:#|//)[^\n]*\n)+")
_ZONE = re.compile(r"(?i)time ?zone\W+([A-Za-z][\w/+:-]*|[+-]\d{1,2}:?\d{0,2})")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_NUMBER = re.compile(r"[-+(]?[$€£¥₹]?\s?[\d.,'\u00a0\u202f ]*\d[\d.,]*\)?\s?[%KMBTkmbt]?(?:[eE][-+]?\d+)?")
_STARTS_LIKE_A_DATE = re.compile(
    r"\d{1,4}[-/.]\w{1,3}[-/.]\d{1,4}|\d{1,2}:\d{2}|\w{3,9}\.? \d{1,2},? \d{2,4}"
)


@dataclass(frozen=True)
class TextTable:
    """A text file in columns.

    Attributes:
        header: The lines of the header, each with one cell a column; empty where there is none.
        frame: The rows below, every column of text.
        notes: Remarks on how the file was read.
        zone: The zone that a line before the table states, None where none does.
    """

    header: list[list[str]]
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    zone: str | None = None


def read_text_table(content: bytes, source: str) -> TextTable:
    """Read a text file; encoding, delimiter and header are found.

    Raises:
        BarsError: The content is not text, or not a table.
    """
    text, notes = _decode(content, source)
    head = _COMMENTS.match(text)
    text = text[head.end() :] if head else text
    zone = _ZONE.search(head[0]) if head else None
    stated = zone[1] if zone else None
    lines = text[:_SAMPLE_BYTES].splitlines()[:_SAMPLE_LINES]
    delimiter, skipped = _find_dialect(lines)
    if delimiter is None:
        text, lines = _tabs_for_blanks(text, source), []
        lines = text[:_SAMPLE_BYTES].splitlines()[:_SAMPLE_LINES]
        delimiter, skipped = "\t", 0
    rows = [row for row in csv.reader(lines[skipped:], delimiter=delimiter) if row]
    header = _leading_header(rows)
    titles = _count_titles(header)
    skipped, header, rows = skipped + titles, header[titles:], rows[titles:]
    data = rows[len(header) :]
    if not data:
        raise BarsError("has a header and no rows", source=source)
    if not header and _counts_columns(data[0]) and len(data) > 1:
        # pandas writes the numbers of columns without names as a header; before them stands the index.
        header, data = [[""] * len(data[0])], data[1:]
        frame = _text_columns(_after_lines(text, skipped + 1), delimiter, len(data[0]), source)
        if rows[0][0].strip() == "":
            frame = frame.drop(frame.columns[0])
        return TextTable([], frame, notes, stated)
    width = Counter(len(row) for row in data).most_common(1)[0][0]
    if header and len(header[-1]) == width + 1:
        width += 1
    frame = _text_columns(_after_lines(text, skipped + len(header)), delimiter, width, source)
    header = [_fit(line, frame) for line in header]
    return TextTable(header, frame, notes, stated)


def _decode(content: bytes, source: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with plain ends of lines and no blank lines, and a remark where the encoding was guessed."""
    notes: tuple[str, ...] = ()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif content[:400].count(0) >= len(content[:400]) // 3 and content[1:2] == b"\0":
        encoding = "utf-16-le"
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig" or re.search(rb"[\x00-\x08\x0e-\x1f]", content[:_SAMPLE_BYTES]):
            raise BarsError(
                f"is not text in UTF-8, UTF-16 or Windows-1252: {error}", source=source
            ) from error
        text = content.decode("cp1252", errors="replace")
        notes = ("read as Windows-1252, for it is not UTF-8",)
    if not text.strip("\ufeff \t\r\n\x1a"):
        raise BarsError("is empty", source=source)
    if "\0" in text[:_SAMPLE_BYTES]:
        raise BarsError("is not text in UTF-8, UTF-16 or Windows-1252: it holds zero bytes", source=source)
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")
    return _BLANK_LINES.sub("\n", text).lstrip("\n"), notes


def _find_dialect(lines: list[str]) -> tuple[str | None, int]:
    """Return the delimiter, None where no known one splits the lines, and the number of lines before the table."""
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        counted = Counter(w for w in widths if w).most_common(1)
        width = counted[0][0] if counted else 0
        # A word and a number, at the least; the decimal commas of a lone column would split it in two.
        if width > 1:
            return delimiter, next(i for i, w in enumerate(widths) if w >= max(2, width / 2))
    return None, 0


def _tabs_for_blanks(text: str, source: str) -> str:
    """Put tabs for runs of blanks where they split every line into the same five columns or more."""
    lines = text.rstrip("\n").split("\n")
    widths = {len(line.split()) for line in lines[:_SAMPLE_LINES]}
    if len(widths) != 1 or widths.pop() < 5:
        raise BarsError(
            "is not a table: no tab, semicolon, bar, comma or blank splits its lines", source=source
        )
    return "\n".join("\t".join(line.split()) for line in lines)


def _leading_header(rows: list[list[str]]) -> list[list[str]]:
    """Return the lines before the first one that holds a number or a time."""
    header: list[list[str]] = []
    for row in rows[:_MOST_HEADER_LINES]:
        cells = [cell.strip() for cell in row]
        if any(_NUMBER.fullmatch(cell) or _STARTS_LIKE_A_DATE.match(cell) for cell in cells):
            break
        header.append(row)
    return header


def _count_titles(header: list[list[str]]) -> int:
    """Return how many lines before the one that names the prices are titles, and no level of the header."""
    for at, line in enumerate(header):
        cells = {cell.strip().lower() for cell in line}
        if len(cells & _NAMES) >= 3:
            levels = header[0][0].strip().lower() in _LEVELS and len(header[0]) == len(line)
            return 0 if levels else at
    return 0


def _counts_columns(row: list[str]) -> bool:
    cells = [cell.strip() for cell in row]
    first = 1 if cells[0] == "" else 0
    return len(cells) > 3 and cells[first:] == [str(i) for i in range(len(cells) - first)]


def _fit(line: list[str], frame: pl.DataFrame) -> list[str]:
    """Give a line of the header one cell a column.

    One cell too few means a column of row numbers before the named ones, or a delimiter at the end of every row.
    """
    missing = frame.width - len(line)
    if missing == 1 and not frame.to_series(frame.width - 1).is_null().all():
        return ["", *line]
    return [*line, *[""] * missing][: frame.width]


def _text_columns(body: str, delimiter: str, width: int, source: str) -> pl.DataFrame:
    try:
        frame = pl.read_csv(
            body.encode(),
            has_header=False,
            separator=delimiter,
            schema={f"column_{i + 1}": pl.String for i in range(width)},
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise BarsError(f"cannot be read as a table: {str(error).splitlines()[0]}", source=source) from error
    # Spreadsheets end tables with lines of mere delimiters.
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if frame.is_empty():
        raise BarsError("has a header and no rows", source=source)
    return frame


def _after_lines(text: str, n_lines: int) -> str:
    at = 0
    for _ in range(n_lines):
        at = text.index("\n", at) + 1
    return text[at:]
