"""Sweeps as Ray jobs. The gateway's and the client's only door to Ray."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backtune.errors import ClusterError

JobState = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
_FINAL = ("STOPPED", "SUCCEEDED", "FAILED")
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Job:
    """A job as Ray sees it; the sweep's own folder is the better witness of what was done."""

    id: str
    state: JobState
    message: str

    @property
    def over(self) -> bool:
        return self.state in _FINAL


class RayJobs:
    """The jobs of one cluster, by the address of its dashboard."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            ClusterError: nothing answers there.
        """
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        from ray.job_submission import JobSubmissionClient

        self._address = address
        self._client = self._guarded(lambda: JobSubmissionClient(address))

    def submit(self, entrypoint: str, *, working_dir: str, environment: Mapping[str, str]) -> Job:
        """Start a job; ``entrypoint`` goes through a shell, so no text of a user's belongs in it.

        Raises:
            ClusterError: the job was not taken.
        """
        job_id = f"backtune-{secrets.token_hex(8)}"
        runtime_env = {"working_dir": working_dir, "env_vars": dict(environment)}
        try:
            self._client.submit_job(entrypoint=entrypoint, submission_id=job_id, runtime_env=runtime_env)
        except Exception as error:
            # An answer that got lost looks like a refusal: what counts is whether the job is there.
            if self._known(job_id) is None:
                raise ClusterError(f"{self._address}: the job was not taken: {_first_line(error)}") from error
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        """What Ray says of a job.

        Raises:
            ClusterError: there is no such job, or nothing answers.
        """
        info = self._guarded(lambda: self._client.get_job_info(job_id))
        return Job(job_id, str(info.status), str(info.message or ""))  # type: ignore[arg-type]

    def logs(self, job_id: str) -> str:
        """What the job printed so far.

        Raises:
            ClusterError: there is no such job, or nothing answers.
        """
        return str(self._guarded(lambda: self._client.get_job_logs(job_id)))

    def wait(self, job_id: str, on_output: Callable[[str], object]) -> Job:
        """Follow a job to its end, passing on what it prints."""
        shown = 0
        while True:
            job = self.job(job_id)
            logs = self.logs(job_id)
            on_output(logs[shown:])
            shown = len(logs)
            if job.over:
                return job
            time.sleep(_POLL_SECONDS)

    def _known(self, job_id: str) -> Job | None:
        try:
            return self.job(job_id)
        except ClusterError:
            return None

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            raise ClusterError(f"{self._address}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
