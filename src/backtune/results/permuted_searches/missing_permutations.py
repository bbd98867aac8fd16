"""The rows of the leaderboard whose searches are repeated on permuted bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backtune.results.evidence.permutation_test import read_permuted_bests
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.stored_sweep import StoredStudy, StoredSweep


class MissingPermutations(NamedTuple):
    """The permuted searches that a search still lacks.

    Attributes:
        islands: All studies of the search, in the order of the run.
        numbers: The numbers of the permutations, rising; at least one.
    """

    islands: Sequence[StoredStudy]
    numbers: Sequence[int]


def list_missing_permutations(run: StoredSweep) -> list[MissingPermutations]:
    """Return the permuted searches that are not kept yet, by search, in the order of the leaderboard.

    A search that is not finished itself is left out: it is not known yet what its permuted searches are to be compared with.

    Raises:
        ResultsError: A file cannot be read.
    """
    n_wanted = run.spec.validation.permutations
    if not n_wanted:
        return []
    missing = []
    for islands in _first_searches(run):
        kept = read_permuted_bests(run, islands).best
        numbers = [number for number in range(n_wanted) if number not in kept]
        if numbers and all(run.is_complete(study) for study in islands):
            missing.append(MissingPermutations(islands, numbers))
    return missing


def _first_searches(run: StoredSweep) -> list[list[StoredStudy]]:
    """Return the searches of the first rows of the leaderboard that have a winner; the rows of a Pareto front are one search."""
    searches = run.searches
    search_of = {study.id: study.search_id for study in run.studies}
    ranked = dict.fromkeys(
        search_of[row.study] for row in build_leaderboard(run, top=0) if row.values is not None
    )
    return [searches[name] for name in list(ranked)[: run.spec.validation.permuted_rows]]
