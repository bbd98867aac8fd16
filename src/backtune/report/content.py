"""The content of a report in any format: values read from the folder of a sweep, and the winners backtested again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from backtune.errors import BacktuneError, ResultsError, SpecError
from backtune.report.importance import measure_importance
from backtune.report.neighbourhood import NeighbourComparison, measure_neighbourhood
from backtune.report.winner_replay import WinnerReplay, replay_winner
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.walk_forward_oos import WalkForwardBacktest, backtest_walk_forward
from backtune.results.log.probes import Probe, read_probes
from backtune.results.log.segments import decode_params, extract_block_moments, read_log
from backtune.results.log.summary import Winner
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.stress import Stress, stress_winner
from backtune.results.study_context import StudyContextLoader
from backtune.space import Parameter, Space, Value
from backtune.spec import Objective
from backtune.validation.overfitting import Overfitting, estimate_overfitting

# A stress test takes about a second for a hundred thousand bars.
MOST_STRESSED = 3


@dataclass(frozen=True, eq=False)
class TrialColumns:
    """The log of a study as columns.

    Attributes:
        numbers: (n,) trial numbers.
        complete: (n,) booleans that tell whether the trial is complete.
        values: (n, n_objectives) values of the objectives in the metrics' own sign, NaN where undefined.
        params: (n,) values of each parameter by name; a choice is its position among the choices, NaN is inactive.
    """

    numbers: np.ndarray
    complete: np.ndarray
    values: np.ndarray
    params: dict[str, np.ndarray]

    @classmethod
    def of(cls, log: pl.DataFrame, space: Space, n_objectives: int) -> TrialColumns:
        """Return the columns of a frame of :func:`~backtune.results.log.segments.read_log`."""
        rows = [decode_params(row, space) for row in log.iter_rows(named=True)]
        values = [log[f"values_{i}"].cast(pl.Float64).to_numpy() for i in range(n_objectives)]
        return cls(
            numbers=log["number"].to_numpy(),
            complete=(log["state"] == "complete").to_numpy(),
            values=np.stack(values, axis=-1),
            params={
                name: np.array([_place(row.get(name), parameter) for row in rows])
                for name, parameter in space.items()
            },
        )

    def best_so_far(self, objective: Objective) -> np.ndarray:
        """Return the (n,) best value of the first objective up to each trial, NaN before the first complete one."""
        sign = -1.0 if objective.minimize else 1.0
        gains = np.where(self.complete, sign * self.values[:, 0], np.nan)
        return sign * np.fmax.accumulate(gains)


@dataclass(frozen=True, eq=False)
class StudyContent:
    """The content of a report about one study.

    Attributes:
        entry: The study as the sweep's folder stores it.
        objectives: The objectives of the search.
        space: The parameters that the search varied.
        n_trials: The number of trials in the log.
        trials: The log as columns; None where it is empty.
        winners: The best trial, or the Pareto front; empty where there is none.
        row: The leaderboard row of the first winner; None for an island whose search another one leads.
        search_log: The trials of all islands of the search; None without trials or without a row.
        probes: The candidates that were evaluated beside the search.
        replay: The backtest of the first winner; None where it is not available.
        gap: The reason why there is no replay, else empty.
    """

    entry: StoredStudy
    objectives: tuple[Objective, ...]
    space: Space
    n_trials: int
    trials: TrialColumns | None
    winners: tuple[Winner, ...]
    row: Row | None
    search_log: pl.DataFrame | None
    probes: Sequence[Probe]
    replay: WinnerReplay | None
    gap: str

    @property
    def winner(self) -> Winner | None:
        """Return the best trial by the first objective."""
        return self.winners[0] if self.winners else None

    @property
    def title(self) -> str:
        """Return the name of the cell, with the fold where there are several."""
        fold = f" {self.entry.fold.name}" if self.entry.fold.name.startswith("walk") else ""
        return f"{self.entry.strategy} {self.entry.asset} {self.entry.timeframe}{fold}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the warnings of the leaderboard row."""
        return self.row.warnings if self.row else ()

    @property
    def complete(self) -> TrialColumns | None:
        """Return the trials if at least one is complete."""
        return self.trials if self.trials is not None and self.trials.complete.any() else None

    @cached_property
    def splits(self) -> Overfitting | None:
        """Return the results of choosing by one half of the time and testing in the other, over the complete trials."""
        if self.search_log is None:
            return None
        blocks = extract_block_moments(self.search_log)
        return estimate_overfitting(blocks[(self.search_log["state"] == "complete").to_numpy()])

    @cached_property
    def surroundings(self) -> NeighbourComparison | None:
        """Return the neighbourhood of the best candidate by the first objective; None where undefined."""
        if self.search_log is None:
            return None
        return measure_neighbourhood(self.search_log, self.space, self.objectives[0], self.probes)

    @cached_property
    def importance(self) -> dict[str, float]:
        """Return the importance of each varied parameter for the first objective; see :func:`~backtune.report.importance.measure_importance`."""
        if self.trials is None:
            return {}
        kept = self.trials.complete
        columns = {name: column[kept] for name, column in self.trials.params.items()}
        return measure_importance(columns, self.trials.values[kept, 0])


class ReportContent:
    """The content of a report about a sweep, or about one study of it.

    Args:
        run: The stored sweep.
        study: The id of the only study to report; None for all studies.
        most_stressed: The number of rows, from the first on, whose winners are stress-tested.

    Raises:
        SpecError: The sweep has no such study.
        ResultsError: A log cannot be read.
    """

    def __init__(
        self, run: StoredSweep, study: str | None = None, *, most_stressed: int = MOST_STRESSED
    ) -> None:
        ids = [entry.id for entry in run.studies]
        if study is not None and study not in ids:
            raise SpecError("--study", f"{study!r} is not in this sweep", value=study, allowed=ids)
        self.run = run
        self.study = study
        self._most_stressed = most_stressed
        rows = build_leaderboard(run)
        # A report about one study shows the folds of a walk-forward one by one.
        self.rows: list[Row] = rows if study is None else [one for row in rows for one in row.folds or (row,)]
        self.objectives = run.spec.search.objectives
        self.is_validated: bool = run.spec.validation.method != "none"
        self._entries = {entry.id: entry for entry in run.studies}
        self._contexts = StudyContextLoader(run)

    @property
    def n_trials(self) -> int:
        """Return the number of trials of all studies."""
        return sum({row.study: row.n_trials for row in self.rows}.values())

    @property
    def ids(self) -> Sequence[str]:
        """Return the ids of the reported studies in the leaderboard's order, islands after the study that leads them."""
        if self.study is not None:
            return [self.study]
        return list(dict.fromkeys(name for row in self.rows for name in self.ids_of(row)))

    def ids_of(self, row: Row) -> Sequence[str]:
        """Return the ids of the studies of a row or of its folds, islands after the study that leads them."""
        entries = [self._entries[one.study] for one in row.folds or (row,)]
        return [name for entry in entries for name in (entry.id, *entry.peers)]

    def fold(self, row: Row) -> str:
        """Return the fold name of a row's study; empty for a row about all folds of a walk-forward."""
        return "" if row.folds else self._entries[row.study].fold.name

    def section_of(self, row: Row) -> str:
        """Return the id of the report section about a row: its study, or the cell of a walk-forward."""
        return "-".join(row.cell) if row.folds else row.study

    def stitched(self, row: Row) -> tuple[WalkForwardBacktest | None, str]:
        """Return the tests of a walk-forward row as one backtest, or the reason why they are not available."""
        try:
            return backtest_walk_forward(self.run, row.folds, self._contexts), ""
        except ResultsError as error:
            return None, str(error)

    def is_stressed(self, row: Row) -> bool:
        """Return whether a report stress-tests the winner of a row: that of each of the first few reported rows."""
        told = [one for one in self.rows if self.study in (None, one.study)]
        return row.values is not None and any(row is one for one in told[: self._most_stressed])

    def stress(self, row: Row) -> tuple[Stress | None, str]:
        """Return the stress test of a row's winner, or the reason why it is not available."""
        try:
            return stress_winner(self.run, row, self._contexts), ""
        except ResultsError as error:
            return None, str(error)

    def of_study(self, study_id: str, *, replayed: bool = True) -> StudyContent:
        """Return the content about a study, with its winner backtested again if ``replayed``."""
        entry = self._entries[study_id]
        summary = self.run.read_summary(entry)
        winners = summary.winners if summary else ()
        log = read_log(self.run.study_folder(entry.id))
        space = entry.parse_space()
        objectives = entry.objectives
        replay, gap = self._replay(entry, winners[0]) if winners and replayed else (None, "")
        rows = [one for row in self.rows for one in row.folds or (row,) if one.study == entry.id]
        # A Pareto front has several rows: take that of the winner that is shown.
        row = next(
            (row for row in rows if winners and row.trial == winners[0].number), next(iter(rows), None)
        )
        # The folders of all islands of the search, for the one that leads it.
        ids = sorted((entry.id, *entry.peers)) if row else []
        folders = [self.run.study_folder(name) for name in ids]
        logs = [found for found in map(read_log, folders) if found is not None]
        return StudyContent(
            entry=entry,
            objectives=objectives,
            space=space,
            n_trials=0 if log is None else len(log),
            trials=None if log is None else TrialColumns.of(log, space, len(objectives)),
            winners=winners,
            row=row,
            search_log=pl.concat(logs) if logs else None,
            probes=[probe for folder in folders for probe in read_probes(folder)],
            replay=replay,
            gap=gap,
        )

    def _replay(self, entry: StoredStudy, winner: Winner) -> tuple[WinnerReplay | None, str]:
        try:
            return replay_winner(self._contexts.load(entry), winner, entry.id), ""
        except (BacktuneError, OSError) as error:
            return None, str(error)


def _place(value: Value | None, parameter: Parameter) -> float:
    if value is None:
        return np.nan
    return float(parameter.ends().index(value) if parameter.scale is None else value)
