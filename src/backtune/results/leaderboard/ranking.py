"""The leaderboard: what every study found, in-sample beside out-of-sample, with the number of trials it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from backtune.data.window import to_datetime
from backtune.errors import ResultsError
from backtune.results.best_trials import find_pareto_front
from backtune.results.evidence.evidence import Evidence, WinnerSetting, list_metric_warnings
from backtune.results.evidence.family import FamilyResult, RowTest, compare_tests
from backtune.results.evidence.permutation_test import load_permutation_test
from backtune.results.evidence.related_studies import RelatedStudyFinder
from backtune.results.evidence.search_evidence import SearchEvidence, load_search_evidence
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.walk_forward_oos import WalkForwardScore
from backtune.results.leaderboard.walk_forward_row import (
    combine_fold_evidence,
    combine_folds,
    count_compared_cells,
)
from backtune.results.log.segments import count_trials
from backtune.results.log.summary import StudySummary, Winner
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.study_context import StudyContextLoader
from backtune.results.trial import Metrics
from backtune.simulation.metrics import METRICS
from backtune.spec import Objective
from backtune.validation.deflated_sharpe import ReturnShape, TrialCount

__all__ = ["Row", "build_leaderboard"]


def build_leaderboard(run: StoredSweep, *, top: int | None = None, study: str | None = None) -> list[Row]:
    """Return all rows, ordered by what the search saw: the best first objective in sample comes first.

    The test out of sample decides nothing here. The first of many rows by their tests is the luckiest one, and its result says
    nothing any more; the first by the search keeps its test as a test. Rows with fewer than 30 trades, in sample or in the
    test, come after all others. Rows without a winner come last.

    A study's Pareto front stays together, placed by its best point. The islands of a search are one: their best,
    picked from the trials of all of them. The folds of a walk-forward are one: their tests as one backtest, which
    is made when it is first asked for and kept.

    Args:
        top: The number of rows, from the first on, for which the trials of their searches are looked at, with the
            warnings that follow from them; None for all.
        study: The only study to return rows of, those of a fold by itself.
    """
    objectives = run.spec.search.objectives
    fronts = [_build_front(run, islands, objectives) for islands in run.searches.values()]
    is_walk_forward = run.spec.validation.method == "walk_forward"
    if is_walk_forward and study is None:
        fronts = _build_cells(run, fronts)
    cells = count_compared_cells(
        [place.score for places in fronts for place in places if place.score is not None]
    )
    places = [place for places in _order_fronts(fronts, objectives[0]) for place in places]
    # A fold's own test is a part of its cell's.
    is_of_folds = is_walk_forward and study is not None
    families = compare_tests([None if is_of_folds else _row_test(place) for place in places])
    reader = _EvidenceReader(run, cells)
    ranked = [
        (place, family)
        for place, family in zip(places, families, strict=True)
        if study in (None, place.row.study)
    ]
    return [
        reader.complete(place, family, is_read=top is None or k < top)
        for k, (place, family) in enumerate(ranked)
    ]


def build_search_rows(
    run: StoredSweep, islands: Sequence[StoredStudy], related: RelatedStudyFinder | None = None
) -> list[Row]:
    """Return the rows of one search, the best in sample first, with their evidence; no other study of the sweep is read.

    Args:
        run: The sweep.
        islands: All studies of the search, in the order of the run.
        related: The finder of related studies of this sweep, to be shared by those who ask for many searches.
    """
    objectives = islands[0].objectives
    reader = _EvidenceReader(run, None, related)
    return [reader.complete(place, None, is_read=True) for place in _build_front(run, islands, objectives)]


class _RankedWinner(NamedTuple):
    """A row, what it is about, and the studies that its winner is the best of; of a walk-forward, its folds instead."""

    row: Row
    winner: Winner | None = None
    islands: Sequence[StoredStudy] = ()
    folds: Sequence[_RankedWinner] = ()
    score: WalkForwardScore | None = None
    is_finished: bool = True


class _EvidenceReader:
    """Completes rows with their evidence and warnings."""

    def __init__(
        self, run: StoredSweep, cells: TrialCount | None, related: RelatedStudyFinder | None = None
    ) -> None:
        self._run = run
        self._sampler = run.spec.search.sampler
        self._cells = cells
        self._related = related or RelatedStudyFinder(run)
        self._known: dict[str, tuple[SearchEvidence, tuple[str, ...]]] = {}

    def complete(self, place: _RankedWinner, family: FamilyResult | None, *, is_read: bool) -> Row:
        """Return the row with its evidence and warnings; the trials of its search are read where it is ``is_read``."""
        if place.folds:
            return self._complete_cell(place, family, is_read=is_read)
        row, winner = place.row, place.winner
        if winner is None:
            return row
        plain = (
            ["in-sample only: no validation"]
            if winner.oos_metrics is None
            else list_metric_warnings(row.is_metrics, row.oos_metrics)
        )
        row = replace(row, warnings=(*row.warnings, *plain))
        setting = WinnerSetting(
            self._sampler, _bars_per_year(row), family, load_permutation_test(self._run, place.islands)
        )
        if not is_read:
            return _with_evidence(row, Evidence.of_test(winner, setting), ())
        found, problem = self._load_search(place.islands)
        return _with_evidence(row, Evidence.of(winner, found, setting), problem)

    def _complete_cell(self, place: _RankedWinner, family: FamilyResult | None, *, is_read: bool) -> Row:
        folds = tuple(self.complete(fold, None, is_read=is_read) for fold in place.folds)
        row = replace(place.row, folds=folds)
        if row.values is None:
            return row
        row = replace(row, warnings=(*row.warnings, *list_metric_warnings(row.is_metrics, row.oos_metrics)))
        won = [fold.evidence for fold in folds if fold.values is not None]
        evidence = combine_fold_evidence(won, place.score, self._cells, family)
        if not is_read:
            return _with_evidence(row, evidence, ())
        searches = (self._load_search(fold.islands) for fold in place.folds if fold.winner is not None)
        problems = dict.fromkeys(text for _, problem in searches for text in problem)
        return _with_evidence(row, evidence, tuple(problems))

    def _load_search(self, islands: Sequence[StoredStudy]) -> tuple[SearchEvidence, tuple[str, ...]]:
        """Return the evidence of a search and warnings; a log that cannot be read costs no result, as summaries have those."""
        search = islands[0].search_id
        if search not in self._known:
            try:
                related = self._related.find(islands)
                found = load_search_evidence(self._run, islands, related)
                self._known[search] = found, (*related.problems, *found.trials.problems)
            except ResultsError as error:
                self._known[search] = SearchEvidence(0), (f"no evidence: {error}",)
        return self._known[search]


def _with_evidence(row: Row, evidence: Evidence, problem: Sequence[str]) -> Row:
    row = replace(row, evidence=evidence)
    return replace(row, warnings=(*row.warnings, *problem, *row.weaknesses.values()))


def _row_test(place: _RankedWinner) -> RowTest | None:
    """Return the test of a row for the comparison of all rows; None where it was not tested or did not trade."""
    shape: ReturnShape | None = None
    bars_per_year: float | None = None
    if place.score is not None:
        shape, bars_per_year = place.score.shape, place.score.bars_per_year
    elif place.winner is not None and not place.folds:
        shape, bars_per_year = place.winner.oos_shape, _bars_per_year(place.row)
    return None if shape is None or bars_per_year is None else RowTest(shape, bars_per_year)


def _bars_per_year(row: Row) -> float | None:
    return row.annualisation.bars_per_year if row.annualisation else None


def _build_cells(run: StoredSweep, fronts: Sequence[Sequence[_RankedWinner]]) -> list[list[_RankedWinner]]:
    """Return one row for each cell of a walk-forward; of a fold's Pareto front, the best in the first objective goes on."""
    contexts = StudyContextLoader(run)
    cells: dict[tuple[str, str, str], list[_RankedWinner]] = {}
    for places in fronts:
        cells.setdefault(places[0].row.cell, []).append(places[0])
    found = []
    for folds in cells.values():
        unfinished = [place.row.fold for place in folds if not place.is_finished]
        row, score = combine_folds(run, [place.row for place in folds], unfinished, contexts)
        found.append([_RankedWinner(row, folds=folds, score=score)])
    return found


def _order_fronts(
    fronts: Sequence[Sequence[_RankedWinner]], objective: Objective
) -> list[list[_RankedWinner]]:
    """Return the fronts by what the search saw, and each front's places by the same."""

    def key(place: _RankedWinner) -> tuple[bool, bool, float]:
        row = place.row
        if row.values is None:
            return True, True, 0.0
        return False, row.has_few_trades, -_score_in_sample(row, objective)

    return sorted((sorted(places, key=key) for places in fronts), key=lambda places: key(places[0]))


def _score_in_sample(row: Row, objective: Objective) -> float:
    """Return the first objective in sample, higher is better; a Sharpe ratio in standard errors.

    Over a short window luck shows high Sharpe ratios: rows of unequal windows are compared by ratio times root of time.
    """
    assert row.values is not None  # noqa: S101
    value = -row.values[0] if objective.minimize else row.values[0]
    if objective.metric == "sharpe_ratio" and row.train is not None:
        return value * math.sqrt(row.train.length)
    return value


def _build_front(
    run: StoredSweep, islands: Sequence[StoredStudy], objectives: Sequence[Objective]
) -> list[_RankedWinner]:
    summaries = [run.read_summary(study) for study in islands]
    counts = [
        max(count_trials(run.study_folder(study.id)), summary.n_trials if summary else 0)
        for study, summary in zip(islands, summaries, strict=True)
    ]
    states = [_state_warnings(*island) for island in zip(islands, summaries, counts, strict=True)]
    winners = [
        (study, winner)
        for study, summary in zip(islands, summaries, strict=True)
        for winner in (summary.winners if summary else ())
    ]
    warnings = tuple(dict.fromkeys(text for state in states for text in state))
    annualisations = (summary.annualisation for summary in summaries if summary is not None)
    annualisation = next((found for found in annualisations if found is not None), None)
    best: list[tuple[StoredStudy, Winner | None]] = [(islands[0], None)]
    if winners:
        best = [winners[k] for k in find_pareto_front([winner.values for _, winner in winners], objectives)]
    return [
        _RankedWinner(
            replace(_build_row(study, winner, sum(counts), warnings), annualisation=annualisation),
            winner,
            islands,
            is_finished=None not in summaries,
        )
        for study, winner in best
    ]


def _build_row(study: StoredStudy, winner: Winner | None, n_trials: int, warnings: tuple[str, ...]) -> Row:
    nothing: Metrics = dict.fromkeys(METRICS)
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
        fold=study.fold.name,
        train=study.fold.train,
        test=study.fold.test,
    )


def _state_warnings(study: StoredStudy, summary: StudySummary | None, n_trials: int) -> list[str]:
    """Return the warnings about the state of a study, whatever it found."""
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
