"""The records of a sweep for a tracker, as plain data made from its folder; independent of MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backtune.data.window import iso
from backtune.results.leaderboard.row import Row
from backtune.results.log.summary import StudySummary
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.trial import Metrics
from backtune.spec import hash_content
from backtune.tracking.descriptions import describe_study, describe_sweep_leaderboard, describe_walk_forward

RunStatus = Literal["FINISHED", "FAILED", "RUNNING"]

_STATUS: dict[str, RunStatus] = {"complete": "FINISHED", "failed": "FAILED", "partial": "RUNNING"}
# Sections that are no parameters of a sweep: they may change while its id stays, or are long and in ``spec.yaml``.
_NOT_PARAMETERS = ("name", "compute", "tracking", "grid", "space")
_EVIDENCE = (
    "dsr",
    "dsr_level",
    "n_independent",
    "n_elsewhere",
    "pbo",
    "pbo_loss",
    "plateau",
    "oos_sharpe_low",
    "oos_sharpe_high",
    "timing_p",
    "hold_total_return",
    "hold_sharpe_ratio",
    "hold_max_drawdown",
    "test_years",
    "min_track_record_years",
)

_STANDING = (
    "permutation_p",
    "n_permutations",
    "family_p",
    "haircut_sharpe_ratio",
    "q_value",
    "luck_sharpe_mean",
    "luck_sharpe_upper",
)


class RecordRefusedError(Exception):
    """Raised when a tracker answers, but does not take this one record."""


@dataclass(frozen=True)
class BarsReference:
    """The bars that a study was searched on; the window has their start and end as ISO times, UTC."""

    name: str
    fingerprint: str
    location: str
    window: tuple[str, str]


@dataclass(frozen=True)
class TrackingRecord:
    """The record of a sweep, a study or a trial.

    Attributes:
        name: Name in lists.
        status: Status; ``RUNNING`` where the work can go on.
        params: Settings; for a study its cell and the parameters of its first winner.
        tags: Kind of the record, and the sweep and study that it belongs to.
        metrics: Value of each metric; undefined ones are left out.
        bars: Bars of a study; None for other records.
    """

    name: str
    status: RunStatus
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    bars: BarsReference | None = None

    @property
    def content(self) -> str:
        """Return the content id, which is equal for equal records."""
        return hash_content(asdict(self))[:16]


def build_study_record(
    run: StoredSweep, study: StoredStudy, summary: StudySummary, row: Row | None = None
) -> TrackingRecord:
    """Build the record of a study, a function of its summary and row alone: equal studies give equal records.

    There is no row without a winner, or where another island has the best.
    """
    winner = summary.winners[0] if summary.winners else None
    results = (
        {**prefix_metrics(winner.is_metrics, winner.oos_metrics), "best_trial": winner.number}
        if winner
        else {}
    )
    return TrackingRecord(
        name=_name_study(study),
        status=_STATUS[summary.state],
        params={
            **describe_cell(study),
            **{name: str(value) for name, value in (winner.params if winner else {}).items()},
        },
        tags={
            **build_study_tags(run, study),
            "kind": "study",
            "backend": study.backend,
            "state": summary.state,
            "reason": summary.reason or summary.most_common_reason,
            "warnings": "; ".join(row.warnings) if row else "",
            "mlflow.note.content": describe_study(study, row) if row else "",
        },
        metrics={**_count_trials(summary), **results, **(_collect_evidence(row) if row else {})},
        bars=BarsReference(
            f"{study.asset} {study.timeframe}",
            study.data_fingerprint,
            run.spec.data.root,
            (iso(study.span[0]), iso(study.span[1])),
        ),
    )


def collect_standing_metrics(place: int, row: Row) -> dict[str, float]:
    """Return the metrics of a row that need the whole sweep: its place, from 1, its test among all tests, permutations."""
    found = row.evidence.to_json()
    return {
        "leaderboard_place": place,
        **{name: found[name] for name in _STANDING if found[name] is not None},
    }


def build_cell_record(run: StoredSweep, row: Row, place: int) -> TrackingRecord:
    """Build the record of a walk-forward, with the tests of its folds as one backtest.

    Places of the leaderboard are counted from 1.
    """
    entries = {study.id: study for study in run.studies}
    summaries = [run.read_summary(entries[fold.study]) for fold in row.folds]
    cell = dict(zip(("strategy", "asset", "timeframe"), row.cell, strict=True))
    return TrackingRecord(
        name=f"{row.asset} {row.timeframe} {row.strategy}",
        status=_find_status([summary.state if summary else "partial" for summary in summaries]),
        params={**cell, **{name: str(value) for name, value in row.params.items()}},
        tags={
            "kind": "cell",
            "sweep": run.sweep_id,
            "study": build_cell_id(row),
            **cell,
            "version": run.version,
            "warnings": "; ".join(row.warnings),
            "mlflow.note.content": describe_walk_forward(entries[row.study], row),
        },
        metrics={
            "n_trials": row.n_trials,
            "n_folds": len(row.folds),
            **collect_standing_metrics(place, row),
            **prefix_metrics(row.is_metrics, row.oos_metrics),
            **_collect_evidence(row),
        },
    )


def build_cell_id(row: Row) -> str:
    """Build the id of a walk-forward's cell, which takes the place of a study id."""
    return "-".join(row.cell)


def build_sweep_record(
    run: StoredSweep, summaries: Sequence[StudySummary | None], rows: Sequence[Row] = ()
) -> TrackingRecord:
    """Build the record of a sweep, from a summary for each of its studies; None stands for an unfinished one."""
    states: list[str] = [summary.state if summary else "partial" for summary in summaries]
    spec = run.spec.to_json(exclude=_NOT_PARAMETERS)
    n_trials = sum(summary.n_trials for summary in summaries if summary)
    return TrackingRecord(
        name=run.sweep_id,
        status=_find_status(states),
        params={key: value for key, value in _flatten(spec).items() if key != "search.trials"},
        tags={
            "kind": "sweep",
            "sweep": run.sweep_id,
            "version": run.version,
            **{f"n_studies_{state}": str(states.count(state)) for state in _STATUS},
            "spec": hash_content(run.spec.to_json())[:16],
            "mlflow.note.content": describe_sweep_leaderboard(run, rows, n_trials),
        },
        metrics={"n_studies": len(states), "n_trials": n_trials},
    )


def build_study_tags(run: StoredSweep, study: StoredStudy) -> dict[str, str]:
    """Build the tags of a study and its trials, for filters."""
    return {
        "sweep": run.sweep_id,
        "study": study.id,
        **describe_cell(study),
        "data_fingerprint": study.data_fingerprint,
        "results_version": study.results_version,
        "version": run.version,
    }


def describe_cell(study: StoredStudy) -> dict[str, str]:
    """Return the strategy, the asset, the timeframe and the fold of a study."""
    cell = {"strategy": study.strategy, "asset": study.asset, "timeframe": study.timeframe}
    return {**cell, "fold": study.fold.name}


def prefix_metrics(is_metrics: Metrics, oos_metrics: Metrics | None) -> dict[str, float]:
    """Return metrics as ``is_<metric>`` and ``oos_<metric>``, without undefined ones."""
    sides = {"is": is_metrics, "oos": oos_metrics or {}}
    return {
        f"{side}_{name}": value
        for side, metrics in sides.items()
        for name, value in metrics.items()
        if value is not None
    }


def _find_status(states: Sequence[str]) -> RunStatus:
    return "RUNNING" if "partial" in states else ("FAILED" if "failed" in states else "FINISHED")


def _name_study(study: StoredStudy) -> str:
    """Return a name that starts with the distinguishing words: MLflow's table cuts names at some twenty letters."""
    fold = [study.fold.name] if study.fold.name.startswith("walk") else []
    return " ".join([study.asset, study.timeframe, *fold, study.strategy])


def _count_trials(summary: StudySummary) -> dict[str, float]:
    return {
        "n_trials": summary.n_trials,
        "n_complete": summary.n_complete,
        "n_infeasible": summary.n_infeasible,
        "n_failed": summary.n_failed,
        "n_winners": len(summary.winners),
    }


def _collect_evidence(row: Row) -> dict[str, float]:
    found = row.evidence.to_json()
    return {name: found[name] for name in _EVIDENCE if found[name] is not None}


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested plain data to dotted keys, with lists as text and without None."""
    flat: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = (
                ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            )
    return flat
