"""The one door to typst, which sets a report on pages.

The layout is in ``page.typ``, colours and the style of figures are those of ``page.css`` on light paper. Texts are passed as
data, so that none of them can become markup.
"""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from backtune.errors import MissingPackageError, ReportError
from backtune.report.markup import Markup

_FOLDER = Path(__file__).parent
_COLOUR = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")
_FIGURE_RULE = re.compile(r"^\.figure [^{+]+\{[^}]*\}", re.MULTILINE)
_LABEL = re.compile(r'aria-label="([^"]*)"')
_NAMESPACE = "http://www.w3.org/2000/svg"
_FONT = "Libertinus Serif"


def typeset_pages(document: dict[str, Any], form: Literal["pdf", "png"] = "pdf") -> list[bytes]:
    """Return a document as one PDF, or as an image for each page.

    The same document gives the same bytes where the same fonts are; letters that the built-in fonts lack are taken from the
    system's.

    Args:
        document: Plain data as ``page.typ`` reads it, with figures made by :func:`embed_figure_style`.
        form: The format of the result.

    Raises:
        MissingPackageError: Typst is not installed.
        ReportError: Typst cannot set the document.
    """
    typst = import_typst()
    layout = (_FOLDER / "page.typ").read_bytes()
    inputs = {"data": json.dumps({**document, "colours": _colours()}, allow_nan=False)}
    try:
        made = typst.compile(layout, format=form, sys_inputs=inputs, ppi=110.0)
    except typst.TypstError as error:
        raise ReportError(f"the pages cannot be set: {error.message}") from error
    return made if isinstance(made, list) else [made]


def import_typst() -> ModuleType:
    """Return the typst module.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import typst
    except ImportError:
        raise MissingPackageError("a PDF report", "typst", "report") from None
    return typst


def embed_figure_style(figure: Markup) -> dict[str, str]:
    """Return a figure as an SVG image with its own style, and its alternative text."""
    label = _LABEL.search(figure.text)
    head, _, inside = figure.text.removeprefix("<svg").partition(">")
    svg = f'<svg xmlns="{_NAMESPACE}"{head}><style>{_figure_style()}</style>{inside}'
    return {"svg": svg, "alt": unescape(label[1]) if label else ""}


def _style() -> str:
    return (_FOLDER / "page.css").read_text(encoding="utf-8")


def _colours() -> dict[str, str]:
    """Return the colours of the light theme, which the style sheet lists first."""
    found: dict[str, str] = {}
    for name, colour in _COLOUR.findall(_style()):
        found.setdefault(name, colour)
    return found


def _figure_style() -> str:
    """Return the style rules of figures with their variables resolved: typst does not know variables in SVG."""
    colours = _colours()
    rules = "".join(_FIGURE_RULE.findall(_style()))
    resolved = re.sub(r"var\(--([\w-]+)\)", lambda match: colours[match[1]], rules)
    return f'.figure text {{ font-family: "{_FONT}"; }}{resolved}'
