"""The leaderboard: what every study found, in-sample beside out-of-sample, with the number of trials it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backtune.engine.metrics import METRICS
from backtune.objective import Metrics
from backtune.results.runs import Run, StudyEntry
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

    def to_json(self) -> dict[str, Any]:
        """Flat and plain: metrics as ``is_<metric>`` and ``oos_<metric>``."""
        return {
            "study": self.study, "strategy": self.strategy, "asset": self.asset, "timeframe": self.timeframe,
            "params": self.params, "trial": self.trial, "n_trials": self.n_trials,
            "values": list(self.values) if self.values is not None else None,
            **{f"is_{name}": value for name, value in self.is_metrics.items()},
            **{f"oos_{name}": value for name, value in self.oos_metrics.items()},
            "warnings": list(self.warnings),
        }  # fmt: skip


def leaderboard(run: Run) -> list[Row]:
    """All rows, the best first: by the first objective out-of-sample, in-sample where there is no validation.

    A study's Pareto front stays together, placed by its best point. Studies without a winner come last.
    """
    validated = run.spec["validation"]["method"] != "none"
    fronts = [_rows(run, study) for study in run.studies]
    fronts.sort(key=lambda rows: max(_merit(row, run, validated) for row in rows), reverse=True)
    return [row for rows in fronts for row in sorted(rows, key=lambda r: -_merit(r, run, validated))]


def _merit(row: Row, run: Run, validated: bool) -> float:  # noqa: FBT001
    goal = Goal.parse(run.spec["search"]["objectives"][0])
    value = (row.oos_metrics if validated else row.is_metrics)[goal.metric]
    if row.values is None:
        return -math.inf
    # An undefined result ranks below every defined one, above no result at all.
    return -1e300 if value is None else (-value if goal.minimize else value)


def _rows(run: Run, study: StudyEntry) -> list[Row]:
    summary = run.summary(study)
    n_trials = max(count_trials(run.study_folder(study.id)), summary.n_trials if summary else 0)
    winners: Sequence[Winner | None] = summary.winners if summary and summary.winners else (None,)
    return [_row(study, summary, winner, n_trials) for winner in winners]


def _row(study: StudyEntry, summary: StudySummary | None, winner: Winner | None, n_trials: int) -> Row:
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
        warnings=tuple(_warnings(study, summary, winner, n_trials)),
    )


def _warnings(
    study: StudyEntry, summary: StudySummary | None, winner: Winner | None, n_trials: int
) -> list[str]:
    if summary is None:
        return [f"not finished: {n_trials} of {study.budget} trials"]
    if summary.state == "failed":
        return [f"failed: {summary.reason}"]
    found = []
    if n_trials < study.budget and not summary.exhausted:
        found.append(f"not finished: {n_trials} of {study.budget} trials")
    if winner is None:
        found.append(f"no usable trial: {summary.most_common_reason}")
        return found
    if summary.n_failed:
        found.append(f"{summary.n_failed} trials failed")
    return found + _evidence(winner)


def _evidence(winner: Winner) -> list[str]:
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
