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
from backtune.spec.documents.problems import format_place
from backtune.spec.documents.yaml_notation import BareWord, parse_yaml


@dataclass(frozen=True)
class Document:
    """The plain values of a document.

    Attributes:
        value: The mappings, lists, texts, numbers, truth values, dates and None.
        bare_words: The bare words of YAML that are not text, by dotted path.
    """

    value: Any
    bare_words: Mapping[str, BareWord] = field(default_factory=dict)

    def explain(self, error: SpecError) -> SpecError:
        """Return an error with the text that the document has for the value, where YAML reads it as something else."""
        word = self.bare_words.get(error.key)
        if word is None:
            return error
        if not error.is_text_due:
            if isinstance(word.value, int | float) and not isinstance(word.value, bool):
                return error
            problem = f"{error.problem} (line {word.line} has {word.text or 'nothing'}, which YAML reads as {word.meaning})"
        elif word.text:
            problem = f"{word.text} is read as {word.meaning} in YAML; write '{word.text}' (line {word.line})"
        else:
            problem = f"is left empty; write a text (line {word.line})"
        return SpecError(
            error.key, problem, value=error.value, allowed=error.allowed, is_text_due=error.is_text_due
        )


def read_document(path: Path) -> Document:
    """Read a YAML or JSON file that holds one document.

    Raises:
        RepeatedKeyError: A key stands twice in one mapping.
        SpecError: The file cannot be read, is neither YAML nor JSON, or holds a value that cannot be one.
    """
    return read_text(_read_file(path), str(path))


def read_documents(path: Path) -> list[Document]:
    """Read all documents of a YAML or JSON file, without empty ones.

    Raises:
        RepeatedKeyError, SpecError: The same as for :func:`read_document`.
    """
    return [one for one in _split_documents(_read_file(path), str(path)) if one.value is not None]


def read_text(text: str, source: str = "") -> Document:
    """Read a text that holds one document.

    Args:
        text: The text to read.
        source: The name of the text in messages.

    Raises:
        RepeatedKeyError, SpecError: The same as for :func:`read_document`.
    """
    found = _split_documents(text, source)
    if len(found) > 1:
        raise SpecError(
            format_place(source, ""), f"holds {len(found)} documents; one is read, so leave out the '---'"
        )
    return found[0] if found else Document(None)


def _read_file(path: Path) -> str:
    try:
        # Editors of Windows begin a file with a mark of the byte order.
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _split_documents(text: str, source: str) -> list[Document]:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [Document(parse_json(text, source))]
        except json.JSONDecodeError as error:
            if source.endswith(".json"):
                problem = f"{error.msg} (line {error.lineno}, column {error.colno})"
                raise SpecError(source, f"is not JSON: {problem}") from None
            # YAML writes lists and mappings in brackets too.
    try:
        return [Document(value, words) for value, words in parse_yaml(text, source)]
    except yaml.YAMLError as error:
        raise SpecError(
            format_place(source, ""), f"is not YAML or JSON: {_describe_syntax_error(error)}"
        ) from None


def _describe_syntax_error(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    said = ", ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    return f"{said} (line {mark.line + 1}, column {mark.column + 1})" if mark else said
