"""Results as frames."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import polars as pl

from backtune.results.row import Row
from backtune.results.runs import StoredSweep
from backtune.results.segments import read_log

_AS_TEXT = ("params", "plateau_centre", "centre_metrics", "warnings", "folds")


def leaderboard_frame(rows: Sequence[Row]) -> pl.DataFrame:
    """A line a row, in the columns of :meth:`~backtune.results.row.Row.to_json`; params,
    plateau_centre, centre_metrics, warnings and folds are JSON text.
    """
    lines = [row.to_json() for row in rows]
    for line, name in itertools.product(lines, _AS_TEXT):
        line[name] = json.dumps(line[name]) if line[name] is not None else None
    return pl.DataFrame(lines, infer_schema_length=None)


def trials_frame(run: StoredSweep, study: str) -> pl.DataFrame | None:
    """The trials of a study, its id first; else as :func:`~backtune.results.segments.read_log` has them.

    Raises:
        ResultsError: the log cannot be read.
    """
    log = read_log(run.study_folder(study))
    return None if log is None else log.insert_column(0, pl.lit(study).alias("study"))
