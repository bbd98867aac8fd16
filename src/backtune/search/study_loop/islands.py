"""Islands: one study on many cores, as several searches that exchange their best candidates.

An island searches by itself for a round of trials. At the start of a round it takes in the best candidates that the others
had found one round before, even if they are further by now. So the candidates of an island are a function of the study
alone, and no island waits for the others as long as none of them is more than a round behind.
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

# Longer rounds exchange too late for budgets of hundreds; in shorter ones islands become alike and wait for each other.
_ROUND_TRIALS = 96
# The number of points that are taken from a Pareto front of the peers, from its first on.
_MOST_MIGRANTS = 2


@dataclass(frozen=True)
class IslandExchange:
    """The exchange of one island with its peers.

    Attributes:
        folders: The folders of the peers; empty for a study without islands.
        space: The space of the study.
        search: The search settings of the study.
        batch_size: The batch size of the suggester; a round is a whole number of batches.
    """

    folders: Sequence[Location]
    space: Space
    search: Search
    batch_size: int

    @property
    def _round_trials(self) -> int:
        return -(-_ROUND_TRIALS // self.batch_size) * self.batch_size

    def is_due(self, number: int) -> bool:
        """Return whether a round starts with the trial of this number."""
        return bool(self.folders) and number > 0 and number % self._round_trials == 0

    def is_ready(self, number: int) -> bool:
        """Return whether every peer has the trials that are read at this trial, or will never have them.

        A peer will never have them where its space was too small or where it failed.
        """
        needed = number - self._round_trials
        for folder in self.folders:
            if count_trials(folder) < needed:
                summary = StudySummary.read(folder)
                if summary is None or not (summary.exhausted or summary.state == "failed"):
                    return False
        return True

    def read_migrants(self, number: int) -> list[Params]:
        """Return the best candidates of the peers, as of one round before.

        Raises:
            ResultsError: The log of a peer cannot be read.
        """
        needed = number - self._round_trials
        objectives, n_rungs = self.search.objectives, self.search.n_rungs
        logs = [
            TrialLog(folder, self.space, len(objectives), n_rungs).read()[:needed] for folder in self.folders
        ]
        best = select_best_trials(
            [trial for log in logs for trial in select_best_trials(log, objectives)], objectives
        )
        return [trial.params for trial in best[:_MOST_MIGRANTS]]
