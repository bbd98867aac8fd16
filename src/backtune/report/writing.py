"""Reports as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from backtune.report.as_json import json_report
from backtune.report.content import Content
from backtune.report.html import html_report
from backtune.report.markdown import markdown_report
from backtune.results.files import write_atomically


def written_report(content: Content, report_format: str, path: Path) -> None:
    """Write a report in one of :data:`FORMATS`.

    Raises:
        ResultsError: a log cannot be read, or the file cannot be written.
    """
    text = FORMATS[report_format](content)
    write_atomically(path, lambda file: file.write(text.encode()))


def _json_text(content: Content) -> str:
    return json.dumps(json_report(content), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Content], str]] = {
    "html": html_report,
    "json": _json_text,
    "md": markdown_report,
}
