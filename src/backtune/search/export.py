"""The export of a finished study as Optuna trials, for optuna-dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from backtune.errors import ResultsError
from backtune.results.log.segments import decode_params, read_log
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.search.study_loop.feasibility import name_violations
from backtune.search.suggesters.optuna import ExportedStudy, ExportedTrial, write_study
from backtune.space import Space
from backtune.spec import Constraint
from backtune.storage.files import list_names, read_write_time
from backtune.storage.location import Location


def export_study(run: StoredSweep, entry: StoredStudy, storage: str) -> int:
    """Write a study's trials into an Optuna storage, under the study's id; those that are there already stay.

    Args:
        run: The folder of the sweep.
        entry: The study.
        storage: An address such as ``sqlite:///trials.db``, or the path of a journal file.

    Returns:
        The number of trials that were written.

    Raises:
        SpecError: The storage cannot be used.
        ResultsError: The log cannot be read, or the storage has other trials under this id.
    """
    log = read_log(run.study_folder(entry.id))
    if log is None:
        return 0
    space = entry.parse_space()
    constraints = run.spec.search.constraints
    rows = list(log.iter_rows(named=True))
    ends = _estimate_ends(run.study_folder(entry.id), [row["duration_seconds"] for row in rows])
    study = ExportedStudy(
        name=entry.id,
        objectives=entry.objectives,
        space=space,
        about={
            "sweep": run.sweep_id,
            "strategy": entry.strategy,
            "asset": entry.asset,
            "timeframe": entry.timeframe,
            "fold": entry.fold.name,
            "objectives": [str(objective) for objective in entry.objectives],
            "backend": entry.backend,
        },
    )
    trials = [
        _export_trial(row, space, constraints, end, n_objectives=len(study.objectives))
        for row, end in zip(rows, ends, strict=True)
    ]
    return write_study(study, trials, storage)


def _export_trial(
    row: dict[str, Any], space: Space, constraints: Sequence[Constraint], end: datetime, *, n_objectives: int
) -> ExportedTrial:
    is_evaluated = row["values_0"] is not None
    return ExportedTrial(
        params=decode_params(row, space),
        values=tuple(row[f"values_{i}"] for i in range(n_objectives)) if is_evaluated else None,
        violations=name_violations(row, constraints) if is_evaluated else {},
        reason=row["reason"],
        start=end - timedelta(seconds=row["duration_seconds"]),
        end=end,
        is_stopped=row["state"] == "infeasible" and not is_evaluated,
    )


def _estimate_ends(folder: Location, durations: Sequence[float]) -> list[datetime]:
    """Return the local time at which each trial ended, from the duration of each trial and the time of the last file."""
    try:
        segments = [name for name in list_names(folder) if name.endswith(".parquet")]
        written = max(read_write_time(folder / name) or 0 for name in segments) * 1e-9
    except (OSError, ValueError) as error:
        raise ResultsError(f"{folder}: cannot be read: {error}") from error
    ends: list[datetime] = []
    # Optuna's dates have no zone, and are local.
    end = datetime.fromtimestamp(written)  # noqa: DTZ006
    for seconds in reversed(durations):
        ends.append(end)
        end -= timedelta(seconds=seconds)
    return ends[::-1]
