"""What a tracker is told of the trials of a study: every value as a point of a curve, a few as records of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from backtune.results.log.segments import decode_params
from backtune.results.log.summary import StudySummary, Winner
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.simulation.metrics import METRICS
from backtune.space import Space
from backtune.spec import Objective
from backtune.tracking.records import RunStatus, TrackingRecord, build_study_tags, prefix_metrics

# Of a sweep. MLflow's pages are slow with many runs, and each costs it ten to thirty milliseconds.
MOST_BEST_RUNS, MOST_FAILED_RUNS = 1_000, 200
# Of a study: one for each of the most frequent reasons.
_MOST_REASONS = 5
BEST_SO_FAR = "best_so_far"


@dataclass(frozen=True)
class CurvePoint:
    """A value of a curve over the trials of a study.

    Attributes:
        curve: its name.
        number: of the trial.
        value: there.
        seconds: of evaluation up to that trial, itself included.
    """

    curve: str
    number: int
    value: float
    seconds: float


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        number: of the trial.
        record: what is told of it.
        seconds: of evaluation in the study before and after it.
    """

    number: int
    record: TrackingRecord
    seconds: tuple[float, float]


def name_curve(objective: Objective) -> str:
    """Of the values of an objective, trial by trial."""
    return f"trial_{objective.metric}"


def build_curve_points(trials: pl.DataFrame, objectives: Sequence[Objective]) -> list[CurvePoint]:
    """Every complete trial's value in each objective, and the best so far in the first one.

    The best so far has points before and after each change and at the last trial: drawn, it is the stairs that it is.

    Args:
        trials: a study's log, with the columns number, state, values_<i> and duration_seconds.
    """
    found = [
        CurvePoint(name_curve(objective), *row)
        for i, objective in enumerate(objectives)
        for row in _complete(trials, f"values_{i}").iter_rows()
    ]
    return [*found, *(CurvePoint(BEST_SO_FAR, *row) for row in _stairs(trials, objectives[0]).iter_rows())]


def build_trial_records(
    run: StoredSweep, study: StoredStudy, summary: StudySummary, trials: pl.DataFrame, top_k: int
) -> list[TrialRecord]:
    """The best trials with different parameters, the winners first, and one failed trial for each frequent reason.

    A sweep of many studies shows fewer of each, so that there are not more than ``MOST_BEST_RUNS`` in all.

    Args:
        trials: the study's log.
        top_k: how many of the best at most.
    """
    tell = _TrialRecordBuilder(run, study, summary.winners, study.parse_space())
    numbered = trials.with_columns(pl.col("duration_seconds").cum_sum().alias("seconds_after"))
    best = _best(numbered, summary.winners, study.objectives[0])
    best = best.head(min(top_k, MOST_BEST_RUNS // len(run.studies)))
    failed = _failed(numbered).head(min(_MOST_REASONS, MOST_FAILED_RUNS // len(run.studies)))
    return [
        *(tell.best(row, rank) for rank, row in enumerate(best.iter_rows(named=True), start=1)),
        *(tell.failed(row) for row in failed.iter_rows(named=True)),
    ]


def _complete(trials: pl.DataFrame, column: str) -> pl.DataFrame:
    """columns: number, value, seconds."""
    value = pl.when(pl.col("state") == "complete").then(pl.col(column)).alias("value")
    return trials.select("number", value, pl.col("duration_seconds").cum_sum().alias("seconds")).drop_nulls(
        "value"
    )


def _stairs(trials: pl.DataFrame, objective: Objective) -> pl.DataFrame:
    """columns: number, value, seconds; without a complete trial no rows."""
    value = pl.col("value").cum_min() if objective.minimize else pl.col("value").cum_max()
    rows = _complete(trials, "values_0").with_columns(value)
    changed = (pl.col("value") != pl.col("value").shift()).fill_null(value=True)
    return rows.filter(changed | changed.shift(-1).fill_null(value=True))


def _best(trials: pl.DataFrame, winners: Sequence[Winner], objective: Objective) -> pl.DataFrame:
    """Complete trials in order of rank: the study's winners, then by the first objective."""
    is_winner = pl.col("number").is_in([winner.number for winner in winners])
    params = [name for name in trials.columns if name.startswith("params_")]
    return (
        trials.filter(pl.col("state") == "complete")
        .sort(~is_winner, "values_0", "number", descending=[False, not objective.minimize, False])
        .unique(params or ["number"], keep="first", maintain_order=True)
    )


def _failed(trials: pl.DataFrame) -> pl.DataFrame:
    """The first failed trial of each reason, with ``n_alike``, the most frequent reason first."""
    # The measured value is left out, so that equal reasons are counted together.
    reason = pl.col("reason").str.split(" (").list.first()
    return (
        trials.filter(pl.col("state") == "failed")
        .with_columns(pl.len().over(reason).alias("n_alike"), pl.first("number").over(reason).alias("first"))
        .filter(pl.col("number") == pl.col("first"))
        .sort("n_alike", "number", descending=[True, False])
    )


@dataclass(frozen=True)
class _TrialRecordBuilder:
    """Makes the records of one study's trials from rows of its log."""

    run: StoredSweep
    study: StoredStudy
    winners: Sequence[Winner]
    space: Space

    def best(self, row: dict[str, Any], rank: int) -> TrialRecord:
        winner = next((winner for winner in self.winners if winner.number == row["number"]), None)
        metrics = prefix_metrics(
            {name: row[name] for name in METRICS}, winner.oos_metrics if winner else None
        )
        values = {
            name_curve(objective): row[f"values_{i}"] for i, objective in enumerate(self.study.objectives)
        }
        tags = {"rank": str(rank), "is_winner": str(winner is not None).lower()}
        return self._record(row, f"best {rank}", "FINISHED", tags, {**metrics, **values})

    def failed(self, row: dict[str, Any]) -> TrialRecord:
        return self._record(row, "failed", "FAILED", {"reason": row["reason"]}, {"n_alike": row["n_alike"]})

    def _record(
        self,
        row: dict[str, Any],
        title: str,
        status: RunStatus,
        tags: dict[str, str],
        metrics: dict[str, float],
    ) -> TrialRecord:
        number, after, own = row["number"], row["seconds_after"], row["duration_seconds"]
        about = {"kind": "trial", "trial": str(number), "state": row["state"]}
        record = TrackingRecord(
            name=f"{title}: trial {number}",
            status=status,
            params={name: str(value) for name, value in decode_params(row, self.space).items()},
            tags={**build_study_tags(self.run, self.study), **about, **tags},
            metrics={**metrics, "duration_seconds": own},
        )
        return TrialRecord(number, record, (after - own, after))
