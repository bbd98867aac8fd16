"""Sweeps as Ray jobs. The gateway's and the client's only door to Ray."""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backtune.cluster.ray_access import client_variables, describe_token, reread_environment
from backtune.errors import ClusterError

JobState = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
_FINAL = ("STOPPED", "SUCCEEDED", "FAILED")
_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 15.0
_NOT_FOUND = "status code 404"


@dataclass(frozen=True)
class Job:
    """A job as Ray sees it; the sweep's own folder is the better witness of what was done.

    Attributes:
        exit_code: of the driver, once it has ended by itself.
    """

    id: str
    state: JobState
    message: str
    exit_code: int | None = None

    @property
    def over(self) -> bool:
        return self.state in _FINAL


class RayJobs:
    """The jobs of one cluster, by the address of its dashboard. Safe to use from several threads."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            ClusterError: nothing answers there.
        """
        os.environ.update(client_variables())
        reread_environment()
        from ray.job_submission import JobSubmissionClient

        # Ray's client would wait for ever for a head that is stuck, be it when it connects.
        request = functools.partialmethod(JobSubmissionClient._do_request, timeout=_ANSWER_SECONDS)
        impatient = type("ImpatientClient", (JobSubmissionClient,), {"_do_request": request})
        self._address = address
        self._client = self._guarded(lambda: impatient(address))

    def submit(
        self,
        entrypoint: str,
        *,
        environment: Mapping[str, str],
        working_dir: str | None = None,
        submission_id: str | None = None,
    ) -> Job:
        """Start a job; ``entrypoint`` goes through a shell, so no text of a user's belongs in it.

        Args:
            working_dir: is uploaded; None for what the job needs no file of.
            submission_id: generated text that no job of the cluster ever had; a job that has it is not started again.

        Raises:
            ClusterError: the job was not taken.
        """
        job_id = submission_id or f"backtune-{secrets.token_hex(8)}"
        runtime_env: dict[str, Any] = {"env_vars": dict(environment)}
        if working_dir is not None:
            runtime_env["working_dir"] = working_dir
        try:
            self._client.submit_job(entrypoint=entrypoint, submission_id=job_id, runtime_env=runtime_env)
        except Exception as error:
            # An answer that got lost looks like a refusal: what counts is whether the job is there.
            if self.find(job_id) is None:
                raise ClusterError(f"{self._address}: the job was not taken: {_first_line(error)}") from error
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        """What Ray says of a job.

        Raises:
            ClusterError: there is no such job, or nothing answers.
        """
        info = self._guarded(lambda: self._client.get_job_info(job_id))
        state: Any = str(info.status)
        return Job(job_id, state, str(info.message or ""), info.driver_exit_code)

    def version(self) -> str:
        """Of Ray there.

        Raises:
            ClusterError: nothing answers.
        """
        return str(self._guarded(self._client.get_version))

    def find(self, job_id: str) -> Job | None:
        """What Ray says of a job; None where it answers that it has no such job.

        Raises:
            ClusterError: nothing answers.
        """
        try:
            return self.job(job_id)
        except ClusterError as error:
            if _NOT_FOUND in str(error):
                return None
            raise

    def stop(self, job_id: str) -> None:
        """Ask a job to end in order; it is given ``$RAY_JOB_STOP_WAIT_TIME_S`` of its environment.

        Raises:
            ClusterError: there is no such job, or nothing answers.
        """
        self._guarded(lambda: self._client.stop_job(job_id))

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

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            if type(error).__name__ == "AuthenticationError":
                raise ClusterError(f"{self._address}: Ray asks for a token: {describe_token()}") from error
            raise ClusterError(f"{self._address}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
