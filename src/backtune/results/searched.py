"""What the trials of a search say of its best. Computed from the log when it is asked for, and kept beside the summary."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from backtune.errors import ResultsError
from backtune.results.files import read_json, write_json
from backtune.results.runs import Run, StudyEntry
from backtune.results.segments import blocks_of, count_trials, params_of, read_log
from backtune.space import Params, Space
from backtune.spec import Goal
from backtune.validation.deflated_sharpe import Tried
from backtune.validation.overfitting import overfitting
from backtune.validation.plateau import plateau

_FILE = "evidence.json"
# To be raised with any change of what is computed: what was kept before is computed again.
_VERSION = 1


@dataclass(frozen=True)
class Searched:
    """What all trials of a search say together; None where undefined.

    Attributes:
        n_trials: rows of the log, of all islands.
        tried: as far as luck is concerned. Trials stopped early count: they would have won had they been good.
        pbo, pbo_slope, pbo_loss: of the complete trials, from which the best is chosen; see
            :class:`~backtune.validation.overfitting.Overfitting`. Stopped ones cannot be among them, which makes
            the trials more alike and draws the probability towards one half.
        best: the complete trial that is best in the first objective; empty where there is none.
        plateau: its stability among its neighbours.
        plateau_centre: the trial with the best neighbours.
    """

    n_trials: int
    tried: Tried | None = None
    pbo: float | None = None
    pbo_slope: float | None = None
    pbo_loss: float | None = None
    best: Params | None = None
    plateau: float | None = None
    plateau_centre: Params | None = None

    @classmethod
    def of(cls, log: pl.DataFrame, space: Space, goal: Goal) -> Searched:
        """From the rows of a search.

        Args:
            log: in the columns of :func:`~backtune.results.segments.read_log`, of all islands.
            goal: the first objective.
        """
        blocks = blocks_of(log)
        overfitted = overfitting(blocks[(log["state"] == "complete").to_numpy()])
        return cls(
            n_trials=len(log),
            tried=Tried.of(blocks, _n_stopped(log, space)),
            pbo=overfitted.probability if overfitted else None,
            pbo_slope=overfitted.slope if overfitted else None,
            pbo_loss=overfitted.probability_of_loss if overfitted else None,
            **_neighbours(log, space, goal),
        )


def searched(run: Run, islands: Sequence[StudyEntry]) -> Searched:
    """What the trials of a search say, those of its islands together.

    It is kept in the folder of the first island that has trials, until there are more.

    Raises:
        ResultsError: a log cannot be read.
    """
    folders = [folder for folder in (run.study_folder(study.id) for study in islands) if count_trials(folder)]
    if not folders:
        return Searched(0)
    kept = _kept(folders[0])
    if kept is not None and kept.n_trials == sum(map(count_trials, folders)):
        return kept
    logs = [log for log in map(read_log, folders) if log is not None]
    first = islands[0]
    found = Searched.of(pl.concat(logs), first.parameters(), Goal.parse(first.objectives[0]))
    # Whoever may read the results need not be allowed to write beside them.
    with contextlib.suppress(ResultsError):
        write_json(folders[0] / _FILE, {"version": _VERSION, **asdict(found)})
    return found


def _kept(folder: Path) -> Searched | None:
    """What was kept; None where nothing was, or nothing that can be read."""
    try:
        content = read_json(folder / _FILE)
    except ResultsError:
        return None
    if not isinstance(content, dict) or content.pop("version", None) != _VERSION:
        return None
    tried = content.pop("tried")
    return Searched(**content, tried=Tried(**tried) if tried else None)


def _n_stopped(log: pl.DataFrame, space: Space) -> int:
    """Distinct candidates of which nothing is known on the whole window, because they were stopped early."""
    stopped = log.filter((pl.col("state") == "infeasible") & pl.col("values_0").is_null())
    return stopped.select(f"params_{name}" for name in space).n_unique() if len(stopped) else 0


def around_best(log: pl.DataFrame, space: Space, goal: Goal) -> tuple[Params, pl.DataFrame] | None:
    """The best complete trial's parameters, and the trials that have all parameters that matter for it.

    Returns:
        Rows of the log with a column ``gain``: the first objective, higher is better, NaN where the trial is not
        complete. None where no trial is.
    """
    sign = -1.0 if goal.minimize else 1.0
    gain = pl.when(pl.col("state") == "complete").then(sign * pl.col("values_0")).fill_null(np.nan)
    rows = log.with_columns(gain.alias("gain"))
    if rows["gain"].is_nan().all():
        return None
    best = params_of(rows.row(int(np.nanargmax(rows["gain"].to_numpy())), named=True), space)
    return best, rows.drop_nulls([f"params_{name}" for name in best])


def _neighbours(log: pl.DataFrame, space: Space, goal: Goal) -> dict[str, Any]:
    """The fields about the best and its neighbours."""
    around = around_best(log, space, goal)
    if around is None:
        return {}
    best, rows = around
    if not best:
        return {"best": best}
    found = plateau(
        Space({name: space[name] for name in best}),
        {name: rows[f"params_{name}"].to_list() for name in best},
        rows["gain"].to_numpy(),
    )
    if found is None:
        return {"best": best}
    centre = None if found.centre is None else params_of(rows.row(found.centre, named=True), space)
    return {"best": best, "plateau": found.stability, "plateau_centre": centre}
