"""The trials of a study for a tracker: every value as a point of a curve, a few trials as records of their own."""

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

# The most runs of a sweep: MLflow's pages are slow with many runs, and each takes ten to thirty milliseconds to write.
MOST_BEST_RUNS, MOST_FAILED_RUNS = 1_000, 200
# The most failed trials of a study, one for each of the most frequent reasons.
_MOST_REASONS = 5
BEST_SO_FAR = "best_so_far"


@dataclass(frozen=True)
class CurvePoint:
    """A value of a curve over the trials of a study.

    Attributes:
        curve: Name of the curve.
        number: Number of the trial.
        value: Value at the trial.
        seconds: Evaluation time up to and including the trial.
    """

    curve: str
    number: int
    value: float
    seconds: float


@dataclass(frozen=True)
class TrialRecord:
    """The record of one trial, with the evaluation time of its study before and after it, in seconds."""

    number: int
    record: TrackingRecord
    seconds: tuple[float, float]


def name_curve(objective: Objective) -> str:
    """Return the name of the curve of an objective's values."""
    return f"trial_{objective.metric}"


def build_curve_points(trials: pl.DataFrame, objectives: Sequence[Objective]) -> list[CurvePoint]:
    """Build the curves of every objective's values over complete trials, and of the best so far in the first one.

    The best so far has points before and after each change and at the last trial, so that it is drawn as steps.

    Args:
        trials: Log of a study, with the columns number, state, values_<i> and duration_seconds.
        objectives: Objectives of the study.
    """
    found = [
        CurvePoint(name_curve(objective), *row)
        for i, objective in enumerate(objectives)
        for row in _select_complete(trials, f"values_{i}").iter_rows()
    ]
    return [
        *found,
        *(CurvePoint(BEST_SO_FAR, *row) for row in _select_improvements(trials, objectives[0]).iter_rows()),
    ]


def build_trial_records(
    run: StoredSweep, study: StoredStudy, summary: StudySummary, trials: pl.DataFrame, top_k: int
) -> list[TrialRecord]:
    """Build the records of the best different trials, winners first, and of one failed trial for each frequent reason.

    There are ``top_k`` of the best; fewer in a sweep of many studies, so that all have at most ``MOST_BEST_RUNS``.
    """
    builder = _TrialRecordBuilder(run, study, summary.winners, study.parse_space())
    numbered = trials.with_columns(pl.col("duration_seconds").cum_sum().alias("seconds_after"))
    best = _rank_complete(numbered, summary.winners, study.objectives[0])
    best = best.head(min(top_k, MOST_BEST_RUNS // len(run.studies)))
    failed = _select_failed(numbered).head(min(_MOST_REASONS, MOST_FAILED_RUNS // len(run.studies)))
    return [
        *(builder.build_best(row, rank) for rank, row in enumerate(best.iter_rows(named=True), start=1)),
        *(builder.build_failed(row) for row in failed.iter_rows(named=True)),
    ]


def _select_complete(trials: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return the columns number, value and seconds of complete trials."""
    value = pl.when(pl.col("state") == "complete").then(pl.col(column)).alias("value")
    return trials.select("number", value, pl.col("duration_seconds").cum_sum().alias("seconds")).drop_nulls(
        "value"
    )


def _select_improvements(trials: pl.DataFrame, objective: Objective) -> pl.DataFrame:
    """Return the columns number, value and seconds of the best so far, empty without a complete trial."""
    value = pl.col("value").cum_min() if objective.minimize else pl.col("value").cum_max()
    rows = _select_complete(trials, "values_0").with_columns(value)
    changed = (pl.col("value") != pl.col("value").shift()).fill_null(value=True)
    return rows.filter(changed | changed.shift(-1).fill_null(value=True))


def _rank_complete(trials: pl.DataFrame, winners: Sequence[Winner], objective: Objective) -> pl.DataFrame:
    """Return complete trials in order of rank: the study's winners, then by the first objective."""
    is_winner = pl.col("number").is_in([winner.number for winner in winners])
    params = [name for name in trials.columns if name.startswith("params_")]
    return (
        trials.filter(pl.col("state") == "complete")
        .sort(~is_winner, "values_0", "number", descending=[False, not objective.minimize, False])
        .unique(params or ["number"], keep="first", maintain_order=True)
    )


def _select_failed(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the first failed trial of each reason, with ``n_alike``, the most frequent reason first."""
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
    """A builder of records from the rows of one study's log."""

    run: StoredSweep
    study: StoredStudy
    winners: Sequence[Winner]
    space: Space

    def build_best(self, row: dict[str, Any], rank: int) -> TrialRecord:
        winner = next((winner for winner in self.winners if winner.number == row["number"]), None)
        metrics = prefix_metrics(
            {name: row[name] for name in METRICS}, winner.oos_metrics if winner else None
        )
        values = {
            name_curve(objective): row[f"values_{i}"] for i, objective in enumerate(self.study.objectives)
        }
        tags = {"rank": str(rank), "is_winner": str(winner is not None).lower()}
        return self._build_record(row, f"best {rank}", "FINISHED", tags, {**metrics, **values})

    def build_failed(self, row: dict[str, Any]) -> TrialRecord:
        return self._build_record(
            row, "failed", "FAILED", {"reason": row["reason"]}, {"n_alike": row["n_alike"]}
        )

    def _build_record(
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
