"""The update of MLflow from the folder of a sweep, which stays the truth.

There is no state file: the runs that MLflow holds are read once, so a store that was lost or replaced is filled again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backtune.errors import BacktuneError, ReportError, ResultsError, TrackingError
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.storage.location import Location
from backtune.tracking.address import (
    check_mlflow,
    check_writable,
    hide_password,
    locate_artifacts,
    locate_scratch,
    resolve_tracking_uri,
)
from backtune.tracking.records import RecordRefusedError

if TYPE_CHECKING:
    from backtune.tracking.sweep_writer import SweepWriter

_ENVIRONMENT = {
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # A "create run" sent again because its answer was lost would double the run: fail, and look before the next try.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
_WHOLE = "report"
_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "urllib3")


@dataclass(frozen=True)
class SyncReport:
    """The outcome of a projection.

    Attributes:
        uri: Address of the store, without its password.
        n_written: Number of studies with results that were written, or whose trials were.
        n_unchanged: Number of studies with results that the store held already.
        n_unfinished: Number of studies without results so far.
        problems: Descriptions of the parts that were not projected.
    """

    uri: str
    n_written: int
    n_unchanged: int
    n_unfinished: int
    problems: tuple[str, ...]

    def in_words(self) -> str:
        """Return a line of counts, and a line for every problem."""
        counts = (
            f"{self.n_written} studies written, {self.n_unchanged} unchanged, {self.n_unfinished} unfinished"
        )
        return "\n".join([f"{self.uri}: {counts}", *self.problems])


def sync_sweep(run: StoredSweep, uri: str | None = None) -> SyncReport:
    """Bring MLflow up to date with a sweep's folder. May be repeated, and ended at any moment.

    An experiment is named as the sweep; in it a run stands for the sweep, with a nested run for every study that has
    a summary, and below that some for its best trials and its failed ones.

    Raises:
        TrackingError: The store refuses or does not answer.
        ResultsError: The folder cannot be read.
    """
    return SweepTracker(run, uri).project(run.studies, finish=True)


def find_experiment(run: StoredSweep) -> str | None:
    """Return the id of the sweep's experiment; None without one, or where MLflow does not answer."""
    from backtune.tracking.mlflow import find_experiment_id

    uri = resolve_tracking_uri(run)
    try:
        with _silence_mlflow():
            check_writable(uri)
            return find_experiment_id(run, uri)
    except (OSError, sqlite3.Error):
        return None


class SweepTracker:
    """A sweep's place in MLflow, kept open so that studies can be projected as they finish. One thread at a time."""

    def __init__(self, run: StoredSweep, uri: str | None = None) -> None:
        check_mlflow()
        self._run = run
        self._uri = resolve_tracking_uri(run, uri)
        self._writer: SweepWriter | None = None

    def project(
        self, studies: Iterable[StoredStudy], *, finish: bool, on_step: Callable[[], None] = lambda: None
    ) -> SyncReport:
        """Write those of ``studies`` that have a summary to MLflow and, to finish, the sweep as a whole.

        The most important parts come first, should it be cut off: results, the sweep, single trials, the report.
        ``on_step`` is called after every study, and again after its trials.

        Raises:
            TrackingError: The store refuses or does not answer.
            ResultsError: The folder cannot be read.
        """
        studies, tally = tuple(studies), _SyncTally(on_step)
        with self._translate_errors():
            writer = self._open_writer()
            for study in studies:
                tally.put_study(study, writer.put_study)
            if finish:
                writer.put_sweep(finished=True)
                tally.put_whole(writer.put_cells)
                tally.put_whole(writer.put_standings)
            for study in studies:
                tally.put_study(study, writer.put_trials)
            if finish:
                tally.put_whole(writer.put_report)
        return tally.make_report(hide_password(self._uri), len(studies))

    def _open_writer(self) -> SweepWriter:
        from backtune.tracking.mlflow import MlflowStore
        from backtune.tracking.sweep_writer import SweepWriter

        check_writable(self._uri)
        if self._writer is None:
            store = MlflowStore(self._run, self._uri, locate_artifacts(self._run.folder.parent))
            self._writer = SweepWriter(self._run, store)
            self._writer.put_sweep(finished=False)
        return self._writer

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            with _lock_projections(self._run.folder.parent), _silence_mlflow():
                yield
        except BacktuneError:
            raise
        except Exception as error:
            # Some of it may be written: read the store again before the next write.
            self._writer = None
            raise TrackingError(
                f"{hide_password(self._uri)}: tracking failed: {_find_cause(error)}; "
                f"once that is mended, `backtune sync {self._run.folder}` makes up for it"
            ) from error


@dataclass
class _SyncTally:
    """The outcome of the projection of every study, by its id."""

    on_step: Callable[[], None]
    told: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)

    def put_study(self, study: StoredStudy, put: Callable[[StoredStudy], bool | None]) -> None:
        if study.id in self.problems:
            return
        try:
            done = put(study)
        except (ResultsError, RecordRefusedError) as error:
            self.problems[study.id] = f"study {study.id}: {error}"
            done = None
        if done is not None:
            self.told.add(study.id)
        if done:
            self.written.add(study.id)
        self.on_step()

    def put_whole(self, put: Callable[[], None]) -> None:
        """Write a part that concerns several studies together."""
        try:
            put()
        except (RecordRefusedError, ReportError, ResultsError) as error:
            # A problem of a study has been reported already.
            self.problems = self.problems or {_WHOLE: f"report: {error}"}

    def make_report(self, uri: str, n_studies: int) -> SyncReport:
        failed = self.problems.keys()
        return SyncReport(
            uri=uri,
            n_written=len(self.written - failed),
            n_unchanged=len(self.told - self.written - failed),
            n_unfinished=n_studies - len(self.told | (failed - {_WHOLE})),
            problems=tuple(self.problems.values()),
        )


@contextmanager
def _lock_projections(runs: Location) -> Iterator[None]:
    """Have projections of one runs folder on this machine wait for each other: in one database, both would write a run."""
    with locate_scratch(runs, ".tracking.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _silence_mlflow() -> Iterator[None]:
    """Keep MLflow's telemetry off, and its logs and warnings from where progress and results are shown."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _find_cause(error: BaseException) -> str:
    """Return the innermost reason from the system or the database, else the message of MLflow."""
    found, inner = error, error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError | sqlite3.Error):
            found = inner
        inner = inner.__cause__ or inner.__context__
    text = getattr(found, "strerror", None) or " ".join(str(found).split())
    return str(text)[:300] or type(found).__name__
