"""Permutation tests: what the same search finds on permuted bars, kept in one small file beside its trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backtune.results.log.segments import count_trials
from backtune.results.log.summary import StudySummary
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.spec import Objective
from backtune.storage.files import list_names, read_json, write_json
from backtune.storage.location import Location
from backtune.validation.permutation import compute_permutation_p_value

_FILE = "permutations.json"
# To be raised with any change of how bars are permuted: what was kept before is found again.
_VERSION = 2


@dataclass(frozen=True)
class PermutationTest:
    """The comparison of a search with the same search on permuted bars.

    Attributes:
        p: The chance of a best as good by luck, see :func:`~backtune.validation.permutation.compute_permutation_p_value`.
        n_done: The number of permuted searches that it comes from.
        n_wanted: The number of permuted searches that the spec asks for.
    """

    p: float
    n_done: int
    n_wanted: int

    @property
    def is_complete(self) -> bool:
        """Tell whether no permuted search is missing."""
        return self.n_done >= self.n_wanted


@dataclass(frozen=True)
class PermutedBests:
    """The best values that a search found on permuted bars.

    Attributes:
        n_trials: The budget of each permuted search, all islands together.
        best: The best value of the first objective by the number of the permutation; None where no trial was complete.
    """

    n_trials: int
    best: Mapping[int, float | None] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Location, n_trials: int) -> PermutedBests:
        """Return what is kept in a study's folder for searches of this budget; nothing where another budget was kept.

        Raises:
            ResultsError: The file cannot be read.
        """
        content = read_json(folder / _FILE)
        if content is None or (content["version"], content["n_trials"]) != (_VERSION, n_trials):
            return cls(n_trials)
        return cls(n_trials, {int(number): value for number, value in content["best"].items()})

    def write(self, folder: Location) -> None:
        """Put the values into a study's folder.

        Raises:
            ResultsError: The folder cannot be written.
        """
        best = {str(number): self.best[number] for number in sorted(self.best)}
        write_json(folder / _FILE, {"version": _VERSION, "n_trials": self.n_trials, "best": best})


def load_permutation_test(run: StoredSweep, islands: Sequence[StoredStudy]) -> PermutationTest | None:
    """Return the permutation test of a search, from what is in the folder; bars are not needed.

    Args:
        run: The sweep's folder.
        islands: All studies of the search, in the order of the run; one where there are no islands.

    Returns:
        None where the spec asks for none, the search has no winner, or no permuted search of its budget is finished.

    Raises:
        ResultsError: A file cannot be read.
    """
    n_wanted = run.spec.validation.permutations
    if not n_wanted:
        return None
    objective = islands[0].objectives[0]
    observed = find_best_value(
        [summary for summary in map(run.read_summary, islands) if summary is not None], objective
    )
    if observed is None:
        return None
    kept = read_permuted_bests(run, islands)
    done = [value for number, value in kept.best.items() if number < n_wanted]
    if not done:
        return None
    sign = -1.0 if objective.minimize else 1.0
    gains = [-math.inf if value is None else sign * value for value in done]
    return PermutationTest(compute_permutation_p_value(sign * observed, gains), len(done), n_wanted)


def find_best_value(summaries: Sequence[StudySummary], objective: Objective) -> float | None:
    """Return the best value of the first objective among the studies of a search; None where none has a winner."""
    values = [winner.values[0] for summary in summaries for winner in summary.winners]
    if not values:
        return None
    return min(values) if objective.minimize else max(values)


def read_permuted_bests(run: StoredSweep, islands: Sequence[StoredStudy]) -> PermutedBests:
    """Return what is kept of the permuted searches of a search that have its budget."""
    n_trials = sum(compute_effective_budget(run, study) for study in islands)
    return PermutedBests.read(run.study_folder(islands[0].search_id), n_trials)


def save_permuted_bests(
    run: StoredSweep, islands: Sequence[StoredStudy], found: Mapping[int, float | None]
) -> None:
    """Add the best values of finished permuted searches, by number, to those that are kept."""
    kept = read_permuted_bests(run, islands)
    PermutedBests(kept.n_trials, {**kept.best, **found}).write(run.study_folder(islands[0].search_id))


def adopt_permuted_bests(
    run: StoredSweep, islands: Sequence[StoredStudy], numbers: Sequence[int]
) -> list[int]:
    """Take over the best values that other sweeps of the runs folder have kept for the same search and budget.

    Args:
        run: The sweep's folder.
        islands: All studies of the search, in the order of the run.
        numbers: The numbers of the permutations that are missing.

    Returns:
        The numbers that are still missing, rising.

    Raises:
        ResultsError: A file cannot be read or written.
    """
    runs, budget = run.folder.parent, read_permuted_bests(run, islands).n_trials
    found: dict[int, float | None] = {}
    for sweep in sorted(list_names(runs)):
        kept = PermutedBests.read(runs / sweep / "studies" / islands[0].search_id, budget).best
        found |= {number: kept[number] for number in numbers if number in kept}
    if found:
        save_permuted_bests(run, islands, found)
    return [number for number in numbers if number not in found]


def compute_effective_budget(run: StoredSweep, study: StoredStudy) -> int:
    """Return the number of trials that a study's best is the best of: its budget, or more where an earlier start had more."""
    return max(study.budget, count_trials(run.study_folder(study.id)))
