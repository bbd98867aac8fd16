"""Bars straight out of a file, before they are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from backtune.data.ingest.sheet import read_sheet
from backtune.data.ingest.sources import find_sources
from backtune.data.ingest.table import Reading, read_tables
from backtune.data.schema import SCHEMA


def read_bars(path: Path, **choices: Any) -> pl.DataFrame:
    """Return the bars of a file of one asset in the schema, oldest first."""
    (source,) = find_sources([path])
    (table,) = read_tables(read_sheet(source), Reading(**choices))
    return table.frame.select(SCHEMA.names())
