"""The folder in which permuted searches run: ``<runs>/<sweep-id>/permuted/``, gone when all of them are finished.

Each study of a permuted search has a folder there with trials and a summary, as other studies have. A finished search
loses its trials at once, and its summary when the driver keeps its best value beside the real search.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backtune.results.evidence.permutation_test import find_best_value, save_permuted_bests
from backtune.results.log.summary import StudySummary
from backtune.results.permuted_searches.missing_permutations import list_missing_permutations
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.storage.files import (
    list_names,
    list_stamps,
    read_json,
    read_stamp,
    remove_file,
    remove_folder,
    write_bytes,
)
from backtune.storage.location import Location

_NAME = "permuted"
_PLAN = "plan.json"


@dataclass(frozen=True)
class StoredPermutedSearch:
    """One permuted search as it is found in the folder.

    Attributes:
        islands: All studies of the real search.
        number: The number of the permutation.
        studies: The names of the folders of its studies.
    """

    islands: Sequence[StoredStudy]
    number: int
    studies: tuple[str, ...]


def locate_permuted_folder(run: StoredSweep) -> Location:
    """Return the folder in which the permuted searches of a sweep run."""
    return run.folder / _NAME


def write_permuted_plan(run: StoredSweep, entries: Sequence[StoredPermutedSearch]) -> None:
    """Write which permuted searches this start is to run, for whoever shows the progress.

    Raises:
        ResultsError: The folder cannot be written.
    """
    text = json.dumps([entry.studies for entry in entries])
    write_bytes(locate_permuted_folder(run) / _PLAN, text.encode())


def remove_permuted_plan(run: StoredSweep) -> None:
    """Remove what :func:`write_permuted_plan` wrote: no permuted search is running.

    Raises:
        ResultsError: S3 refuses it.
        OSError: The disk does.
    """
    remove_file(locate_permuted_folder(run) / _PLAN)


def save_finished_searches(
    run: StoredSweep, entries: Sequence[StoredPermutedSearch]
) -> list[StoredPermutedSearch]:
    """Keep the best values of the finished ones among these permuted searches, remove their folders, and return the others.

    Raises:
        ResultsError: A file cannot be read or written.
    """
    folder = locate_permuted_folder(run)
    started = set(list_names(folder))
    found: dict[str, dict[int, float | None]] = {}
    islands: dict[str, Sequence[StoredStudy]] = {}
    finished, left = [], []
    for entry in entries:
        summaries = [StudySummary.read(folder / name) for name in entry.studies if name in started]
        whole = [summary for summary in summaries if summary is not None and summary.is_over]
        if len(whole) < len(entry.studies) or any(summary.failure for summary in whole):
            left.append(entry)
            continue
        search = entry.islands[0].search_id
        islands[search] = entry.islands
        found.setdefault(search, {})[entry.number] = find_best_value(whole, entry.islands[0].objectives[0])
        finished.append(entry)
    for search, best in found.items():
        save_permuted_bests(run, islands[search], best)
    for name in (name for entry in finished for name in entry.studies):
        remove_folder(folder / name)
    return left


def remove_permuted_folder(run: StoredSweep) -> None:
    """Remove the folder with all that is in it, unless a permuted search is missing.

    Raises:
        ResultsError: S3 refuses it.
    """
    folder = locate_permuted_folder(run)
    if not list_missing_permutations(run):
        remove_file(folder / _PLAN)
        for name in list_names(folder):
            remove_folder(folder / name)
        remove_folder(folder)


def list_failed_permutations(run: StoredSweep) -> dict[str, str]:
    """Return for every study of a permuted search that failed: why.

    Raises:
        ResultsError: A file cannot be read.
    """
    folder = locate_permuted_folder(run)
    summaries = {
        name: StudySummary.read(folder / name) for name in sorted(list_names(folder)) if name != _PLAN
    }
    return {name: summary.failure for name, summary in summaries.items() if summary and summary.failure}


class PermutedSearchCounter:
    """Counts the permuted searches that are finished, reading only what is new at each call."""

    def __init__(self, run: StoredSweep) -> None:
        self._folder = locate_permuted_folder(run)
        self._waiting: set[str] = set()
        self._searches: Mapping[str, int] = {}
        self._left: list[int] = []
        self._plan: tuple[int, int] | None = None

    def count(self) -> tuple[int, int]:
        """Return how many permuted searches of this start are finished, and how many there are; zeros before they are planned."""
        self._read_plan()
        for name, _ in list(list_stamps(self._folder, self._waiting)) if self._waiting else ():
            summary = StudySummary.read(self._folder / name)
            if summary is not None and (summary.is_over or summary.state == "failed"):
                self._waiting.discard(name)
                self._left[self._searches[name]] -= 1
        return self._left.count(0), len(self._left)

    def _read_plan(self) -> None:
        stamp = read_stamp(self._folder / _PLAN)
        if stamp in (None, self._plan):
            return
        plan = read_json(self._folder / _PLAN) or []
        self._plan = stamp
        self._searches = {name: k for k, studies in enumerate(plan) for name in studies}
        self._waiting = set(self._searches)
        self._left = [len(studies) for studies in plan]
