"""The reader of JSON, which refuses a key that stands twice in one object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from backtune.errors import SpecError
from backtune.spec.documents.problems import (
    LARGEST_WHOLE,
    TOO_DEEP,
    TOO_LARGE,
    RepeatedKeyError,
    format_place,
    shorten,
)

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^\s\[\]{}:,"]+')


class _RepeatedKey(Exception):  # noqa: N818
    """Ends the decoding; the place of the key, which the decoder does not know, is looked up afterwards."""


def parse_json(text: str, source: str = "") -> Any:
    """Return the plain values of a JSON text.

    Raises:
        RepeatedKeyError: A key stands twice in one object.
        SpecError: A whole number is too large, or the nesting too deep.
        json.JSONDecodeError: The text is not JSON.
    """

    def read_whole(digits: str) -> int:
        if len(digits) > 20 or abs(int(digits)) > LARGEST_WHOLE:
            raise SpecError(format_place(source, ""), f"{shorten(digits)} is {TOO_LARGE}")
        return int(digits)

    try:
        return json.loads(text, object_pairs_hook=_build_object, parse_int=read_whole)
    except _RepeatedKey:
        raise _find_repeated_key(text, source) from None
    except RecursionError:
        raise SpecError(format_place(source, ""), TOO_DEEP) from None


def check_json_keys(body: bytes) -> None:
    """Refuse a JSON body in which a key stands twice; a body that is no JSON is left to its reader.

    Raises:
        RepeatedKeyError: A key stands twice in one object.
    """
    try:
        text = body.decode(json.detect_encoding(body))
        json.loads(text, object_pairs_hook=_build_object)
    except _RepeatedKey:
        raise _find_repeated_key(text, "") from None
    except (ValueError, RecursionError):
        return


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKey
    return found


def _find_repeated_key(text: str, source: str) -> RepeatedKeyError:
    """Return the error of the first repeated key; the text up to the end of its object is known to be JSON."""
    seen: dict[str, int] = {}
    for path, line in _list_keys(text):
        if path in seen:
            return RepeatedKeyError(path.replace("\0", "."), (seen[path], line), source)
        seen[path] = line
    raise AssertionError("a decoder found a repeated key that is not there")


def _list_keys(text: str) -> Iterator[tuple[str, int]]:
    """Yield every key with its line, as a path of parts that a null character separates: a key may hold dots."""
    # A part of the path for each open object or array: the key, or the place, of what is read at the moment.
    parts: list[str | int] = []
    before = ""
    line, read = 1, 0
    for match in _TOKEN.finditer(text):
        piece = match[0]
        line += text.count("\n", read, match.start())
        read = match.start()
        if piece in "{[":
            parts.append("" if piece == "{" else 0)
        elif piece in "}]":
            parts.pop()
        elif piece == "," and isinstance(parts[-1], int):
            parts[-1] += 1
        elif before in ("{", ",") and piece.startswith('"') and isinstance(parts[-1], str):
            parts[-1] = json.loads(piece)
            yield "\0".join(map(str, parts)), line
        before = piece
