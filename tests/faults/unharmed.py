"""What must hold of a sweep that came to its end, whatever happened before."""

from collections.abc import Collection

import polars as pl
from buckets import files_below
from sweeps import assert_same_rows, rows_of, wait_for

from backtune.storage.files import read_bytes
from backtune.storage.location import Location
from faults.disturbed import Disturbed, Rows

# What may lie in a runs folder while a sweep runs.
_PASSING = (".stop", ".deaths.json")


def assert_unharmed(
    sweep: Disturbed, expected: Rows, *, but: Collection[str] = (), settle_seconds: float = 20.0
) -> None:
    """The sweep has lost, doubled, changed, run again and left behind nothing.

    Args:
        expected: the rows of an undisturbed run.
        but: columns that may differ from them.
        settle_seconds: what is left behind gets so long to go away.

    Raises:
        AssertionError: says what of it does not hold.
    """
    run = sweep.run
    numbers = {study.id: _numbers(run.study_folder(study.id)) for study in run.studies}
    budgets = {study.id: study.budget for study in run.studies}
    lost = {name: sorted(set(range(budgets[name])) - set(found)) for name, found in numbers.items()}
    assert not any(lost.values()), f"lost: {lost}"
    doubled = {name: sorted({n for n in found if found.count(n) > 1}) for name, found in numbers.items()}
    assert not any(doubled.values()), f"doubled: {doubled}"
    assert_same_rows(_without(rows_of(run), but), _without(expected, but))
    again = sweep.run_again()
    assert not again, f"finished trials were run again: {again[:10]}"
    parts = [path for path in files_below(sweep.runs) if path.name.endswith(".part") or path.name in _PASSING]
    assert not parts, f"the runs folder has temporary files: {parts}"
    wait_for(lambda: not sweep.traces.left_behind(), settle_seconds)
    left = sweep.traces.left_behind()
    assert not left, f"left behind: {left}"


def _numbers(folder: Location) -> list[int]:
    """The numbers of the rows in all files of a study, as they lie there: the reader would hide doubles."""
    segments = [file for file in files_below(folder) if file.name.endswith(".parquet")]
    return [n for file in segments for n in pl.read_parquet(read_bytes(file))["number"]]


def _without(rows: Rows, columns: Collection[str]) -> Rows:
    return {name: frame.drop(columns) for name, frame in rows.items()}
