"""Bars and funding as Parquet bytes, and back."""

from __future__ import annotations

import io

import polars as pl

from backtune.data.schema import SCHEMA
from backtune.errors import BarsError

# A month or two of one-minute bars: a window reads only the groups that it touches.
_ROWS_PER_GROUP = 65_536
# A damaged file can also trip an assertion inside Polars.
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


def encode(frame: pl.DataFrame, schema: pl.Schema = SCHEMA) -> bytes:
    """A frame in the schema as the content of a Parquet file."""
    buffer = io.BytesIO()
    frame.select(schema.names()).write_parquet(buffer, compression="zstd", row_group_size=_ROWS_PER_GROUP)
    return buffer.getvalue()


def decode(
    content: bytes, schema: pl.Schema = SCHEMA, *, source: str, where: list[pl.Expr] | None = None
) -> pl.DataFrame:
    """The rows of a file that this package wrote, or those that satisfy all of ``where``.

    Raises:
        BarsError: the bytes are not Parquet, or not in the schema.
    """
    try:
        lazy = pl.scan_parquet(content)
        found_schema = lazy.collect_schema()
        for name, kind in schema.items():
            if found_schema.get(name) != kind:
                found = f"is {found_schema[name]}" if name in found_schema else "is missing"
                raise BarsError(f"{found}; it has to be {kind}", source=source, column=name)
        # columns: those of the schema
        return (lazy.filter(where) if where else lazy).select(schema.names()).collect()
    except UNREADABLE as error:
        raise unreadable(error, source) from error


def unreadable(error: BaseException, source: str, *, kind: str = "Parquet") -> BarsError:
    """The error for bytes that are not of a kind."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return BarsError(f"cannot be read as {kind} (damaged or cut off?): {reason}", source=source)
