"""The cluster as the keeper uses it, with the sweep's job put together."""

from __future__ import annotations

from typing import Any, Final

from backtune.errors import ClusterError
from backtune.gateway.jobs import Job, RayJobs
from backtune.gateway.records.values import JobRecord
from backtune.gateway.settings import Settings
from backtune.results.start_outcome import START_VARIABLE
from backtune.spec import base_folder
from backtune.spec.documents import to_yaml
from backtune.storage.files import write_bytes

REQUEST_ID: Final = "BACKTUNE_REQUEST_ID"
_STOP_SECONDS: Final = "30"


class Cluster:
    """Ray's jobs at an address, which need not answer yet. All raise ``ClusterError`` where it does not.

    Attributes:
        answers: whether it did when it was last looked at; nothing is asked of one that did not, so that many jobs do
            not wait for it one after the other.
    """

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings = settings
        self._address = address
        self._jobs = RayJobs(address)
        self.answers = False

    def look(self) -> None:
        """Find out whether it answers."""
        try:
            self._jobs.version()
            self.answers = True
        except ClusterError:
            self.answers = False

    def find(self, submission_id: str) -> Job | None:
        """What Ray says of a job; None where it has none of that name."""
        if not self.answers:
            raise ClusterError(f"{self._address}: did not answer")
        return self._jobs.find(submission_id)

    def submit(self, record: JobRecord, spec: dict[str, Any]) -> Job:
        """Start the record's attempt; Ray takes it once, however often it is asked.

        The spec goes by a file in the runs folder: nothing of a user's gets near the shell.
        """
        name = f"specs/{record.id}.yaml"
        write_bytes(self._settings.own_folder / name, to_yaml(spec).encode())
        return self._jobs.submit(
            f'python -m backtune run "$BACKTUNE_RUNS/.gateway/{name}"',
            environment={
                "BACKTUNE_RUNS": str(self._settings.runs),
                "BACKTUNE_HOME": str(base_folder()),
                START_VARIABLE: record.next_submission_id,
                REQUEST_ID: record.request_id,
                "RAY_JOB_STOP_WAIT_TIME_S": _STOP_SECONDS,
            },
            submission_id=record.next_submission_id,
        )

    def stop(self, submission_id: str) -> None:
        """Ask a job to end in order."""
        self._jobs.stop(submission_id)

    def logs(self, submission_id: str) -> str:
        """What the driver printed so far."""
        return self._jobs.logs(submission_id)
