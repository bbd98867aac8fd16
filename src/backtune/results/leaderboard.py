"""The leaderboard: what every study found, in-sample beside out-of-sample, with the number of trials it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from backtune.data.window import to_datetime
from backtune.engine.metrics import METRICS
from backtune.errors import ResultsError
from backtune.objective import Metrics
from backtune.results.best import front
from backtune.results.evidence import Evidence, doubts
from backtune.results.row import Row
from backtune.results.runs import Run, StudyEntry
from backtune.results.searched import Searched, searched
from backtune.results.segments import count_trials
from backtune.results.stage import Stages
from backtune.results.stitched import OutOfSample
from backtune.results.summary import StudySummary, Winner
from backtune.results.walk_forward import compared, evidence_of, joined
from backtune.spec import Goal
from backtune.validation.deflated_sharpe import Tried

__all__ = ["Row", "leaderboard"]


def leaderboard(run: Run, *, top: int | None = None, study: str | None = None) -> list[Row]:
    """All rows, the best first: by the first objective out-of-sample, in-sample where there is no validation.

    A study's Pareto front stays together, placed by its best point. Studies without a winner come last. The islands
    of a search are one: their best, picked from the trials of all of them. The folds of a walk-forward are one: their
    tests as one backtest, which is made when it is first asked for and kept.

    Args:
        top: only so many rows from the first on get evidence, for which the trials of their searches are looked at, and
            the warnings that follow from it; None for all.
        study: only its rows, those of a fold by itself.
    """
    validated = run.spec["validation"]["method"] != "none"
    goals = [Goal.parse(text) for text in run.spec["search"]["objectives"]]
    fronts = [_front(run, islands, goals) for islands in _searches(run)]
    if run.spec["validation"]["method"] == "walk_forward" and study is None:
        fronts = _cells(run, fronts)
    cells = compared([place.score for places in fronts for place in places if place.score is not None])
    fronts.sort(key=lambda places: max(_merit(place.row, run, validated) for place in places), reverse=True)
    ranked = [
        place
        for places in fronts
        for place in sorted(places, key=lambda p: -_merit(p.row, run, validated))
        if study in (None, place.row.study)
    ]
    reader = _Reader(run, cells)
    return [reader.told(place, looked_at=top is None or k < top) for k, place in enumerate(ranked)]


def search_rows(run: Run, islands: Sequence[StudyEntry]) -> list[Row]:
    """The rows of one search, the best in-sample first, with their evidence; no other study is read.

    Args:
        islands: all studies of the search, in the order of the run.
    """
    goals = [Goal.parse(text) for text in islands[0].objectives]
    reader = _Reader(run, None)
    return [reader.told(place, looked_at=True) for place in _front(run, islands, goals)]


class _Place(NamedTuple):
    """A row, what it is about, and the studies that its winner is the best of; of a walk-forward, its folds instead."""

    row: Row
    winner: Winner | None = None
    islands: Sequence[StudyEntry] = ()
    folds: Sequence[_Place] = ()
    score: OutOfSample | None = None
    is_finished: bool = True


class _Reader:
    """Adds to rows what is to be said of them."""

    def __init__(self, run: Run, cells: Tried | None) -> None:
        self._run = run
        self._cells = cells
        self._known: dict[str, tuple[Searched, tuple[str, ...]]] = {}

    def told(self, place: _Place, *, looked_at: bool) -> Row:
        """The row with its warnings, and where it is ``looked_at`` with evidence."""
        if place.folds:
            return self._of_cell(place, looked_at=looked_at)
        row, winner = place.row, place.winner
        if winner is None:
            return row
        plain = (
            ["in-sample only: no validation"]
            if winner.oos_metrics is None
            else doubts(row.is_metrics, row.oos_metrics)
        )
        row = replace(row, warnings=(*row.warnings, *plain))
        if not looked_at:
            return row
        found, problem = self._searched(place.islands)
        return _with_evidence(row, Evidence.of(winner, found), problem)

    def _of_cell(self, place: _Place, *, looked_at: bool) -> Row:
        folds = tuple(self.told(fold, looked_at=looked_at) for fold in place.folds)
        row = replace(place.row, folds=folds)
        if row.values is None:
            return row
        row = replace(row, warnings=(*row.warnings, *doubts(row.is_metrics, row.oos_metrics)))
        if not looked_at:
            return row
        won = [fold.evidence for fold in folds if fold.values is not None]
        searches = (self._searched(fold.islands) for fold in place.folds if fold.winner is not None)
        problems = dict.fromkeys(text for _, problem in searches for text in problem)
        return _with_evidence(row, evidence_of(won, place.score, self._cells), tuple(problems))

    def _searched(self, islands: Sequence[StudyEntry]) -> tuple[Searched, tuple[str, ...]]:
        """What the trials say, or why nothing: the results are in the summaries, and no log hides them."""
        search = islands[0].search_id
        if search not in self._known:
            try:
                self._known[search] = searched(self._run, islands), ()
            except ResultsError as error:
                self._known[search] = Searched(0), (f"no evidence: {error}",)
        return self._known[search]


def _with_evidence(row: Row, evidence: Evidence, problem: Sequence[str]) -> Row:
    weak = evidence.weaknesses(row.n_trials).values()
    return replace(row, evidence=evidence, warnings=(*row.warnings, *problem, *weak))


def _cells(run: Run, fronts: Sequence[Sequence[_Place]]) -> list[list[_Place]]:
    """A place for each cell of a walk-forward; of a fold's Pareto front, its best in the first objective goes on."""
    stages = Stages(run)
    cells: dict[tuple[str, str, str], list[_Place]] = {}
    for places in fronts:
        cells.setdefault(places[0].row.cell, []).append(places[0])
    return [[_cell(run, folds, stages)] for folds in cells.values()]


def _cell(run: Run, folds: Sequence[_Place], stages: Stages) -> _Place:
    unfinished = [place.row.fold for place in folds if not place.is_finished]
    row, score = joined(run, [place.row for place in folds], unfinished, stages)
    return _Place(row, folds=folds, score=score)


def _searches(run: Run) -> list[list[StudyEntry]]:
    """The studies by search: several where there are islands."""
    searches: dict[str, list[StudyEntry]] = {}
    for study in run.studies:
        searches.setdefault(study.search_id, []).append(study)
    return list(searches.values())


def _merit(row: Row, run: Run, validated: bool) -> float:  # noqa: FBT001
    goal = Goal.parse(run.spec["search"]["objectives"][0])
    value = (row.oos_metrics if validated else row.is_metrics)[goal.metric]
    if row.values is None:
        return -math.inf
    # An undefined result ranks below every defined one, above no result at all.
    return -1e300 if value is None else (-value if goal.minimize else value)


def _front(run: Run, islands: Sequence[StudyEntry], goals: Sequence[Goal]) -> list[_Place]:
    summaries = [run.summary(study) for study in islands]
    counts = [
        max(count_trials(run.study_folder(study.id)), summary.n_trials if summary else 0)
        for study, summary in zip(islands, summaries, strict=True)
    ]
    states = [_state(*island) for island in zip(islands, summaries, counts, strict=True)]
    winners = [
        (study, winner)
        for study, summary in zip(islands, summaries, strict=True)
        for winner in (summary.winners if summary else ())
    ]
    warnings = tuple(dict.fromkeys(text for state in states for text in state))
    annualisations = (summary.annualisation for summary in summaries if summary is not None)
    annualisation = next((found for found in annualisations if found is not None), None)
    best: list[tuple[StudyEntry, Winner | None]] = [(islands[0], None)]
    if winners:
        best = [winners[k] for k in front([winner.values for _, winner in winners], goals)]
    return [
        _Place(
            replace(_row(study, winner, sum(counts), warnings), annualisation=annualisation),
            winner,
            islands,
            is_finished=None not in summaries,
        )
        for study, winner in best
    ]


def _row(study: StudyEntry, winner: Winner | None, n_trials: int, warnings: tuple[str, ...]) -> Row:
    nothing: Metrics = dict.fromkeys(METRICS)
    fold = study.planned
    return Row(
        study=study.id,
        strategy=study.strategy,
        asset=study.asset,
        timeframe=study.timeframe,
        params=winner.params if winner else {},
        trial=winner.number if winner else None,
        n_trials=n_trials,
        values=winner.values if winner else None,
        is_metrics=winner.is_metrics if winner else nothing,
        oos_metrics=(winner.oos_metrics or nothing) if winner else nothing,
        warnings=warnings,
        fold=study.fold,
        train=fold.train if fold else None,
        test=fold.test if fold else None,
    )


def _state(study: StudyEntry, summary: StudySummary | None, n_trials: int) -> list[str]:
    """What is not as it should be with a study, whatever it found."""
    if summary is None:
        return [f"not finished: {n_trials} of {study.budget} trials"]
    if summary.state == "failed":
        return [f"failed: {summary.reason}"]
    found = []
    if n_trials < study.budget and not summary.exhausted:
        found.append(f"not finished: {n_trials} of {study.budget} trials")
    if not summary.winners:
        found.append(f"no usable trial: {summary.most_common_reason}")
    elif summary.n_failed:
        found.append(f"{summary.n_failed} trials failed")
    if study.has_seen_test and study.known_until is not None:
        until = to_datetime(study.known_until - 1)
        found.append(
            f"looks ahead: it began with parameters found on bars up to {until:%Y-%m-%d}, its test among them"
        )
    if summary.annualisation is not None and summary.annualisation.disagrees:
        found.append(summary.annualisation.disagreement(f"{study.asset} {study.timeframe}"))
    return found
