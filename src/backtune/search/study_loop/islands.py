"""Islands: one study on many cores, as several searches that exchange their best.

An island goes on by itself for a round of trials. At the start of a round it takes in the best that the others had
found one round before, whether they are further by now or not: what it evaluates is a function of the study alone,
and nobody waits for the others as long as none is more than a round behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backtune.results.best_trials import select_best_trials
from backtune.results.log.segments import TrialLog, count_trials
from backtune.results.log.summary import StudySummary
from backtune.space import Params, Space
from backtune.spec import Search
from backtune.storage.location import Location

# Longer rounds exchange too late for budgets of hundreds, shorter ones make islands alike and wait for each other.
_ROUND_TRIALS = 96
# Of a Pareto front of the others, so many points from its first on.
_MOST_MIGRANTS = 2


@dataclass(frozen=True)
class Exchange:
    """What one island takes from its peers.

    Attributes:
        folders: of the peers; none for a study without islands.
        space, search: of the study.
        batch_size: of its suggester; a round is a whole number of batches.
    """

    folders: Sequence[Location]
    space: Space
    search: Search
    batch_size: int

    @property
    def _round(self) -> int:
        return -(-_ROUND_TRIALS // self.batch_size) * self.batch_size

    def is_due(self, number: int) -> bool:
        """Whether a round starts with the trial of this number."""
        return bool(self.folders) and number > 0 and number % self._round == 0

    def is_ready(self, number: int) -> bool:
        """Whether every peer has what is taken from it at this trial, or will never have it."""
        needed = number - self._round
        return all(count_trials(folder) >= needed or _is_over(folder) for folder in self.folders)

    def migrants(self, number: int) -> list[Params]:
        """The best candidates of the peers, as of one round before.

        Raises:
            ResultsError: a peer's log cannot be read.
        """
        needed = number - self._round
        objectives, n_rungs = self.search.objectives, self.search.n_rungs
        logs = [
            TrialLog(folder, self.space, len(objectives), n_rungs).read()[:needed] for folder in self.folders
        ]
        best = select_best_trials(
            [trial for log in logs for trial in select_best_trials(log, objectives)], objectives
        )
        return [trial.params for trial in best[:_MOST_MIGRANTS]]


def _is_over(folder: Location) -> bool:
    """Whether a peer has ended without what it was to have: its space was small, or it failed."""
    summary = StudySummary.read(folder)
    return summary is not None and (summary.exhausted or summary.state == "failed")
