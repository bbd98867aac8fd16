"""The formats of a report, and writing one as a file."""

from __future__ import annotations

import json
from collections.abc import Callable

from backtune.report.content import ReportContent
from backtune.report.excel import render_excel
from backtune.report.html import render_html
from backtune.report.json_report import build_json_report
from backtune.report.markdown import render_markdown
from backtune.report.pdf import render_pdf
from backtune.storage.files import write_bytes
from backtune.storage.location import Location


def write_report(content: ReportContent, report_format: str, path: Location) -> None:
    """Write a report in one of :data:`REPORT_FORMATS`.

    Raises:
        ReportError: A package that the format needs is not installed.
        ResultsError: A log cannot be read, or the file cannot be written.
    """
    write_bytes(path, REPORT_FORMATS[report_format](content))


def _render_json(content: ReportContent) -> bytes:
    return (json.dumps(build_json_report(content), indent=2, allow_nan=False) + "\n").encode()


REPORT_FORMATS: dict[str, Callable[[ReportContent], bytes]] = {
    "html": lambda content: render_html(content).encode(),
    "json": _render_json,
    "md": lambda content: render_markdown(content).encode(),
    "pdf": render_pdf,
    "xlsx": render_excel,
}
