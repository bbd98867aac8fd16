"""Reports as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO

from backtune.report.as_json import json_report
from backtune.report.content import Content
from backtune.report.excel import write_excel_report
from backtune.report.html import html_report
from backtune.report.markdown import markdown_report
from backtune.report.pdf import pdf_report
from backtune.storage.files import write_atomically
from backtune.storage.location import Location


def written_report(content: Content, report_format: str, path: Location) -> None:
    """Write a report in one of :data:`FORMATS`.

    Raises:
        ReportError: what the format takes is not installed.
        ResultsError: a log cannot be read, or the file cannot be written.
    """
    write_atomically(path, lambda file: FORMATS[report_format](content, file))


def _write_html(content: Content, file: IO[bytes]) -> None:
    file.write(html_report(content).encode())


def _write_json(content: Content, file: IO[bytes]) -> None:
    file.write((json.dumps(json_report(content), indent=2, allow_nan=False) + "\n").encode())


def _write_markdown(content: Content, file: IO[bytes]) -> None:
    file.write(markdown_report(content).encode())


def _write_pdf(content: Content, file: IO[bytes]) -> None:
    file.write(pdf_report(content))


FORMATS: dict[str, Callable[[Content, IO[bytes]], None]] = {
    "html": _write_html,
    "json": _write_json,
    "md": _write_markdown,
    "pdf": _write_pdf,
    "xlsx": write_excel_report,
}
