"""A real gateway as a process, for the integration tests."""

import contextlib
import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ports import free_port
from sweeps import backtune, command, environment, wait_for

FINAL = ("completed", "failed", "cancelled", "partial")


@dataclass
class Gateway:
    """One on a free port, with a Ray head of its own.

    Attributes:
        folder: where it starts; it keeps its results in ``runs`` there.
        data_root: of the market.
        variables: more environment, for every start.
        key: that requests are sent with; it is asked for none without one.
    """

    folder: Path
    data_root: Path
    port: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    key: str = ""
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def make_key(self, role: str, *options: str) -> str:
        """As its owner does, on the command line."""
        made = backtune(
            "keys", "create", "--role", role, "--runs", self.runs, "--json", *options, cwd=self.folder
        )
        assert made.returncode == 0, made.stderr
        key: str = json.loads(made.stdout)["api_key"]
        return key

    def start(self, *options: str, **variables: str) -> None:
        """Start it and wait until it answers; or ends, where it is to end at a fail point."""
        arguments = command(
            "serve", "--port", str(self.port), "--data-root", self.data_root, "--runs", self.runs,
            *(() if self.key else ("--no-auth",)), *options,
        )  # fmt: skip
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                arguments,
                cwd=self.folder,
                env=environment(**self.variables, **variables),
                stdout=log,
                stderr=log,
            )
        assert wait_for(lambda: self.answers() or self.process.poll() is not None, 90), self.log
        assert self.process.poll() is None or "BACKTUNE_FAILPOINT" in variables, self.log

    def answers(self) -> bool:
        try:
            return self.get("/health")["status"] == "ok"
        except OSError:
            return False

    def kill(self) -> None:
        """As kill -9 does."""
        self.process.kill()
        self.process.wait(timeout=30)

    def stop(self) -> int:
        """End it in order; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)

    def died(self) -> int:
        """Wait for its end."""
        return self.process.wait(timeout=60)

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and content of an answer."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json", "x-api-key": self.key, **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def get(self, path: str) -> Any:
        status, content = self.request("GET", path)
        assert status == 200, content
        return content

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, content = self.request("POST", path, body, named)
        assert status == 202, content
        return content

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"/jobs/{job_id}")

    def reaches(self, job_id: str, *statuses: str, seconds: float) -> bool:
        """Whether a job comes to one of these in time."""
        return wait_for(lambda: self.job(job_id)["status"] in statuses, seconds)

    def completed(self, job_id: str, seconds: float = 150) -> dict[str, Any]:
        """The job, once it is."""
        assert self.reaches(job_id, *FINAL, seconds=seconds), self.job(job_id)
        job = self.job(job_id)
        assert job["status"] == "completed", job
        return job

    def head(self) -> dict[str, Any]:
        """Pid, port, folder and token of its Ray head."""
        return json.loads((self.runs / ".gateway" / "head.json").read_text())

    def submissions(self) -> dict[str, str]:
        """What Ray has been given: the state of each by its submission id."""
        head = self.head()
        request = urllib.request.Request(
            f"http://127.0.0.1:{head['port']}/api/jobs/", headers={"Authorization": f"Bearer {head['token']}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            jobs = json.load(answer)
        return {job["submission_id"]: job["status"] for job in jobs if job["type"] == "SUBMISSION"}


@contextlib.contextmanager
def gateway_in(folder: Path, data_root: Path, **variables: str) -> Iterator[Gateway]:
    """A gateway that is not started yet; nothing of it stays."""
    gateway = Gateway(folder, data_root, variables=variables)
    try:
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.stop()
        elif (gateway.runs / ".gateway" / "head.json").exists():
            # It was killed: the next one takes its head over, and ends it.
            gateway.start()
            gateway.stop()


def alive(pid: int) -> bool:
    """Whether there is such a process; not where it only waits for whoever adopted it to notice its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
