"""The folder of a sweep: ``<runs>/<sweep-id>/sweep.json`` and ``studies/<study-id>/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl

from backtune.errors import ResultsError
from backtune.results.log.segments import read_log
from backtune.results.log.summary import StudySummary
from backtune.space import Space, parse_space
from backtune.spec import Objective, SweepSpec
from backtune.storage.files import (
    hold_file,
    is_file_held,
    list_names,
    read_json,
    remove_leftovers,
    write_bytes,
)
from backtune.storage.location import Location, parse_location
from backtune.validation.folds import Fold

_LOCK = ".lock"


@dataclass(frozen=True)
class StoredStudy:
    """A study as the sweep's folder describes it.

    Attributes:
        id: The name of the study's folder.
        strategy, asset, timeframe: The cell of the study.
        fold: The windows as planned; a train window ends earlier where bars are missing, see
            :func:`~backtune.validation.folds.purge_fold`.
        objectives: The objectives of the spec.
        budget: The number of trials planned.
        space: The ranges that are searched, as plain data.
        data_fingerprint: The content id of the bars.
        span: The start and the end of the bars, in microseconds since the epoch, UTC.
        backend: The library that suggests the candidates, with its version.
        results_version: The version of all code that decides the results, the strategy's own included.
        peers: The ids of the other islands of the same search.
        known_until: The end of the latest bar on which an earlier sweep had found the parameters that this study begins with;
            None where it begins with none.
        sources: The studies of earlier sweeps whose trials found those parameters, and the studies that these had begun with,
            as far as they searched in the train window: ``sweep``, the folder; ``study``, the id; ``train``, the two ends of
            the window.
    """

    id: str
    strategy: str
    asset: str
    timeframe: str
    fold: Fold
    objectives: tuple[Objective, ...]
    budget: int
    space: dict[str, Any]
    data_fingerprint: str
    span: tuple[int, int]
    backend: str
    results_version: str
    peers: tuple[str, ...] = ()
    known_until: int | None = None
    sources: tuple[dict[str, Any], ...] = ()

    @property
    def has_seen_test(self) -> bool:
        """Tell whether the study begins with parameters that were found on bars of its own test, or on later ones."""
        test = self.fold.test
        return test is not None and self.known_until is not None and self.known_until > test.start

    @property
    def cell(self) -> tuple[str, str, str]:
        """The strategy, the asset and the timeframe."""
        return self.strategy, self.asset, self.timeframe

    @property
    def search_id(self) -> str:
        """The id of the search, the same for all of its islands; the study's own where there are none."""
        return min((self.id, *self.peers))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> StoredStudy:
        """Read the plain data of :meth:`to_json`."""
        return cls(
            **{
                **content,
                "fold": Fold.from_json(content["fold"]),
                "objectives": tuple(Objective.parse(text) for text in content["objectives"]),
                "span": tuple(content["span"]),
                "peers": tuple(content["peers"]),
                "sources": tuple(content["sources"]),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``sweep.json``."""
        objectives = [str(objective) for objective in self.objectives]
        return {**vars(self), "fold": self.fold.to_json(), "objectives": objectives}

    def parse_space(self) -> Space:
        """Return the space as an object."""
        return parse_space(self.space, key=self.id)


@dataclass(frozen=True)
class StoredSweep:
    """A sweep's folder, as its ``sweep.json`` describes it.

    Attributes:
        folder: The place of the folder.
        sweep_id: The content id of the spec.
        name: The name of the sweep.
        spec: The spec, with the budget of the latest start.
        studies: The studies of the current plan; folders of other studies hold results of earlier data or code.
        version: The version of backtune that planned the studies.
    """

    folder: Location
    sweep_id: str
    name: str
    spec: SweepSpec
    studies: tuple[StoredStudy, ...]
    version: str

    @property
    def searches(self) -> dict[str, list[StoredStudy]]:
        """The studies of each search by :attr:`StoredStudy.search_id`, in order; several where there are islands."""
        searches: dict[str, list[StoredStudy]] = {}
        for study in self.studies:
            searches.setdefault(study.search_id, []).append(study)
        return searches

    @classmethod
    def open(cls, folder: str | Location) -> StoredSweep:
        """Read a sweep's folder.

        Raises:
            ResultsError: There is no sweep in the folder.
        """
        folder = parse_location(folder)
        content = read_json(folder / "sweep.json")
        if content is None:
            raise ResultsError(
                f"{folder}: no sweep here (no sweep.json); give the folder that `backtune run` printed"
            )
        studies = tuple(StoredStudy.from_json(entry) for entry in content.pop("studies"))
        spec = SweepSpec.parse(content.pop("spec"))
        return cls(folder=folder, spec=spec, **content, studies=studies)

    def write(self) -> None:
        """Write ``sweep.json``.

        Raises:
            ResultsError: The folder cannot be written.
        """
        spec = self.spec.to_json()
        head = {"sweep_id": self.sweep_id, "name": self.name, "version": self.version, "spec": spec}
        # A line for each study: there may be a hundred thousand.
        studies = ",\n    ".join(json.dumps(study.to_json(), allow_nan=False) for study in self.studies)
        text = (
            f'{json.dumps(head, indent=2, allow_nan=False)[:-2]},\n  "studies": [\n    {studies}\n  ]\n}}\n'
        )
        write_bytes(self.folder / "sweep.json", text.encode())

    def list_started_studies(self) -> list[str]:
        """Return the ids of all studies that were started, of this plan or an earlier one."""
        return list_names(self.folder / "studies")

    def study_folder(self, study_id: str) -> Location:
        """Return the folder of a study."""
        return self.folder / "studies" / study_id

    def read_trials(self, study_id: str) -> pl.DataFrame | None:
        """Return the trials of a study as :func:`~backtune.results.log.segments.read_log` has them, after a column with its id.

        Raises:
            ResultsError: The log cannot be read.
        """
        log = read_log(self.study_folder(study_id))
        return None if log is None else log.insert_column(0, pl.lit(study_id).alias("study"))

    def read_summary(self, study: StoredStudy) -> StudySummary | None:
        """Return the outcome of a study so far; None where none was written yet."""
        return StudySummary.read(self.study_folder(study.id))

    def is_complete(self, study: StoredStudy) -> bool:
        """Return whether a study has reached its budget or exhausted its space."""
        summary = self.read_summary(study)
        return summary is not None and summary.covers(study.budget)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one driver, and remove the unfinished files of a driver that was killed.

        The operating system releases the folder when the driver ends, however it ends; in S3 the hold runs out by itself.

        Raises:
            ResultsError: Another driver holds the folder, or it cannot be written.
        """
        try:
            with hold_file(self.folder / _LOCK):
                remove_leftovers(self.folder)
                yield
        except BlockingIOError:
            raise ResultsError(
                f"{self.folder}: another backtune is running this sweep; wait for it or stop it"
            ) from None
        except OSError as error:
            raise ResultsError(
                f"{self.folder}: cannot be written: {error.strerror}; choose another --runs"
            ) from error


def is_driven(folder: Location) -> bool:
    """Return whether a driver holds a sweep's folder; in S3 also if it did until a moment ago."""
    return is_file_held(folder / _LOCK)
