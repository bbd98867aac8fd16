"""The evidence that a search's trials give for its best: computed from the log when it is asked for, and stored beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import polars as pl

from backtune.errors import ResultsError
from backtune.results.evidence.related_studies import RelatedStudies
from backtune.results.evidence.trial_count import (
    NO_TRIALS,
    SearchTrialCount,
    count_search_trials,
    count_stopped_trials,
)
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
# To be raised with any change of the computation: stored evidence of another version is computed again.
_VERSION = 6
# Half of what the best has over trials elsewhere is gone within a tenth of the ranges.
FLAT_PLATEAU = 0.5


@dataclass(frozen=True)
class PlateauEvidence:
    """The standing of a search's best among its neighbours; None where undefined.

    Attributes:
        best: The complete trial that is best in the first objective.
        stability: The standing of its neighbours, see :class:`~backtune.validation.plateau.Plateau`.
        centre: The candidate with the best neighbours; not always a trial, see :mod:`backtune.results.log.probes`.
        centre_stability: The standing of these neighbours, by the same measure.
        centre_metrics: The metrics of the centre, in sample. Its result out of sample is not looked up, lest the choice between
            the centre and the winner be made by it.
    """

    best: Params | None = None
    stability: float | None = None
    centre: Params | None = None
    centre_stability: float | None = None
    centre_metrics: Metrics | None = None

    @property
    def has_steadier_centre(self) -> bool:
        """Tell whether the best stands alone, as far as is known, and the centre of the plateau does not."""
        stands_alone = self.stability is None or self.stability < FLAT_PLATEAU
        return stands_alone and self.centre_stability is not None and self.centre_stability >= FLAT_PLATEAU


NO_PLATEAU = PlateauEvidence()


@dataclass(frozen=True)
class SearchEvidence:
    """The evidence that the trials of a search give together; None where undefined.

    Attributes:
        n_trials: The number of rows in the logs of all islands.
        trials: The number of independent trials, with those of other sweeps on the same bars. Trials stopped early count: they
            would have won had they been good.
        pbo, pbo_loss: The probabilities of overfitting and of loss among the complete trials, from which the best is chosen;
            see :class:`~backtune.validation.overfitting.Overfitting`. Stopped trials cannot be among them, which makes the
            others more alike and draws the probability towards one half.
        plateau: The standing of the best among its neighbours.
        n_probes: The number of candidates evaluated beside the search, which count as neighbours too.
        related_key: A text that changes with the related studies and their numbers of trials.
    """

    n_trials: int
    trials: SearchTrialCount = NO_TRIALS
    pbo: float | None = None
    pbo_loss: float | None = None
    plateau: PlateauEvidence = NO_PLATEAU
    n_probes: int = 0
    related_key: str = ""

    @classmethod
    def of(
        cls, log: pl.DataFrame, space: Space, objective: Objective, probes: Sequence[Probe] = ()
    ) -> SearchEvidence:
        """Return the evidence in the rows of a search.

        Args:
            log: The rows of all islands, in the columns of :func:`~backtune.results.log.segments.read_log`.
            space: The space of the search.
            objective: The first objective.
            probes: The probes of all islands.
        """
        blocks = extract_block_moments(log)
        overfitting = estimate_overfitting(blocks[(log["state"] == "complete").to_numpy()])
        return cls(
            n_trials=len(log),
            trials=SearchTrialCount(TrialCount.of(blocks, count_stopped_trials(log))),
            pbo=overfitting.probability if overfitting else None,
            pbo_loss=overfitting.probability_of_loss if overfitting else None,
            plateau=_find_plateau(log, space, objective, probes),
            n_probes=len(probes),
        )


def load_search_evidence(
    run: StoredSweep, islands: Sequence[StoredStudy], related: RelatedStudies | None = None
) -> SearchEvidence:
    """Return the evidence of a search, of its islands together.

    It is stored in the folder of the first island that has trials, until there are more, here or in related studies.

    Args:
        run: The sweep.
        islands: All studies of the search.
        related: The studies of other sweeps whose trials count as well; none by default.

    Raises:
        ResultsError: A log cannot be read.
    """
    related = related or RelatedStudies()
    folders = [folder for folder in (run.study_folder(study.id) for study in islands) if count_trials(folder)]
    if not folders:
        return SearchEvidence(0)
    probes = [probe for folder in folders for probe in read_probes(folder)]
    stored = _read_stored(folders[0])
    if stored is not None and (stored.n_trials, stored.n_probes) != (
        sum(map(count_trials, folders)),
        len(probes),
    ):
        stored = None
    if stored is not None and stored.related_key == related.key:
        return stored
    log = pl.concat([log for log in map(read_log, folders) if log is not None])
    first = islands[0]
    found = replace(
        stored or SearchEvidence.of(log, first.parse_space(), first.objectives[0], probes),
        trials=count_search_trials(log, first.fold.train, related.studies),
        related_key=related.key,
    )
    # Where a related study cannot be read, the next one who asks tries again.
    if not found.trials.problems:
        # Whoever may read the results need not be allowed to write beside them.
        with contextlib.suppress(ResultsError):
            write_json(folders[0] / _FILE, {"version": _VERSION, **asdict(found)})
    return found


def _read_stored(folder: Location) -> SearchEvidence | None:
    """Return the stored evidence; None where there is none, or none that can be read."""
    try:
        content = read_json(folder / _FILE)
    except ResultsError:
        return None
    if not isinstance(content, dict) or content.pop("version", None) != _VERSION:
        return None
    trials, plateau = content.pop("trials"), PlateauEvidence(**content.pop("plateau"))
    total = TrialCount(**trials["total"]) if trials["total"] else None
    return SearchEvidence(
        **content, plateau=plateau, trials=SearchTrialCount(**{**trials, "total": total, "problems": ()})
    )


@dataclass(frozen=True, eq=False)
class SearchedCandidates:
    """The trials of a search and after them the probes, as :func:`~backtune.validation.plateau.measure_plateau` takes them.

    Attributes:
        best: The index of the complete trial that is best in the first objective.
        columns: The values of each parameter; None where it did not matter.
        gains: (n,) the first objective, higher is better; NaN where the candidate is not complete.
    """

    best: int
    columns: dict[str, list[Value | None]]
    gains: np.ndarray

    @classmethod
    def of(
        cls, log: pl.DataFrame, space: Space, objective: Objective, probes: Sequence[Probe] = ()
    ) -> SearchedCandidates | None:
        """Return the candidates in the rows of a search; None where no trial is complete."""
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
        """Return one of the candidates."""
        values = {name: column[place] for name, column in self.columns.items()}
        return {name: value for name, value in values.items() if value is not None}


def _find_plateau(
    log: pl.DataFrame, space: Space, objective: Objective, probes: Sequence[Probe]
) -> PlateauEvidence:
    candidates = SearchedCandidates.of(log, space, objective, probes)
    if candidates is None:
        return NO_PLATEAU
    best = candidates.params(candidates.best)
    found = measure_plateau(space, candidates.columns, candidates.gains, best=candidates.best)
    if found is None:
        return PlateauEvidence(best)
    if found.centre is None:
        return PlateauEvidence(best, found.stability, None, found.centre_stability)
    if found.centre >= len(log):
        metrics = probes[found.centre - len(log)].metrics
    else:
        row = log.row(found.centre, named=True)
        metrics = {name: row[name] for name in METRICS}
    return PlateauEvidence(
        best, found.stability, candidates.params(found.centre), found.centre_stability, metrics
    )
