"""What the trials of a search say of its best. Computed from the log when it is asked for, and kept beside the summary."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from backtune.errors import ResultsError
from backtune.results.evidence.related_studies import RelatedStudies
from backtune.results.evidence.trial_count import count_search_trials, count_stopped_trials
from backtune.results.log.probes import Probe, read_probes
from backtune.results.log.segments import count_trials, decode_param_columns, extract_block_moments, read_log
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.trial import Metrics
from backtune.simulation.metrics import METRICS
from backtune.space import Params, Space, Value
from backtune.spec import Objective
from backtune.storage.files import read_json, write_json
from backtune.storage.location import Location
from backtune.validation.deflated_sharpe import TrialCount
from backtune.validation.overfitting import estimate_overfitting
from backtune.validation.plateau import measure_plateau

_FILE = "evidence.json"
# To be raised with any change of what is computed: what was kept before is computed again.
_VERSION = 5


@dataclass(frozen=True)
class SearchEvidence:
    """What all trials of a search say together; None where undefined.

    Attributes:
        n_trials: rows of the log, of all islands.
        tried: as far as luck is concerned, with what other sweeps tried on the same bars. Trials stopped early count: they would
            have won had they been good.
        n_elsewhere: the trials of related studies, which other sweeps ran on the same bars.
        n_other_sweeps: the number of these sweeps.
        related_key: which related studies were looked at, and how many trials they had.
        problems: warnings about related studies that cannot be read; what has some is not kept.
        pbo, pbo_loss: of the complete trials, from which the best is chosen; see
            :class:`~backtune.validation.overfitting.Overfitting`. Stopped ones cannot be among them, which makes
            the trials more alike and draws the probability towards one half.
        best: the complete trial that is best in the first objective; empty where there is none.
        plateau: its stability among its neighbours.
        plateau_centre: the candidate with the best neighbours.
        centre_plateau: how these stand, by the same measure.
        centre_metrics: of the centre, in-sample.
        n_probes: candidates evaluated beside the search, which the fields about neighbours take in as well.
    """

    n_trials: int
    tried: TrialCount | None = None
    pbo: float | None = None
    pbo_loss: float | None = None
    best: Params | None = None
    plateau: float | None = None
    plateau_centre: Params | None = None
    centre_plateau: float | None = None
    centre_metrics: Metrics | None = None
    n_probes: int = 0
    n_elsewhere: int = 0
    n_other_sweeps: int = 0
    related_key: str = ""
    problems: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, log: pl.DataFrame, space: Space, objective: Objective, probes: Sequence[Probe] = ()
    ) -> SearchEvidence:
        """From the rows of a search.

        Args:
            log: in the columns of :func:`~backtune.results.log.segments.read_log`, of all islands.
            objective: the first objective.
            probes: of all islands.
        """
        blocks = extract_block_moments(log)
        overfitted = estimate_overfitting(blocks[(log["state"] == "complete").to_numpy()])
        return cls(
            n_trials=len(log),
            tried=TrialCount.of(blocks, count_stopped_trials(log)),
            pbo=overfitted.probability if overfitted else None,
            pbo_loss=overfitted.probability_of_loss if overfitted else None,
            n_probes=len(probes),
            **_neighbours(log, space, objective, probes),
        )


def load_search_evidence(
    run: StoredSweep, islands: Sequence[StoredStudy], related: RelatedStudies | None = None
) -> SearchEvidence:
    """What the trials of a search say, those of its islands together.

    It is kept in the folder of the first island that has trials, until there are more, here or in related studies.

    Args:
        related: the studies of other sweeps whose trials count as tried; none by default.

    Raises:
        ResultsError: a log cannot be read.
    """
    related = related or RelatedStudies()
    folders = [folder for folder in (run.study_folder(study.id) for study in islands) if count_trials(folder)]
    if not folders:
        return SearchEvidence(0)
    probes = [probe for folder in folders for probe in read_probes(folder)]
    kept = _kept(folders[0])
    if kept is not None and (kept.n_trials, kept.n_probes) != (sum(map(count_trials, folders)), len(probes)):
        kept = None
    if kept is not None and kept.related_key == related.key:
        return kept
    log = pl.concat([log for log in map(read_log, folders) if log is not None])
    first = islands[0]
    found = kept or SearchEvidence.of(log, first.parse_space(), first.objectives[0], probes)
    counted = count_search_trials(log, first.fold.train, related.studies)
    found = replace(
        found,
        tried=counted.tried,
        n_elsewhere=counted.n_elsewhere,
        n_other_sweeps=counted.n_other_sweeps,
        related_key=related.key,
        problems=counted.problems,
    )
    if not found.problems:
        # Whoever may read the results need not be allowed to write beside them.
        with contextlib.suppress(ResultsError):
            write_json(folders[0] / _FILE, {"version": _VERSION, **asdict(found)})
    return found


def _kept(folder: Location) -> SearchEvidence | None:
    """What was kept; None where nothing was, or nothing that can be read."""
    try:
        content = read_json(folder / _FILE)
    except ResultsError:
        return None
    if not isinstance(content, dict) or content.pop("version", None) != _VERSION:
        return None
    tried = content.pop("tried")
    return SearchEvidence(**{**content, "problems": ()}, tried=TrialCount(**tried) if tried else None)


@dataclass(frozen=True, eq=False)
class SearchedCandidates:
    """The trials of a search and after them the probes, as :func:`~backtune.validation.plateau.measure_plateau` takes them.

    Attributes:
        best: the place of the complete trial that is best in the first objective.
        columns: of each parameter, None where it did not matter.
        gains: (n,) the first objective, higher is better; NaN where the candidate is not complete.
    """

    best: int
    columns: dict[str, list[Value | None]]
    gains: np.ndarray

    @classmethod
    def of(
        cls, log: pl.DataFrame, space: Space, objective: Objective, probes: Sequence[Probe] = ()
    ) -> SearchedCandidates | None:
        """From the rows of a search; None where no trial is complete."""
        sign = -1.0 if objective.minimize else 1.0
        is_complete = pl.col("state") == "complete"
        gain = pl.when(is_complete).then(sign * pl.col("values_0")).fill_null(np.nan)
        own = log.select(gain=gain)["gain"].to_numpy()
        if np.isnan(own).all():
            return None
        beside = [sign * p.values[0] if p.state == "complete" and p.values else np.nan for p in probes]
        columns = {
            name: [*column, *(probe.params.get(name) for probe in probes)]
            for name, column in decode_param_columns(log, space).items()
        }
        return cls(int(np.nanargmax(own)), columns, np.array([*own, *beside]))

    def params(self, place: int) -> Params:
        """One of them."""
        values = {name: column[place] for name, column in self.columns.items()}
        return {name: value for name, value in values.items() if value is not None}


def _neighbours(
    log: pl.DataFrame, space: Space, objective: Objective, probes: Sequence[Probe]
) -> dict[str, Any]:
    """The fields about the best and its neighbours."""
    candidates = SearchedCandidates.of(log, space, objective, probes)
    if candidates is None:
        return {}
    best = {"best": candidates.params(candidates.best)}
    found = measure_plateau(space, candidates.columns, candidates.gains, best=candidates.best)
    if found is None:
        return best
    heights = {"plateau": found.stability, "centre_plateau": found.centre_stability}
    if found.centre is None:
        return {**best, **heights}
    centre = candidates.params(found.centre)
    beside = found.centre - len(log)
    metrics = probes[beside].metrics if beside >= 0 else _metrics(log.row(found.centre, named=True))
    return {**best, **heights, "plateau_centre": centre, "centre_metrics": metrics}


def _metrics(row: dict[str, Any]) -> Metrics:
    return {name: row[name] for name in METRICS}
