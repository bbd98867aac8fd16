"""What a tracker is told of a sweep, as plain data made from its folder. Knows no tracker."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from backtune.results.runs import Run, StudyEntry
from backtune.results.summary import StudySummary, Winner
from backtune.spec import Goal, content_hash

Status = Literal["FINISHED", "FAILED", "RUNNING"]

_STATUS: dict[str, Status] = {"complete": "FINISHED", "failed": "FAILED", "partial": "RUNNING"}
# Not in the parameters of a sweep: they may change while its id stays, or are long and in the spec beside them.
_NOT_PARAMETERS = ("name", "compute", "tracking", "grid", "space")


@dataclass(frozen=True)
class Record:
    """A sweep, or one study of it.

    Attributes:
        name: as shown in lists.
        status: ``RUNNING`` where it can go on.
        params: settings, for a study its cell and the parameters of its first winner.
        tags: what it is and what it belongs to.
        metrics: one value each; undefined ones are left out.
    """

    name: str
    status: Status
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]

    @property
    def content(self) -> str:
        """Content id: equal for records that say the same."""
        return content_hash(asdict(self))[:16]


@dataclass(frozen=True)
class Step:
    """The best value from a trial on.

    Attributes:
        number: of the trial.
        value: of the first objective.
        seconds: of evaluation up to that trial, itself included.
    """

    number: int
    value: float
    seconds: float


def study_record(run: Run, study: StudyEntry, summary: StudySummary) -> Record:
    """What is told of a study. A function of its summary: equal studies give equal records."""
    winner = summary.winners[0] if summary.winners else None
    cell = {"strategy": study.strategy, "asset": study.asset, "timeframe": study.timeframe}
    if study.fold:
        cell["fold"] = study.fold
    found = {name: str(value) for name, value in winner.params.items()} if winner else {}
    return Record(
        name=" ".join(cell.values()),
        status=_STATUS[summary.state],
        params={**cell, **found},
        tags={
            "sweep": run.sweep_id,
            "study": study.id,
            **cell,
            "data_fingerprint": study.data_fingerprint,
            "engine": study.engine,
            "state": summary.state,
            "reason": summary.reason or summary.most_common_reason,
        },
        metrics={**_counts(summary), **(_results(winner) if winner else {})},
    )


def sweep_record(run: Run, summaries: list[StudySummary | None]) -> Record:
    """What is told of a sweep whose studies have these summaries, in the order of ``run.studies``."""
    states: list[str] = [summary.state if summary else "partial" for summary in summaries]
    status: Status = "RUNNING" if "partial" in states else ("FAILED" if "failed" in states else "FINISHED")
    spec = {key: value for key, value in run.spec.items() if key not in _NOT_PARAMETERS}
    params = {key: value for key, value in _flat(spec).items() if key != "search.trials"}
    return Record(
        name=run.sweep_id,
        status=status,
        params=params,
        tags={
            "sweep": run.sweep_id,
            "version": run.version,
            "n_studies": str(len(states)),
            **{f"n_studies_{state}": str(states.count(state)) for state in _STATUS},
            "n_trials": str(sum(summary.n_trials for summary in summaries if summary)),
            "spec": content_hash(run.spec)[:16],
        },
        metrics={},
    )


def best_so_far(trials: pl.DataFrame, goal: Goal) -> list[Step]:
    """The best value of the first objective among complete trials, where it changes and at the last trial.

    Args:
        trials: a study's log, with the columns number, state, values_0 and duration_seconds.
    """
    value = pl.when(pl.col("state") == "complete").then(pl.col("values_0"))
    best = value.cum_min() if goal.minimize else value.cum_max()
    steps = (
        trials.lazy()
        .select(
            "number", best.forward_fill().alias("best"), pl.col("duration_seconds").cum_sum().alias("seconds")
        )
        .drop_nulls("best")
        .filter(
            (pl.col("best") != pl.col("best").shift()).fill_null(value=True)
            | (pl.col("number") == pl.col("number").max())
        )
        .collect()
    )  # columns: number, best, seconds
    return [Step(*row) for row in steps.iter_rows()]


def _counts(summary: StudySummary) -> dict[str, float]:
    return {
        "n_trials": summary.n_trials,
        "n_complete": summary.n_complete,
        "n_infeasible": summary.n_infeasible,
        "n_failed": summary.n_failed,
        "n_winners": len(summary.winners),
    }


def _results(winner: Winner) -> dict[str, float]:
    sides = {"is": winner.is_metrics, "oos": winner.oos_metrics or {}}
    return {
        "best_trial": winner.number,
        **{
            f"{side}_{name}": value
            for side, metrics in sides.items()
            for name, value in metrics.items()
            if value is not None
        },
    }


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested plain data as dotted keys; lists on one line, nothing for what is None or empty."""
    flat: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = (
                ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            )
    return flat
