"""The jobs of sweeps on the cluster."""

from __future__ import annotations

from typing import Any, Final

from backtune.cluster.ray_jobs import RayJob, RayJobs
from backtune.errors import ClusterError
from backtune.gateway.jobs.job_record import JobRecord
from backtune.gateway.settings import Settings
from backtune.results.start_outcome import START_VARIABLE
from backtune.spec import base_folder
from backtune.spec.documents import to_yaml
from backtune.storage.files import write_bytes

_REQUEST_ID_VARIABLE: Final = "BACKTUNE_REQUEST_ID"
_STOP_SECONDS: Final = "30"


class ClusterJobs:
    """The Ray jobs on a cluster that need not answer yet.

    Every method but :meth:`check` raises :class:`~backtune.errors.ClusterError` if the cluster does not answer.

    Attributes:
        is_answering: True if the cluster answered at the last check. A cluster that did not is not asked again before the
            next check, so that many jobs do not wait for it one after the other.
    """

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings = settings
        self._address = address
        self._jobs = RayJobs(address)
        self.is_answering = False

    def check(self) -> None:
        """Find out whether the cluster answers."""
        try:
            self._jobs.read_version()
            self.is_answering = True
        except ClusterError:
            self.is_answering = False

    def find(self, submission_id: str) -> RayJob | None:
        """Return a job in Ray's view; None if Ray has no such job."""
        if not self.is_answering:
            raise ClusterError(f"{self._address}: did not answer")
        return self._jobs.find(submission_id)

    def submit(self, record: JobRecord, spec: dict[str, Any]) -> None:
        """Start the present attempt of a job; Ray starts it once, however often it is asked.

        The spec travels in a file in the runs folder, so that no text of a user's reaches the shell.
        """
        name = f"specs/{record.id}.yaml"
        write_bytes(self._settings.own_folder / name, to_yaml(spec).encode())
        self._jobs.submit(
            f'python -m backtune run "$BACKTUNE_RUNS/.gateway/{name}"',
            environment={
                "BACKTUNE_RUNS": str(self._settings.runs),
                "BACKTUNE_HOME": str(base_folder()),
                START_VARIABLE: record.next_submission_id,
                _REQUEST_ID_VARIABLE: record.request_id,
                "RAY_JOB_STOP_WAIT_TIME_S": _STOP_SECONDS,
            },
            submission_id=record.next_submission_id,
        )

    def stop(self, submission_id: str) -> None:
        """Ask a job to end in order."""
        self._jobs.stop(submission_id)

    def read_logs(self, submission_id: str) -> str:
        """Return the output of a job's driver so far."""
        return self._jobs.read_logs(submission_id)
