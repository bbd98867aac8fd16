"""The MLflow runs of one sweep. The only module that imports MLflow; import it only where it is used.

Every MLflow run carries a tag with the content it was made from and something that is written last of all: a projection
that was cut off anywhere is found and finished by the next one, with nothing doubled. Parameters cannot be changed in
MLflow, so what says something new (a study that has grown) gets a new run, and its old one is deleted.
"""

from __future__ import annotations

import getpass
import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from backtune.errors import TrackingError
from backtune.results.stored_sweep import StoredSweep
from backtune.storage.location import Location, get_local_path
from backtune.tracking.address import is_server_uri, locate_scratch
from backtune.tracking.leaderboard_view import build_experiment_tags
from backtune.tracking.records import BarsReference, RecordRefusedError, TrackingRecord
from backtune.tracking.trials import CurvePoint

# A study and a trial: ("", "") is the sweep, (study, "") a study, (study, number) a trial.
RunKey = tuple[str, str]
SWEEP_KEY: RunKey = ("", "")

_CONTENT, _WHOLE, _PARENT = "backtune.content", "backtune.whole", "mlflow.parentRunId"
_RUNS_A_PAGE = 1_000
_METRICS_A_CALL = 800  # 1,000 with the parameters and tags, at most 100 each
_TEXT_LENGTH, _DIGEST_LENGTH = 5_000, 36


@dataclass(frozen=True)
class RunContent:
    """The content of an MLflow run.

    Times are milliseconds since the epoch; ``fill`` writes the artifacts into a folder.
    """

    key: RunKey
    record: TrackingRecord
    started: int
    ended: int
    points: Sequence[CurvePoint] = ()
    fill: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class _KnownRun:
    """A run that MLflow holds; ``started`` is in milliseconds since the epoch."""

    id: str
    started: int
    parent: str = ""
    whole: bool = False
    tags: dict[str, str] | None = None
    params: frozenset[str] = frozenset()

    @classmethod
    def from_run(cls, run: MlflowRun) -> _KnownRun:
        tags = run.data.tags
        # The end of a trial's run is written last, which saves the call for a tag.
        ended = "trial" in tags and run.info.status != "RUNNING"
        whole = ended or (_CONTENT in tags and tags[_CONTENT] == tags.get(_WHOLE))
        return cls(
            run.info.run_id,
            run.info.start_time,
            tags.get(_PARENT, ""),
            whole,
            tags,
            frozenset(run.data.params),
        )

    def read_tag(self, name: str) -> str:
        return (self.tags or {}).get(name, "")


class MlflowStore:
    """The experiment of a sweep: a run for the sweep, below it one for every study, below that some for trials.

    Only one store at a time may write for a sweep. It remembers what MLflow holds: after an error, make a new one.
    """

    def __init__(self, run: StoredSweep, uri: str, artifacts: Location) -> None:
        self._run = run
        self._client = MlflowClient(tracking_uri=uri)
        # A server knows where its artifacts go; a database does not.
        self._experiment = self._find_or_create_experiment(None if is_server_uri(uri) else artifacts)
        self._known = self._load_runs()
        # Always the same: what a kill leaves here is removed by the next projection.
        self._staging = locate_scratch(run.folder, ".tracking")

    def has_record(self, key: RunKey, record: TrackingRecord) -> bool:
        """Return whether MLflow holds all of this already."""
        known = self._known.get(key)
        return known is not None and known.whole and self._is_current(known, key, record)

    def has_run(self, key: RunKey) -> bool:
        """Return whether MLflow has a run under this key."""
        return key in self._known

    def put(self, entry: RunContent) -> None:
        """Make MLflow hold a run, whose parent must be there. Content that it holds already is not doubled.

        Raises:
            RecordRefusedError: MLflow refuses the run.
        """
        try:
            known = self._prepare_run(entry)
            self.put_files(entry.key, entry.fill)
            if entry.record.bars is not None:
                self._client.log_inputs(known.id, [_make_dataset(entry.record.bars)])
            self._write(known, entry)
        except MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise RecordRefusedError(" ".join(error.message.split())) from error
            raise
        tags = {**entry.record.tags, _CONTENT: entry.record.content}
        params = known.params | frozenset(entry.record.params)
        self._known[entry.key] = replace(known, whole=True, tags=tags, params=params)

    def put_files(self, key: RunKey, fill: Callable[[Path], None] | None) -> None:
        """Add files to what MLflow holds under a key."""
        if fill is None:
            return
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(mode=0o700)
        try:
            fill(self._staging)
            self._client.log_artifacts(self._known[key].id, str(self._staging))
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def keep_trials(self, study: str, numbers: Collection[str]) -> None:
        """Delete the runs of other trials of a study."""
        for key in [key for key in self._known if key[0] == study and key[1] not in {"", *numbers}]:
            self._delete(key)

    def mark(
        self, key: RunKey, name: str, value: str, metrics: Mapping[str, float] | None = None, at: int = 0
    ) -> None:
        """Set a tag of a run, in one call with further metrics, which replace earlier ones of their names.

        The time of the metrics is in milliseconds, the same in every repeat.
        """
        known = self._known[key]
        if metrics:
            written = [Metric(metric, number, at, 0) for metric, number in metrics.items()]
            self._client.log_batch(known.id, metrics=written, tags=_make_tags({name: value}))
        else:
            self._client.set_tag(known.id, name, value)
        self._known[key] = replace(known, tags={**(known.tags or {}), name: value})

    def read_mark(self, key: RunKey, name: str) -> str:
        """Return the value of a tag that :meth:`mark` has set, "" without one."""
        known = self._known.get(key)
        return known.read_tag(name) if known is not None else ""

    def read_start(self, key: RunKey) -> int:
        """Return the start of a run in milliseconds since the epoch."""
        return self._known[key].started

    def _is_current(self, known: _KnownRun, key: RunKey, record: TrackingRecord) -> bool:
        return known.read_tag(_CONTENT) == record.content and known.parent == self._find_parent(key)

    def _find_parent(self, key: RunKey) -> str:
        study, trial = key
        parent = self._known[(study, "") if trial else SWEEP_KEY] if study else None
        return parent.id if parent is not None else ""

    def _prepare_run(self, entry: RunContent) -> _KnownRun:
        known = self._known.get(entry.key)
        if (
            known is not None
            and entry.key != SWEEP_KEY
            and not self._is_current(known, entry.key, entry.record)
        ):
            self.keep_trials(entry.key[0], ()) if not entry.key[1] else None
            self._delete(entry.key)
            known = None
        if known is None:
            tags = {
                **entry.record.tags,
                _CONTENT: entry.record.content,
                _PARENT: self._find_parent(entry.key),
            }
            known = self._create(entry.record.name, tags, entry.started)
            self._known[entry.key] = known
        return known

    def _write(self, known: _KnownRun, entry: RunContent) -> None:
        """Write values and status; for a sweep and a study, the last call writes the mark that the run is complete.

        Equal metrics are one row in MLflow, times included: hence times that every repeat gives again.
        """
        record = entry.record
        # The metrics of a sweep change while it goes on.
        told = entry.ended if entry.key == SWEEP_KEY else known.started
        metrics = [Metric(name, value, told, 0) for name, value in record.metrics.items()]
        metrics += [
            Metric(point.curve, point.value, known.started + int(point.seconds * 1_000), point.number)
            for point in entry.points
        ]
        while len(metrics) > _METRICS_A_CALL:
            self._client.log_batch(known.id, metrics=metrics[:_METRICS_A_CALL])
            metrics = metrics[_METRICS_A_CALL:]
        params = [
            Param(name, value[:_TEXT_LENGTH])
            for name, value in record.params.items()
            if name not in known.params
        ]
        if entry.key[1]:
            self._client.log_batch(known.id, metrics=metrics, params=params)
            self._client.set_terminated(known.id, record.status, entry.ended)
            return
        if record.status == "RUNNING":
            self._client.update_run(known.id, status="RUNNING")
        else:
            self._client.set_terminated(known.id, record.status, entry.ended)
        changing = {**record.tags, _CONTENT: record.content} if entry.key == SWEEP_KEY else {}
        tags = _make_tags({**changing, _WHOLE: record.content})
        self._client.log_batch(known.id, metrics=metrics, params=params, tags=tags)

    def _create(self, name: str, tags: dict[str, str], started: int) -> _KnownRun:
        whose = {
            "mlflow.user": _find_user(),
            "mlflow.source.name": f"backtune {self._run.version}",
            "mlflow.source.type": "LOCAL",
        }
        cut = {key: value[:_TEXT_LENGTH] for key, value in {**whose, **tags}.items() if value}
        return _KnownRun.from_run(self._client.create_run(self._experiment, started, cut, name))

    def _delete(self, key: RunKey) -> None:
        self._client.delete_run(self._known.pop(key).id)

    def _find_or_create_experiment(self, artifacts: Location | None) -> str:
        name, tags = self._run.name, build_experiment_tags(self._run)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            local = None if artifacts is None else get_local_path(artifacts)
            address = str(artifacts) if artifacts is not None else None
            if local is not None:
                address = local.as_uri()
            return str(self._client.create_experiment(name, address, tags))
        if experiment.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name!r} was deleted in MLflow; restore it "
                f"(mlflow experiments restore -x {experiment.experiment_id}), or give the sweep another name"
            )
        for key in tags.keys() - experiment.tags.keys():
            self._client.set_experiment_tag(experiment.experiment_id, key, tags[key])
        return str(experiment.experiment_id)

    def _load_runs(self) -> dict[RunKey, _KnownRun]:
        """Return the sweep's runs by key; where two projections raced, delete all but one, with the runs below them."""
        kept: dict[RunKey, _KnownRun] = {}
        found = [(_parse_key(run), _KnownRun.from_run(run)) for run in self._search_runs()]
        for key, known in sorted(found, key=lambda pair: (pair[0], not pair[1].whole, pair[1].id)):
            parent = kept.get((key[0], "")) if key[1] else None
            if key in kept or (key[1] and (parent is None or parent.id != known.parent)):
                self._client.delete_run(known.id)
            else:
                kept[key] = known
        return kept

    def _search_runs(self) -> list[MlflowRun]:
        found: list[MlflowRun] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                f"tags.sweep = '{self._run.sweep_id}'",
                max_results=_RUNS_A_PAGE,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found


def find_experiment_id(run: StoredSweep, uri: str) -> str | None:
    """Return the id of the sweep's experiment; None without one, or where MLflow does not answer."""
    try:
        experiment = MlflowClient(tracking_uri=uri).get_experiment_by_name(run.name)
    except MlflowException:
        return None
    return None if experiment is None else str(experiment.experiment_id)


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # The user of a container may have no name.
        return ""


def _parse_key(run: MlflowRun) -> RunKey:
    return run.data.tags.get("study", ""), run.data.tags.get("trial", "")


def _make_dataset(bars: BarsReference) -> DatasetInput:
    dataset = Dataset(
        name=bars.name,
        digest=bars.fingerprint[:_DIGEST_LENGTH] or "unknown",
        source_type="s3" if bars.location.startswith("s3://") else "local",
        source=json.dumps({"uri": bars.location}),
        profile=json.dumps(dict(zip(("start", "end"), bars.window, strict=False))),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "search")])


def _make_tags(tags: dict[str, str]) -> list[RunTag]:
    return [RunTag(key, value[:_TEXT_LENGTH]) for key, value in tags.items()]
