"""Searches on permuted bars: ordinary studies, of which only the best value is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from backtune.data.permutation import Permutation
from backtune.results.evidence.permutation_test import adopt_permuted_bests, compute_effective_budget
from backtune.results.permuted_searches.missing_permutations import list_missing_permutations
from backtune.results.permuted_searches.permuted_folder import (
    StoredPermutedSearch,
    remove_permuted_folder,
    remove_permuted_plan,
    save_finished_searches,
    write_permuted_plan,
)
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.search.planning.identity import derive_study_seed
from backtune.search.study_loop.study import Stop, Study
from backtune.validation.folds import TimeWindow, purge_fold


@dataclass(frozen=True)
class PermutedSearch:
    """One search that is repeated on permuted bars.

    Attributes:
        entry: The entry of the search in the results folder.
        studies: The studies of the search: a single one, or its islands.
    """

    entry: StoredPermutedSearch
    studies: tuple[Study, ...]


def run_permuted_searches(
    run: StoredSweep, studies: Sequence[Study], execute: Callable[[list[Study]], dict[str, str]], stop: Stop
) -> dict[str, str]:
    """Run the missing permuted searches that no other sweep of the runs folder has, and keep their best values.

    Args:
        run: The sweep's folder, in which the real searches are finished.
        studies: All studies of the sweep.
        execute: A function that runs studies in the folder of permuted searches and returns the reason for each study that was
            given up.
        stop: A function that tells whether to stop.

    Returns:
        The reason for every study of a permuted search that was given up, by its id.

    Raises:
        DataError: The bars of a search can no longer be read.
        ResultsError: A file cannot be read or written.
    """
    lost: dict[str, str] = {}
    searches = _find_missing_searches(run, studies)
    studies_of = {search.entry.studies: search.studies for search in searches}
    left = save_finished_searches(run, [search.entry for search in searches])
    if left and not stop():
        write_permuted_plan(run, left)
        try:
            lost = execute([study for entry in left for study in studies_of[entry.studies]])
        finally:
            save_finished_searches(run, left)
            remove_permuted_plan(run)
    remove_permuted_folder(run)
    return lost


def _find_missing_searches(run: StoredSweep, studies: Iterable[Study]) -> list[PermutedSearch]:
    """Return the permuted searches that neither this sweep nor another one of the runs folder has."""
    by_id = {study.id: study for study in studies}
    found = []
    for islands, missing in list_missing_permutations(run):
        numbers = adopt_permuted_bests(run, islands, missing)
        if not numbers:
            continue
        originals = [by_id[entry.id] for entry in islands]
        budgets = {entry.id: compute_effective_budget(run, entry) for entry in islands}
        first = originals[0]
        # A train window is shorter than planned where a purge meets missing bars.
        fold = purge_fold(first.fold, first.bars.load().timestamp) if first.fold.purge_bars else first.fold
        found += [_permute_search(islands, originals, budgets, fold.train, number) for number in numbers]
    return found


def _permute_search(
    islands: Sequence[StoredStudy],
    originals: Sequence[Study],
    budgets: Mapping[str, int],
    train: TimeWindow,
    number: int,
) -> PermutedSearch:
    """Return one search on permuted bars. All its islands have the same bars, so that they can exchange candidates."""
    first = originals[0]
    cell = (first.strategy.name, first.bars.asset, first.bars.timeframe, first.fold.name)
    seed = derive_study_seed(first.search.seed, *cell, "permutation", str(number))
    # A search with another budget is another search, so the id contains the budget.
    suffix = f".{sum(budgets.values())}.{number}"
    studies = tuple(
        replace(
            study,
            id=study.id + suffix,
            bars=replace(study.bars, permutation=Permutation(train.start, train.end, seed)),
            fold=replace(study.fold, test=None),
            search=study.search.model_copy(update={"trials": budgets[study.id]}),
            peers=tuple(peer + suffix for peer in study.peers),
        )
        for study in originals
    )
    return PermutedSearch(
        StoredPermutedSearch(islands, number, tuple(study.id for study in studies)), studies
    )
