"""The formats of a report, and writing one as a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO

from backtune.report.content import ReportContent
from backtune.report.excel import write_excel_report
from backtune.report.html import render_html
from backtune.report.json_report import build_json_report
from backtune.report.markdown import render_markdown
from backtune.report.pdf import render_pdf
from backtune.storage.files import write_atomically
from backtune.storage.location import Location


def write_report(content: ReportContent, report_format: str, path: Location) -> None:
    """Write a report in one of :data:`REPORT_FORMATS`.

    Raises:
        ReportError: A package that the format needs is not installed.
        ResultsError: A log cannot be read, or the file cannot be written.
    """
    write_atomically(path, lambda file: REPORT_FORMATS[report_format](content, file))


def _write_html(content: ReportContent, file: IO[bytes]) -> None:
    file.write(render_html(content).encode())


def _write_json(content: ReportContent, file: IO[bytes]) -> None:
    file.write((json.dumps(build_json_report(content), indent=2, allow_nan=False) + "\n").encode())


def _write_markdown(content: ReportContent, file: IO[bytes]) -> None:
    file.write(render_markdown(content).encode())


def _write_pdf(content: ReportContent, file: IO[bytes]) -> None:
    file.write(render_pdf(content))


REPORT_FORMATS: dict[str, Callable[[ReportContent, IO[bytes]], None]] = {
    "html": _write_html,
    "json": _write_json,
    "md": _write_markdown,
    "pdf": _write_pdf,
    "xlsx": write_excel_report,
}
