"""Documents in plain values with one key misspelt, for tests that every such key is found."""

import copy
from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


def find_keys(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every key of every mapping: the keys and numbers that lead to it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        if isinstance(key, str):
            yield (*place, key)
        yield from find_keys(inner, (*place, key))


def get_value(document: Any, place: Place) -> Any:
    """Return the value at a place."""
    for part in place:
        document = document[part]
    return document


def rename_key(document: Any, place: Place, name: str) -> Any:
    """Return a copy of a document with another name for one key, in the same order."""
    changed = copy.deepcopy(document)
    parent = get_value(changed, place[:-1])
    content = {name if key == place[-1] else key: inner for key, inner in parent.items()}
    parent.clear()
    parent.update(content)
    return changed
