"""A file or a text as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from backtune.errors import SpecError
from backtune.spec.documents.json_reader import parse_json
from backtune.spec.documents.problems import place
from backtune.spec.documents.yaml_reader import Written, parse_yaml


@dataclass(frozen=True)
class Document:
    """What a document holds.

    Attributes:
        value: mappings, lists, texts, numbers, truth values, dates and None.
        written: bare words of YAML that are not text, by dotted path.
    """

    value: Any
    written: Mapping[str, Written] = field(default_factory=dict)

    def explained(self, error: SpecError) -> SpecError:
        """Return an error about a value of the document with what stands there, where YAML reads that as something else."""
        written = self.written.get(error.key)
        if written is None:
            return error
        if not error.text_due:
            if isinstance(written.value, int | float) and not isinstance(written.value, bool):
                return error
            problem = f"{error.problem} (line {written.line} has {written.text or 'nothing'}, which YAML reads as {written.meaning})"
        elif written.text:
            problem = f"{written.text} is read as {written.meaning} in YAML; write '{written.text}' (line {written.line})"
        else:
            problem = f"is left empty; write a text (line {written.line})"
        return SpecError(
            error.key, problem, value=error.value, allowed=error.allowed, text_due=error.text_due
        )


def read_document(path: Path) -> Document:
    """Read a YAML or JSON file that holds one document.

    Raises:
        RepeatedKeyError: a key stands twice in one mapping.
        SpecError: it cannot be read, is neither YAML nor JSON, or holds a value that cannot be one.
    """
    return read_text(_content(path), str(path))


def read_documents(path: Path) -> list[Document]:
    """Read all documents of a YAML or JSON file, without empty ones.

    Raises:
        RepeatedKeyError, SpecError: as for :func:`read_document`.
    """
    return [one for one in _documents(_content(path), str(path)) if one.value is not None]


def read_text(text: str, source: str = "") -> Document:
    """Read a text that holds one document.

    Args:
        source: of the text, for messages.

    Raises:
        RepeatedKeyError, SpecError: as for :func:`read_document`.
    """
    found = _documents(text, source)
    if len(found) > 1:
        raise SpecError(
            place(source, ""), f"holds {len(found)} documents; one is read, so leave out the '---'"
        )
    return found[0] if found else Document(None)


def _content(path: Path) -> str:
    try:
        # Editors of Windows begin a file with a mark of the byte order.
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _documents(text: str, source: str) -> list[Document]:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [Document(parse_json(text, source))]
        except json.JSONDecodeError as error:
            if source.endswith(".json"):
                problem = f"{error.msg} (line {error.lineno}, column {error.colno})"
                raise SpecError(source, f"is not JSON: {problem}") from None
            # YAML writes lists and mappings in brackets too.
    try:
        return [Document(value, written) for value, written in parse_yaml(text, source)]
    except yaml.YAMLError as error:
        raise SpecError(place(source, ""), f"is not YAML or JSON: {_syntax_problem(error)}") from None


def _syntax_problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    said = ", ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    return f"{said} (line {mark.line + 1}, column {mark.column + 1})" if mark else said
