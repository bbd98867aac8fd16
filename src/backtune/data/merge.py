"""New rows into stored ones."""

from __future__ import annotations

import numpy as np
import polars as pl

from backtune.data.window import iso
from backtune.errors import BarsError
from backtune.spec.timeframe import Timeframe


def merge(stored: pl.DataFrame | None, new: pl.DataFrame, *, replace: bool, source: str) -> pl.DataFrame:
    """All rows of both, sorted by time, in the columns of ``new``.

    Raises:
        BarsError: a time has other values in ``new`` than in ``stored``, and ``replace`` is off.
    """
    if stored is None:
        return new
    if not replace:
        _check_agreement(stored, new, source)
    kept = stored.join(new, on="timestamp", how="anti")
    return pl.concat([kept, new]).sort("timestamp")


def check_spacing(frame: pl.DataFrame, timeframe: Timeframe, *, source: str) -> None:
    """Check that sorted bars of ``timeframe`` do not overlap.

    Raises:
        BarsError: a bar opens before the one before it has ended.
    """
    overlaps = np.flatnonzero(timeframe.steps(frame["timestamp"].to_physical().to_numpy()) < 1)
    if len(overlaps):
        row = int(overlaps[0]) + 1
        raise BarsError(
            f"opens {frame['timestamp'][row] - frame['timestamp'][row - 1]} after the bar before it, so these "
            f"are not bars of {timeframe}; pass the right --timeframe, or keep them under another asset name",
            source=source,
            row=row,
            column="timestamp",
        )


def _check_agreement(stored: pl.DataFrame, new: pl.DataFrame, source: str) -> None:
    # columns: those of new, and all but the timestamp of stored as *_stored
    shared = new.join(stored, on="timestamp", suffix="_stored", maintain_order="left")
    for name in new.columns[1:]:
        differs = shared.filter(pl.col(name) != pl.col(f"{name}_stored"))
        if differs.height:
            first = differs.row(0, named=True)
            moment = iso(int(differs["timestamp"].to_physical()[0]))
            raise BarsError(
                f"is {first[name]} at {moment}, the catalog has {first[f'{name}_stored']} "
                f"({differs.height} rows differ); --replace takes the new values",
                source=source,
                column=name,
            )
