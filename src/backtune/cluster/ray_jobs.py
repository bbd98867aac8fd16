"""The sweeps that run as Ray jobs, over the REST interface of Ray's dashboard. Nothing of Ray is imported here."""

from __future__ import annotations

import io
import json
import secrets
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final, Literal
from urllib.error import URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPErrorProcessor, Request, build_opener

from backtune.cluster.ray_access import describe_token, token_header
from backtune.errors import ClusterError

JobState = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
_FINAL: Final = ("STOPPED", "SUCCEEDED", "FAILED")
_POLL_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 15.0


@dataclass(frozen=True)
class RayJob:
    """A job in Ray's view; the sweep's own folder is the better witness of what was done.

    Attributes:
        exit_code: Exit status of the driver, once it has ended by itself.
    """

    id: str
    state: JobState
    message: str
    exit_code: int | None = None

    @property
    def is_over(self) -> bool:
        """True if the job has ended."""
        return self.state in _FINAL


class _NotFoundError(ClusterError):
    """Raised when Ray answers that it does not have what was asked for."""


class _EveryStatus(HTTPErrorProcessor):
    """A processor that leaves errors and redirects to the caller; a redirect could show the token to another host."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:  # noqa: ARG002
        """Return the response as it is."""
        return response

    https_response = http_response


class RayJobs:
    """The jobs of one cluster. Safe to use from several threads.

    Args:
        address: URL of the cluster's dashboard.

    Every method raises :class:`~backtune.errors.ClusterError` where nothing answers in time or Ray refuses the request.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ClusterError(f"{address}: must be the URL of a dashboard, such as http://127.0.0.1:8265")
        self._address = address.rstrip("/")
        self._opener = build_opener(_EveryStatus)

    def submit(
        self,
        entrypoint: str,
        *,
        environment: Mapping[str, str],
        working_dir: Path | None = None,
        submission_id: str | None = None,
    ) -> RayJob:
        """Start a job.

        Args:
            entrypoint: Command that goes through a shell, so that no text of a user's belongs in it.
            environment: Variables of the job, which anybody who may see the cluster's jobs can read.
            working_dir: Folder whose files are uploaded; None for a job that needs no file.
            submission_id: Generated text that no job of the cluster ever had; a job that has it is not started again.
        """
        job_id = submission_id or f"backtune-{secrets.token_hex(8)}"
        runtime_env: dict[str, Any] = {"env_vars": dict(environment)}
        if working_dir is not None:
            runtime_env["working_dir"] = self._upload(working_dir, f"{job_id}.zip")
        description = {"entrypoint": entrypoint, "submission_id": job_id, "runtime_env": runtime_env}
        try:
            self._send("POST", "/api/jobs/", json.dumps(description).encode(), "application/json")
        except ClusterError as error:
            # A lost answer looks like a refusal: the job may be there.
            if self.find(job_id) is None:
                raise ClusterError(f"the job was not taken: {error}") from error
        return self.get(job_id)

    def get(self, job_id: str) -> RayJob:
        """Return a job in Ray's view."""
        job = self.find(job_id)
        if job is None:
            raise ClusterError(f"{self._address}: there is no job {job_id}")
        return job

    def find(self, job_id: str) -> RayJob | None:
        """Return a job in Ray's view; None where Ray answers that it has no such job."""
        try:
            info = self._fetch(f"/api/jobs/{quote(job_id)}", "status")
        except _NotFoundError:
            return None
        return RayJob(job_id, info["status"], info.get("message") or "", info.get("driver_exit_code"))

    def read_version(self) -> str:
        """Return the version of Ray on the cluster."""
        return str(self._fetch("/api/version", "ray_version")["ray_version"])

    def stop(self, job_id: str) -> None:
        """Ask a job to end in order, within ``$RAY_JOB_STOP_WAIT_TIME_S`` of its environment."""
        self._send("POST", f"/api/jobs/{quote(job_id)}/stop")

    def read_logs(self, job_id: str) -> str:
        """Return the output of a job so far."""
        return str(self._fetch(f"/api/jobs/{quote(job_id)}/logs", "logs")["logs"])

    def wait(self, job_id: str, on_output: Callable[[str], object]) -> RayJob:
        """Follow a job to its end and pass its output on."""
        shown = 0
        while True:
            job = self.get(job_id)
            logs = self.read_logs(job_id)
            on_output(logs[shown:])
            shown = len(logs)
            if job.is_over:
                return job
            time.sleep(_POLL_SECONDS)

    def _upload(self, folder: Path, name: str) -> str:
        """Upload the files of a folder as a package that a job can run in, and return its URI."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        self._send("PUT", f"/api/packages/gcs/{name}", content.getvalue(), "application/zip")
        return f"gcs://{name}"

    def _fetch(self, path: str, key: str) -> dict[str, Any]:
        """Return an answer in JSON, which must have a key."""
        try:
            content = json.loads(self._send("GET", path))
        except ValueError:
            content = None
        if not isinstance(content, dict) or key not in content:
            raise ClusterError(f"{self._address}: the answer is not that of a Ray dashboard")
        return content

    def _send(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> bytes:
        """Send a request with the token of this user, and return the body of the answer."""
        headers = token_header() | ({"Content-Type": content_type} if body is not None else {})
        request = Request(f"{self._address}{path}", body, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_ANSWER_SECONDS) as response:
                status, content = response.status, bytes(response.read())
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ClusterError(f"{self._address}: {reason or type(error).__name__}") from error
        if status in (401, 403):
            raise ClusterError(f"{self._address}: Ray asks for a token: {describe_token()}")
        if status == 200:
            return content
        # A traceback says what happened in its last line.
        lines = content.decode(errors="replace").split("\n")
        reason = next((line for line in reversed(lines) if line.strip()), "no reason given")
        kind = _NotFoundError if status == 404 else ClusterError
        raise kind(f"{self._address}: HTTP status {status}: {reason}")
