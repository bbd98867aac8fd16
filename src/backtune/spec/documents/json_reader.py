"""JSON that means what it says: a key that stands twice is an error, and not a choice."""

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
    place,
    shortened,
)

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^\s\[\]{}:,"]+')


class _RepeatedKey(Exception):  # noqa: N818
    """Ends the decoding; where the key stands is looked up afterwards, which the decoder does not know."""


def parse_json(text: str, source: str = "") -> Any:
    """Return the plain values of a JSON text.

    Raises:
        RepeatedKeyError: a key stands twice in one object.
        SpecError: a whole number is too large, or the nesting too deep.
        json.JSONDecodeError: it is not JSON.
    """

    def whole(digits: str) -> int:
        if len(digits) > 20 or abs(int(digits)) > LARGEST_WHOLE:
            raise SpecError(place(source, ""), f"{shortened(digits)} is {TOO_LARGE}")
        return int(digits)

    try:
        return json.loads(text, object_pairs_hook=_unique, parse_int=whole)
    except _RepeatedKey:
        raise _repeated_key(text, source) from None
    except RecursionError:
        raise SpecError(place(source, ""), TOO_DEEP) from None


def check_json_keys(body: bytes) -> None:
    """Refuse a JSON body in which a key stands twice; what is no JSON at all is left to who reads it.

    Raises:
        RepeatedKeyError: a key stands twice in one object.
    """
    try:
        text = body.decode(json.detect_encoding(body))
        json.loads(text, object_pairs_hook=_unique)
    except _RepeatedKey:
        raise _repeated_key(text, "") from None
    except (ValueError, RecursionError):
        return


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKey
    return found


def _repeated_key(text: str, source: str) -> RepeatedKeyError:
    """Find the first repeated key; all up to the end of its object is known to be JSON."""
    seen: dict[str, int] = {}
    for path, line in _keys(text):
        if path in seen:
            return RepeatedKeyError(path.replace("\0", "."), (seen[path], line), source)
        seen[path] = line
    raise AssertionError("a decoder found a repeated key that is not there")


def _keys(text: str) -> Iterator[tuple[str, int]]:
    """Every key with its line, as a path of parts that a null character separates: a key may hold dots."""
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
