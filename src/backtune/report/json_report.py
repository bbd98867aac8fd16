"""A report as plain data, written as JSON."""

from __future__ import annotations

from typing import Any

from backtune.report.content import ReportContent, StudyContent
from backtune.results.evidence.evidence import NO_EVIDENCE
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.verdict import describe_verdict
from backtune.results.log.segments import decode_params, read_log


def build_json_report(content: ReportContent) -> dict[str, Any]:
    """Build the report about the best result of the sweep or study, and how it was found.

    Returns:
        ``best_parameters`` (empty without a winner); ``performance_metrics`` as ``is_<metric>`` and ``oos_<metric>``;
        ``evidence`` with its ``warnings`` in words; ``stress`` of
        :meth:`~backtune.results.stress.Stress.to_json`, null without a winner or where it is not available, for the
        reason in ``stress_problem``; ``optimization_history``, an entry a trial of that study, with the best value so far; ``metadata``; and
        ``leaderboard``, the rows of the sweep or the study; and ``verdict``, in words, on whether any row does better than luck. What is
        undefined is null.
    """
    rows = [row for row in content.rows if content.study in (None, row.study)]
    row = next((row for row in rows if row.values is not None), rows[0] if rows else None)
    chosen = row.study if row is not None else content.ids[0]
    study = content.of_study(chosen, replayed=False)
    stress, problem = content.stress(row) if row is not None and row.values is not None else (None, "")
    flat = row.to_json() if row is not None else {}
    return {
        "best_parameters": row.params if row is not None else {},
        "performance_metrics": {k: v for k, v in flat.items() if k.startswith(("is_", "oos_"))},
        "evidence": _evidence(study, row),
        "stress": stress.to_json() if stress is not None else None,
        "stress_problem": problem,
        "optimization_history": _history(content, study),
        "metadata": _metadata(content, study, row),
        "leaderboard": [one.to_json() for one in rows],
        "verdict": describe_verdict(content.rows),
    }


def _evidence(study: StudyContent, row: Row | None) -> dict[str, Any]:
    around = study.surroundings
    return {
        **(row.evidence if row is not None else NO_EVIDENCE).to_json(),
        "plateau_neighbourhood": around.neighbourhood if around else None,
        "plateau_elsewhere": around.elsewhere if around else None,
        "plateau_n_neighbours": around.n_near if around else None,
        "warnings": list(row.warnings if row is not None else study.warnings),
    }


def _history(content: ReportContent, study: StudyContent) -> list[dict[str, Any]]:
    log = read_log(content.run.study_folder(study.entry.id))
    if log is None:
        return []
    minimize = study.objectives[0].minimize
    best: float | None = None
    history = []
    for row in log.iter_rows(named=True):
        values = [row[f"values_{i}"] for i in range(len(study.objectives))]
        if row["state"] == "complete" and values[0] is not None:
            best = values[0] if best is None else (min if minimize else max)(best, values[0])
        history.append(
            {
                "number": row["number"],
                "state": row["state"],
                "reason": row["reason"],
                "params": decode_params(row, study.space),
                "values": None if None in values else values,
                "best_so_far": best,
                "duration_seconds": row["duration_seconds"],
            }
        )
    return history


def _metadata(content: ReportContent, study: StudyContent, row: Row | None) -> dict[str, Any]:
    run, entry = content.run, study.entry
    return {
        "sweep_id": run.sweep_id,
        "name": run.name,
        "version": run.version,
        "study": entry.id,
        "strategy": entry.strategy,
        "asset": entry.asset,
        "timeframe": entry.timeframe,
        "fold": entry.fold.name,
        "trial": row.trial if row is not None else None,
        "n_trials": row.n_trials if row is not None else study.n_trials,
        "n_studies_of_sweep": len(run.studies),
        "n_trials_of_sweep": content.n_trials,
        "objectives": [str(objective) for objective in entry.objectives],
        "warnings": list(row.warnings) if row is not None else list(study.warnings),
        "data_fingerprint": entry.data_fingerprint,
        "backend": entry.backend,
        "space": entry.space,
        # The tracker's address may hold a password.
        "spec": run.spec.to_json(exclude=("tracking",)),
    }
