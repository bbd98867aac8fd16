"""The folder of a sweep: ``<runs>/<sweep-id>/sweep.json`` and ``studies/<study-id>/``."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Final

import polars as pl

from backtune.errors import ResultsError
from backtune.results.log.segments import read_log
from backtune.results.log.summary import StudySummary
from backtune.space import Space, parse_space
from backtune.spec import Objective, SweepSpec
from backtune.storage.files import names_in, read_json, remove_leftovers, write_atomically
from backtune.storage.location import Location, S3Path, location
from backtune.validation.folds import Fold

_LOCK = ".lock"
_TRIES_TO_HOLD: Final = 5
_BETWEEN_TRIES_SECONDS: Final = 0.05


@dataclass(frozen=True)
class StoredStudy:
    """What the sweep's folder says of a study.

    Attributes:
        id: name of its folder.
        strategy, asset, timeframe, fold: its cell and fold.
        objectives: as in the spec.
        budget: trials planned.
        space: the ranges searched, as plain data.
        data_fingerprint, backend: of the bars, and what suggests the candidates.
        peers: ids of the other islands of the same search.
        results_version: of what decides its results, the strategy's own code included; empty in older folders.
        span: start and end of its bars in microseconds since the epoch, UTC; empty in folders of before it was kept.
        windows: its fold as plain data, as planned; see :meth:`planned`. Empty as ``span``.
        known_until: the end of the latest bar on which an earlier sweep had found the parameters that it begins with; None where
            it begins with none, or where that is not known.
        sources: The studies of earlier sweeps whose trials found those parameters, and the studies that these had begun with,
            as far as they searched in its train window: ``sweep``, the folder; ``study``, the id; ``train``, the two ends of
            the window, or None. None in folders of before it was kept.
    """

    id: str
    strategy: str
    asset: str
    timeframe: str
    fold: str
    objectives: tuple[Objective, ...]
    budget: int
    space: dict[str, Any] = field(default_factory=dict)
    data_fingerprint: str = ""
    backend: str = ""
    peers: list[str] = field(default_factory=list)
    results_version: str = ""
    span: list[int] = field(default_factory=list)
    windows: dict[str, Any] = field(default_factory=dict)
    known_until: int | None = None
    sources: list[dict[str, Any]] | None = None

    @property
    def has_seen_test(self) -> bool:
        """Whether it begins with parameters that were found on bars of its own test, or later ones."""
        test = self.planned.test if self.planned else None
        return test is not None and self.known_until is not None and self.known_until > test.start

    @property
    def cell(self) -> tuple[str, str, str]:
        """Strategy, asset and timeframe."""
        return self.strategy, self.asset, self.timeframe

    @property
    def planned(self) -> Fold | None:
        """Its fold; a train window ends earlier where bars are missing, see :func:`~backtune.validation.folds.purge_fold`."""
        return Fold.of_json(self.windows) if self.windows else None

    @property
    def search_id(self) -> str:
        """The same for all islands of a search; the study's own where there are none."""
        return min((self.id, *self.peers))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> StoredStudy:
        """Read the plain data of :meth:`to_json`."""
        objectives = tuple(Objective.parse(text) for text in content["objectives"])
        return cls(**{**content, "objectives": objectives})

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``sweep.json``."""
        return {**vars(self), "objectives": [str(objective) for objective in self.objectives]}

    def parameters(self) -> Space:
        """The space as an object."""
        return parse_space(self.space, key=self.id)


@dataclass(frozen=True)
class StoredSweep:
    """One sweep's folder, as its ``sweep.json`` describes it.

    Attributes:
        folder: where it is.
        sweep_id: content id of the spec.
        name: of the sweep.
        spec: The spec, with the budget of the latest start.
        studies: of the current plan; folders of other studies are results of earlier data or code.
        version: of backtune.
    """

    folder: Location
    sweep_id: str
    name: str
    spec: SweepSpec
    studies: tuple[StoredStudy, ...]
    version: str

    @property
    def searches(self) -> dict[str, list[StoredStudy]]:
        """The studies of each search by :attr:`StudyEntry.search_id`, in order: several where there are islands."""
        searches: dict[str, list[StoredStudy]] = {}
        for study in self.studies:
            searches.setdefault(study.search_id, []).append(study)
        return searches

    @classmethod
    def open(cls, folder: str | Location) -> StoredSweep:
        """Read a sweep's folder.

        Raises:
            ResultsError: there is no sweep in it.
        """
        folder = location(folder)
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
            ResultsError: the folder cannot be written.
        """
        spec = self.spec.to_json()
        head = {"sweep_id": self.sweep_id, "name": self.name, "version": self.version, "spec": spec}
        # A line for each study: there may be a hundred thousand.
        studies = ",\n    ".join(json.dumps(study.to_json(), allow_nan=False) for study in self.studies)
        text = (
            f'{json.dumps(head, indent=2, allow_nan=False)[:-2]},\n  "studies": [\n    {studies}\n  ]\n}}\n'
        )
        write_atomically(self.folder / "sweep.json", lambda file: file.write(text.encode()))

    def started(self) -> list[str]:
        """Names of the folders below ``studies``: of all studies that were started, of this plan or an earlier one."""
        return names_in(self.folder / "studies")

    def study_folder(self, study_id: str) -> Location:
        return self.folder / "studies" / study_id

    def read_trials(self, study_id: str) -> pl.DataFrame | None:
        """Return the trials of a study as :func:`~backtune.results.log.segments.read_log` has them, after a column with its id.

        Raises:
            ResultsError: The log cannot be read.
        """
        log = read_log(self.study_folder(study_id))
        return None if log is None else log.insert_column(0, pl.lit(study_id).alias("study"))

    def summary(self, study: StoredStudy) -> StudySummary | None:
        """What became of a study so far; None where nothing was written yet."""
        return StudySummary.read(self.study_folder(study.id))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one driver; the kernel lets go of it when the driver ends, however it ends, and in S3 it does
        so itself after a while. What an earlier driver was writing there when it was killed is removed.

        Raises:
            ResultsError: another driver has it, or it cannot be written.
        """
        try:
            with _held(self.folder):
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


@contextmanager
def _held(folder: Location) -> Iterator[None]:
    if isinstance(folder, S3Path):
        from backtune.storage.lease import leased

        with leased(folder / _LOCK):
            yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as file:
        _hold(file)
        yield


def _hold(file: IO[str]) -> None:
    """Tried for a moment: who asks whether the folder is held holds it while asking."""
    for _ in range(_TRIES_TO_HOLD):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_BETWEEN_TRIES_SECONDS)
        else:
            return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_driven(folder: Location) -> bool:
    """Whether a driver holds a sweep's folder now; in S3, or has a moment ago."""
    if isinstance(folder, S3Path):
        from backtune.storage.lease import is_leased

        return is_leased(folder / _LOCK)
    try:
        with (folder / _LOCK).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
