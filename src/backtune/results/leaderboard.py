"""The leaderboard: what every study found, in-sample beside out-of-sample, with the number of trials it took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from backtune.engine.metrics import METRICS
from backtune.errors import ResultsError
from backtune.objective import Metrics
from backtune.results.best import front
from backtune.results.evidence import NO_EVIDENCE, Evidence
from backtune.results.runs import Run, StudyEntry
from backtune.results.searched import Searched, searched
from backtune.results.segments import count_trials
from backtune.results.summary import StudySummary, Winner
from backtune.space import Params
from backtune.spec import Goal

_FEW_TEST_TRADES = 30


@dataclass(frozen=True)
class Row:
    """One winner of one study; a study with several objectives has a row for each point of its Pareto front.

    Attributes:
        study, strategy, asset, timeframe: whose.
        params: the winner's; empty where there is none.
        trial: its number, None where there is none.
        n_trials: how many trials the best was picked from.
        values: one per objective, None where there is no winner.
        is_metrics, oos_metrics: in-sample and out-of-sample; a metric is None where undefined or not there.
        warnings: in words.
        evidence: how far the winner can be trusted.
    """

    study: str
    strategy: str
    asset: str
    timeframe: str
    params: Params
    trial: int | None
    n_trials: int
    values: tuple[float, ...] | None
    is_metrics: Metrics
    oos_metrics: Metrics
    warnings: tuple[str, ...]
    evidence: Evidence = NO_EVIDENCE

    def to_json(self) -> dict[str, Any]:
        """Flat and plain: metrics as ``is_<metric>`` and ``oos_<metric>``, the evidence by its own names."""
        return {
            "study": self.study, "strategy": self.strategy, "asset": self.asset, "timeframe": self.timeframe,
            "params": self.params, "trial": self.trial, "n_trials": self.n_trials,
            "values": list(self.values) if self.values is not None else None,
            **{f"is_{name}": value for name, value in self.is_metrics.items()},
            **{f"oos_{name}": value for name, value in self.oos_metrics.items()},
            **self.evidence.to_json(),
            "warnings": list(self.warnings),
        }  # fmt: skip


def leaderboard(run: Run, *, top: int | None = None, study: str | None = None) -> list[Row]:
    """All rows, the best first: by the first objective out-of-sample, in-sample where there is no validation.

    A study's Pareto front stays together, placed by its best point. Studies without a winner come last. The islands
    of a search are one: their best, picked from the trials of all of them.

    Args:
        top: only so many rows from the first on get evidence, for which the trials of their searches are looked at, and
            the warnings that follow from it; None for all.
        study: only its rows.
    """
    validated = run.spec["validation"]["method"] != "none"
    goals = [Goal.parse(text) for text in run.spec["search"]["objectives"]]
    fronts = [_front(run, islands, goals) for islands in _searches(run)]
    fronts.sort(key=lambda places: max(_merit(place.row, run, validated) for place in places), reverse=True)
    ranked = [
        place
        for places in fronts
        for place in sorted(places, key=lambda p: -_merit(p.row, run, validated))
        if study in (None, place.row.study)
    ]
    assessed = [*_assessed(run, ranked[:top]), *ranked[len(ranked[:top]) :]]
    return [place.row for place in assessed]


class _Place(NamedTuple):
    """A row, what it is about, and the studies that its winner is the best of."""

    row: Row
    winner: Winner | None
    islands: Sequence[StudyEntry]


def _assessed(run: Run, places: Sequence[_Place]) -> Iterator[_Place]:
    """With evidence, and what it tells against the winner."""
    known: dict[str, tuple[Searched, tuple[str, ...]]] = {}
    for place in places:
        if place.winner is None:
            yield place
            continue
        search = place.islands[0].search_id
        if search not in known:
            known[search] = _searched(run, place.islands)
        found, problem = known[search]
        evidence = Evidence.of(place.winner, found)
        doubts = (*problem, *evidence.weaknesses(place.row.n_trials).values())
        row = replace(place.row, evidence=evidence, warnings=(*place.row.warnings, *doubts))
        yield place._replace(row=row)


def _searched(run: Run, islands: Sequence[StudyEntry]) -> tuple[Searched, tuple[str, ...]]:
    """What the trials say, or why nothing: the results are in the summaries, and no log hides them."""
    try:
        return searched(run, islands), ()
    except ResultsError as error:
        return Searched(0), (f"no evidence: {error}",)


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
    if not winners:
        return [_Place(_row(islands[0], None, sum(counts), warnings), None, islands)]
    best = [winners[k] for k in front([winner.values for _, winner in winners], goals)]
    return [_Place(_row(study, winner, sum(counts), warnings), winner, islands) for study, winner in best]


def _row(study: StudyEntry, winner: Winner | None, n_trials: int, warnings: tuple[str, ...]) -> Row:
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
        warnings=(*warnings, *_doubts(winner)) if winner else warnings,
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
    return found


def _doubts(winner: Winner) -> list[str]:
    """What its metrics alone tell against a winner."""
    if winner.oos_metrics is None:
        return ["in-sample only: no validation"]
    found = []
    trades = winner.oos_metrics["total_trades"] or 0
    if trades < _FEW_TEST_TRADES:
        found.append(f"only {trades:.0f} trades out of sample")
    profit = winner.oos_metrics["total_return"]
    if profit is not None and profit <= 0.0 < (winner.is_metrics["total_return"] or 0.0):
        found.append("gains in sample, loses out of sample")
    return found
