"""What MLflow holds of one sweep. The only module that imports MLflow; import it only where it is used.

Every MLflow run carries a tag with the content it was made from, and one that is set last of all: a projection that
was cut off anywhere is found and finished by the next one, with nothing doubled. Parameters cannot be changed in
MLflow, so a study that says something new (it has grown) gets a new run, and its old one is deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import yaml
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from backtune.errors import TrackingError
from backtune.results.runs import Run, StudyEntry
from backtune.results.segments import read_log
from backtune.results.summary import StudySummary
from backtune.spec import Goal
from backtune.tracking.records import Record, Step, best_so_far, study_record, sweep_record

_CONTENT, _WHOLE, _PARENT = "backtune.content", "backtune.whole", "mlflow.parentRunId"
_RUNS_A_PAGE = 1_000
_METRICS_A_CALL = 800  # 1,000 with the parameters and tags, at most 100 each
_TEXT_LENGTH = 5_000


class RefusedError(Exception):
    """Raised when MLflow answers, but does not take this one study."""


@dataclass(frozen=True)
class _Known:
    """A run that MLflow has; ``started`` in its milliseconds."""

    id: str
    started: int
    content: str = ""
    whole: bool = False
    params: frozenset[str] = frozenset()

    @classmethod
    def of(cls, run: MlflowRun) -> _Known:
        content, whole = (run.data.tags.get(tag, "") for tag in (_CONTENT, _WHOLE))
        params = frozenset(run.data.params)
        return cls(run.info.run_id, run.info.start_time, content, bool(content) and content == whole, params)


class Place:
    """The experiment of a sweep, with a run for the sweep and one below it for every study.

    One place at a time may write for a sweep. It remembers what MLflow holds: after an error, make a new one.
    """

    def __init__(self, run: Run, uri: str, artifacts: Path) -> None:
        self._run = run
        self._client = MlflowClient(tracking_uri=uri)
        # A server knows where its artifacts go; a database does not.
        self._experiment = self._experiment_id(None if uri.startswith("http") else artifacts)
        self._known = self._without_doubles()
        started = _milliseconds(run.folder / "sweep.json")
        self._sweep = self._known.get("") or self._create(run.sweep_id, {"sweep": run.sweep_id}, started)
        # Not the system's temporary folder: what a kill leaves here is removed by the next projection.
        self._staging = run.folder / ".tracking"

    def put_study(self, study: StudyEntry, summary: StudySummary) -> bool:
        """Make the study's run say what its folder says; False where it does already.

        Raises:
            RefusedError: MLflow does not take it.
            ResultsError: its trials cannot be read.
        """
        record = study_record(self._run, study, summary)
        known = self._known.get(study.id)
        if known and known.content == record.content and known.whole:
            return False
        trials = read_log(self._run.study_folder(study.id))
        try:
            known = self._place_for(study, record, trials)
            self._put_trials(known, study, record, trials)
        except MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise RefusedError(" ".join(error.message.split())) from error
            raise
        self._known[study.id] = replace(known, whole=True)
        return True

    def put_sweep(self) -> None:
        """Make the sweep's run say what has become of its studies."""
        run, known = self._run, self._sweep
        record = sweep_record(run, [run.summary(study) for study in run.studies])
        if known.content == record.content and known.whole:
            return
        self._client.log_text(
            known.id, yaml.safe_dump(run.spec, sort_keys=False, allow_unicode=True), "spec.yaml"
        )
        ended = max(
            (_milliseconds(_summary_path(run, study)) for study in run.studies), default=known.started
        )
        tags = {**record.tags, _CONTENT: record.content}
        self._finish(known, replace(record, tags=tags), [], ended)
        self._sweep = replace(known, content=record.content, whole=True, params=frozenset(record.params))

    def _place_for(self, study: StudyEntry, record: Record, trials: pl.DataFrame | None) -> _Known:
        known = self._known.pop(study.id, None)
        if known and known.content != record.content:
            self._client.delete_run(known.id)
            known = None
        if known is None:
            seconds = float(trials["duration_seconds"].sum()) if trials is not None else 0.0
            started = _milliseconds(_summary_path(self._run, study)) - int(seconds * 1_000)
            tags = {**record.tags, _CONTENT: record.content, _PARENT: self._sweep.id}
            known = self._create(record.name, tags, started)
        self._known[study.id] = known
        return known

    def _put_trials(
        self, known: _Known, study: StudyEntry, record: Record, trials: pl.DataFrame | None
    ) -> None:
        steps: list[Step] = []
        if trials is not None:
            steps = best_so_far(trials, Goal.parse(study.objectives[0]))
            self._put_artifact(known, trials)
        self._finish(known, record, steps, _milliseconds(_summary_path(self._run, study)))

    def _put_artifact(self, known: _Known, trials: pl.DataFrame) -> None:
        self._staging.mkdir(exist_ok=True)
        try:
            path = self._staging / "trials.parquet"
            trials.write_parquet(path, compression="zstd")
            self._client.log_artifact(known.id, str(path))
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _finish(self, known: _Known, record: Record, steps: Sequence[Step], ended: int) -> None:
        """Write values, status and, in the last call, the mark that all of it is there.

        Equal metrics are one row in MLflow, times included: hence times that every repeat gives again.
        """
        metrics = [Metric(name, value, known.started, 0) for name, value in record.metrics.items()]
        metrics += [
            Metric("best_so_far", step.value, known.started + int(step.seconds * 1_000), step.number)
            for step in steps
        ]
        while len(metrics) > _METRICS_A_CALL:
            self._client.log_batch(known.id, metrics=metrics[:_METRICS_A_CALL])
            metrics = metrics[_METRICS_A_CALL:]
        if record.status == "RUNNING":
            self._client.update_run(known.id, status="RUNNING")
        else:
            self._client.set_terminated(known.id, record.status, ended)
        params = [
            Param(name, value[:_TEXT_LENGTH])
            for name, value in record.params.items()
            if name not in known.params
        ]
        tags = {**record.tags, _WHOLE: record.tags.get(_CONTENT, known.content)}
        self._client.log_batch(known.id, metrics=metrics, params=params, tags=_tags(tags))

    def _create(self, name: str, tags: Mapping[str, str], started: int) -> _Known:
        created = self._client.create_run(
            self._experiment, started, {key: value[:_TEXT_LENGTH] for key, value in tags.items()}, name
        )
        return _Known.of(created)

    def _experiment_id(self, artifacts: Path | None) -> str:
        name = self._run.name
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            location = artifacts.as_uri() if artifacts else None
            return str(self._client.create_experiment(name, location))
        if experiment.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name!r} was deleted in MLflow; restore it "
                f"(mlflow experiments restore -x {experiment.experiment_id}), or give the sweep another name"
            )
        return str(experiment.experiment_id)

    def _without_doubles(self) -> dict[str, _Known]:
        """The sweep's runs by study, under "" the sweep's own; where two projections raced, all but one go."""
        kept: dict[str, _Known] = {}
        for run in self._search():
            key = run.data.tags.get("study", "")
            known = _Known.of(run)
            if key in kept:
                kept[key], known = sorted((kept[key], known), key=lambda each: (not each.whole, each.id))
                self._client.delete_run(known.id)
            else:
                kept[key] = known
        return kept

    def _search(self) -> list[MlflowRun]:
        found: list[MlflowRun] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.sweep = '{self._run.sweep_id}'",
                max_results=_RUNS_A_PAGE, page_token=token,
            )  # fmt: skip
            found += page
            token = page.token
            if not token:
                return found


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, value[:_TEXT_LENGTH]) for key, value in tags.items()]


def _summary_path(run: Run, study: StudyEntry) -> Path:
    return run.study_folder(study.id) / "summary.json"


def _milliseconds(path: Path) -> int:
    """When a file was written, 0 where there is none."""
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return 0
