"""Checks that a file belongs to a series that the catalog has already: by its name, and by the level of its prices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import polars as pl

from backtune.data.catalog import Catalog
from backtune.data.funding import FUNDING
from backtune.data.ingest.file_names import stem_of
from backtune.data.ingest.name_parts import read_length
from backtune.data.ingest.sources import Source
from backtune.data.window import to_datetime
from backtune.errors import BarsError, CatalogError
from backtune.spec.timeframe import Timeframe

# New rows at another level than stored ones at the same times, by this share, were adjusted otherwise.
_OTHER_LEVEL: Final = 0.05


def check_same_series(asset: str, timeframe: Timeframe | None, source: Source, catalog: Catalog) -> None:
    """Refuse a file whose name differs from those that gave a series its rows so far.

    Raises:
        CatalogError: The words beside asset and length are others; --asset says that the file is meant all the same.
    """
    own = _words_beside_asset(source.path, asset)
    for other in catalog.sources(asset, timeframe):
        if other.sha256 is not None and _words_beside_asset(Path(other.name), asset) != own:
            raise CatalogError(
                f"{source.label}: {asset} {timeframe or FUNDING} has bars from files named like {other.name!r}; pass --asset {asset} if this "
                "file holds the same market, or another name for --asset if it does not"
            )


def compare_price_level(
    asset: str, timeframe: Timeframe, frame: pl.DataFrame, catalog: Catalog, source: Source, *, replaces: bool
) -> tuple[str, ...]:
    """Compare new bars with stored ones at the same times: prices at another level were adjusted otherwise.

    Returns:
        A remark where the level is another one.

    Raises:
        BarsError: They would replace a part of the stored bars and leave a step at the border.
    """
    stored = catalog.stored_bars(asset, timeframe, frame)
    if stored is None or stored.frame.is_empty():
        return ()
    both = frame.join(stored.frame, on="timestamp", suffix="_stored")
    if both.height == 0:
        return ()
    ratio = float((both["close"] / both["close_stored"]).median() or 1.0)  # type: ignore[arg-type]
    if abs(ratio - 1) <= _OTHER_LEVEL:
        return ()
    first, last = (int(moment) for moment in frame["timestamp"].to_physical()[[0, -1]])
    covers = stored.first >= to_datetime(first) and stored.last <= to_datetime(timeframe.end_of(last))
    if replaces and not covers:
        raise BarsError(
            f"its prices are {ratio:.4g} times those that the catalog has of {asset} at the same times (adjusted for a split, or "
            f"in another unit?), and the catalog has bars from {stored.first:%Y-%m-%d} to {stored.last:%Y-%m-%d}, of which this "
            "file would replace a part and leave a step at the border; import a file with the whole history",
            source=source.label,
            column="close",
        )
    return (f"prices are {ratio:.4g} times those that the catalog had",)


def _words_beside_asset(path: Path, asset: str) -> tuple[str, ...]:
    """Return the words of a file's name that are neither the asset nor a length of bars nor numbers of periods.

    Files of one series share them: ``Binance_BTCUSDT_1h`` and ``BTCUSDT-1h-2024-01`` do not.
    """
    rest = re.sub(re.escape(asset), " ", stem_of(path), flags=re.IGNORECASE)
    words = re.findall(r"[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*", rest)
    return tuple(word.lower() for word in words if read_length(word) is None)
