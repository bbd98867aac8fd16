"""Brings MLflow up to date with the folder of a sweep, which stays the truth.

There is no state file: what MLflow holds is asked for once, so a store that was lost or replaced is filled again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backtune.errors import BacktuneError, ResultsError, TrackingError
from backtune.results.runs import Run, StudyEntry

if TYPE_CHECKING:
    from backtune.tracking.mlflow import Place

_ENVIRONMENT = {
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # A "create run" sent again because its answer was lost would double the run: fail, and look before the next try.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "urllib3")


@dataclass(frozen=True)
class SyncReport:
    """What a projection did.

    Attributes:
        uri: of the store, without its password.
        n_written, n_unchanged: studies with results, by whether the store had to be told of them.
        n_unfinished: studies without results so far.
        problems: studies that could not be projected, in words; the others were.
    """

    uri: str
    n_written: int
    n_unchanged: int
    n_unfinished: int
    problems: tuple[str, ...]

    def in_words(self) -> str:
        """One line, and one more for every problem."""
        counts = (
            f"{self.n_written} studies written, {self.n_unchanged} unchanged, {self.n_unfinished} unfinished"
        )
        return "\n".join([f"{self.uri}: {counts}", *self.problems])


def tracking_uri(run: Run, uri: str | None = None) -> str:
    """The MLflow store of a sweep: ``uri``, else its spec's, else a SQLite file in the runs folder."""
    return uri or (run.spec.get("tracking") or {}).get("uri") or _sqlite_uri(run.folder.parent)


def sync(run: Run, uri: str | None = None) -> SyncReport:
    """Bring MLflow up to date with a sweep's folder. May be repeated, and ended at any moment.

    An experiment is named as the sweep; in it a run stands for the sweep, with a nested run for every study that has
    a summary.

    Raises:
        TrackingError: the store refuses or does not answer.
        ResultsError: the folder cannot be read.
    """
    return Tracker(run, uri).project(run.studies, finish=True)


def ui_command(runs: Path, uri: str | None = None, *, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command line of MLflow's user interface on the store of a runs folder, or on another database."""
    return [
        # Its job runners serve the evaluation of language models, and outlive the server.
        "/usr/bin/env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true",
        sys.executable, "-W", "ignore", "-m", "mlflow", "server",
        "--backend-store-uri", uri or _sqlite_uri(runs), "--artifacts-destination", str(_artifacts(runs)),
        "--host", host, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


class Tracker:
    """A sweep's place in MLflow, kept open so that studies can be projected as they finish. One thread at a time."""

    def __init__(self, run: Run, uri: str | None = None) -> None:
        self._run = run
        self._uri = tracking_uri(run, uri)
        self._place: Place | None = None

    def project(self, studies: Iterable[StudyEntry], *, finish: bool) -> SyncReport:
        """Tell MLflow of those of ``studies`` that have a summary and, to finish, of the sweep as a whole.

        Raises:
            TrackingError: the store refuses or does not answer.
            ResultsError: the folder cannot be read.
        """
        with self._guarded():
            place = self._opened()
            outcomes = [_put(place, self._run, study) for study in studies]
            if finish:
                place.put_sweep()
        return SyncReport(
            uri=_without_password(self._uri),
            n_written=outcomes.count(True),
            n_unchanged=outcomes.count(False),
            n_unfinished=outcomes.count(None),
            problems=tuple(outcome for outcome in outcomes if isinstance(outcome, str)),
        )

    def _opened(self) -> Place:
        from backtune.tracking.mlflow import Place

        if self._place is None:
            _try_to_open(self._uri)
            self._place = Place(self._run, self._uri, _artifacts(self._run.folder.parent))
        return self._place

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with _one_at_a_time(self._run.folder.parent), _quiet():
                yield
        except BacktuneError:
            raise
        except Exception as error:
            # It is not known what was written: look again before the next write.
            self._place = None
            raise TrackingError(
                f"{_without_password(self._uri)}: tracking failed: {_cause(error)}; "
                f"once that is mended, `backtune sync {self._run.folder}` makes up for it"
            ) from error


def _put(place: Place, run: Run, study: StudyEntry) -> bool | str | None:
    from backtune.tracking.mlflow import RefusedError

    try:
        summary = run.summary(study)
        return None if summary is None else place.put_study(study, summary)
    except (ResultsError, RefusedError) as error:
        return f"study {study.id}: {error}"


def _sqlite_uri(runs: Path) -> str:
    return f"sqlite:///{runs.resolve() / 'mlflow.db'}"


def _artifacts(runs: Path) -> Path:
    return runs.resolve() / "mlartifacts"


def _try_to_open(uri: str) -> None:
    """Fail at once where a SQLite file cannot be opened: MLflow would try it for 100 s."""
    path = uri.removeprefix("sqlite:///")
    if path == uri or "?" in path:
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA schema_version")


@contextmanager
def _one_at_a_time(runs: Path) -> Iterator[None]:
    """Projections into one runs folder wait for each other: they share a database, and must not double a run."""
    with (runs / ".tracking.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
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


def _cause(error: BaseException) -> str:
    """The innermost reason that the system or the database gave, else what MLflow says."""
    found, inner = error, error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError | sqlite3.Error):
            found = inner
        inner = inner.__cause__ or inner.__context__
    text = getattr(found, "strerror", None) or " ".join(str(found).split())
    return str(text)[:300] or type(found).__name__


def _without_password(uri: str) -> str:
    password = urlsplit(uri).password
    return uri.replace(f":{password}@", ":***@") if password else uri
