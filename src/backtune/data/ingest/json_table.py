"""JSON documents as tables: lists of rows, lists of records, columns, and records by time, at any depth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from backtune.errors import BarsError

_MOST_DEPTH = 8


def read_json_table(content: bytes, source: str) -> tuple[tuple[str, ...] | None, pl.DataFrame, str | None]:
    """Find the longest table in a JSON document, or in one with a record on each line.

    Returns:
        The names of the columns, None where the rows are mere lists; the rows as text and numbers; and the zone that the
        document states, None where it states none.

    Raises:
        BarsError: The content is not JSON, or holds no table.
    """
    try:
        document = _parse(content)
    except (ValueError, RecursionError) as error:
        raise BarsError(f"is not JSON: {error}", source=source) from error
    tables = sorted(_tables_in(document, 0), key=lambda table: table[1].height)
    if not tables:
        raise BarsError(
            "holds no table: neither a list of rows or records, nor lists of equal length by name, nor records by time",
            source=source,
        )
    return *tables[-1], _zone_in(document, 0)


def _zone_in(node: Any, depth: int) -> str | None:
    """Return the value of a key such as ``6. Time Zone`` or ``exchange_timezone``."""
    if not isinstance(node, Mapping) or depth > 3:
        return None
    for name, value in node.items():
        if isinstance(value, str) and re.search(r"time_?\s?zone$", str(name), re.IGNORECASE):
            return value
    return next((zone for value in node.values() if (zone := _zone_in(value, depth + 1))), None)


def _parse(content: bytes) -> Any:
    text = content.decode("utf-8-sig").strip()
    if not text:
        raise ValueError("it is empty")
    try:
        return json.loads(text)
    except ValueError:
        lines = text.splitlines()
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines if line.strip()]


def _tables_in(node: Any, depth: int) -> Iterator[tuple[tuple[str, ...] | None, pl.DataFrame]]:
    if depth > _MOST_DEPTH:
        return
    table = _table_of(node)
    if table is not None:
        yield table
        return
    inside = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for part in inside:
        if isinstance(part, Mapping | list):
            yield from _tables_in(part, depth + 1)


def _table_of(node: Any) -> tuple[tuple[str, ...] | None, pl.DataFrame] | None:
    """Return the table that a node is, or None."""
    if isinstance(node, list) and node:
        if all(isinstance(row, list) and len(row) == len(node[0]) >= 5 for row in node):
            return None, _frame(list(zip(*node, strict=True)))
        if all(isinstance(row, Mapping) for row in node):
            names = tuple(dict.fromkeys(str(name) for row in node for name in row))
            if len(names) >= 5:
                return names, _frame([[row.get(name) for row in node] for name in names])
    if isinstance(node, Mapping) and node:
        values = list(node.values())
        if all(isinstance(value, Mapping) for value in values) and len(values) > 1:
            return _records_by_key(node)
        return _columns(node)
    return None


def _records_by_key(node: Mapping[str, Any]) -> tuple[tuple[str, ...], pl.DataFrame] | None:
    """Read ``{time: {open: ...}}``, or ``{open: {time: ...}}`` as pandas writes a frame."""
    keys = list(node)
    inner = list(dict.fromkeys(str(name) for value in node.values() for name in value))
    if _names_prices(keys) and not _names_prices(inner):
        columns = [[node[name].get(key) for key in inner] for name in keys]
        return ("", *keys), _frame([inner, *columns])
    if _names_prices(inner):
        columns = [[node[key].get(name) for key in keys] for name in inner]
        return ("", *inner), _frame([keys, *columns])
    return None


def _columns(node: Mapping[str, Any]) -> tuple[tuple[str, ...], pl.DataFrame] | None:
    """Read ``{open: [...], ...}``, also where times stand beside a nested record of the prices, as Yahoo sends them."""
    lists: dict[str, list[Any]] = {}
    _collect_lists(node, lists, 0)
    if not _names_prices(list(lists)):
        return None
    length = max((len(v) for k, v in lists.items() if k.lower() in ("open", "o")), default=0)
    same = {name: values for name, values in lists.items() if len(values) == length}
    return (tuple(same), _frame(list(same.values()))) if length and _names_prices(list(same)) else None


def _collect_lists(node: Any, lists: dict[str, list[Any]], depth: int) -> None:
    if isinstance(node, list) and len(node) == 1:
        node = node[0]
    if not isinstance(node, Mapping) or depth > _MOST_DEPTH:
        return
    for name, value in node.items():
        if isinstance(value, list) and value and not any(isinstance(v, Mapping | list) for v in value):
            lists.setdefault(str(name), value)
        else:
            _collect_lists(value, lists, depth + 1)


def _names_prices(names: list[str]) -> bool:
    plain = {str(name).lower().rsplit(". ", 1)[-1] for name in names}
    return {"open", "high", "low", "close"} <= plain or {"o", "h", "l", "c"} <= plain


def _frame(columns: list[Any]) -> pl.DataFrame:
    return pl.DataFrame([_series(f"column_{i}", list(values)) for i, values in enumerate(columns)])


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return a column of whole numbers, of floats, or else of text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int}:
        return pl.Series(name, values, dtype=pl.Int64, strict=False)
    if kinds <= {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
