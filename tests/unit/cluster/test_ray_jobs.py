"""The requests to Ray's dashboard, on servers that answer as scripted or not at all."""

import io
import json
import socket
import time
import zipfile

import pytest
from ports import free_port
from scripted import scripted

from backtune.cluster import ray_jobs as ray_jobs_module
from backtune.cluster.ray_jobs import RayJob, RayJobs
from backtune.errors import ClusterError

RUNNING = (200, {}, {"status": "RUNNING", "message": None, "driver_exit_code": None, "type": "SUBMISSION"})
FAILED = (200, {}, {"status": "FAILED", "message": "exit status 1", "driver_exit_code": 1})
TAKEN = (200, {}, {"submission_id": "one", "job_id": "one"})
MISSING = (404, {}, b"Job one does not exist")
TRACEBACK = b"Traceback (most recent call last):\n  File x\nValueError: Package size (200 MiB) exceeds the maximum\n\n"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def short_wait(monkeypatch):
    monkeypatch.setattr(ray_jobs_module, "_ANSWER_SECONDS", 0.3)


def test_where_nothing_listens():
    port = free_port()
    with pytest.raises(ClusterError, match=f"127.0.0.1:{port}: .*refused"):
        RayJobs(f"http://127.0.0.1:{port}").read_version()


def test_a_head_that_takes_connections_and_never_answers_is_given_up(short_wait):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ClusterError, match="timed out"):
            RayJobs(address).read_version()
        assert time.monotonic() - started < 30


@pytest.mark.parametrize("address", ["127.0.0.1:8265", "ray://127.0.0.1:10001", "auto", "http://"])
def test_an_address_that_is_no_dashboard_is_refused(address):
    with pytest.raises(ClusterError, match="must be the URL of a dashboard"):
        RayJobs(address)


def test_a_job_is_described_in_one_request():
    with scripted(TAKEN, RUNNING) as script:
        job = RayJobs(f"{script.url}/").submit("run it", environment={"A": "b"}, submission_id="one")
    assert job == RayJob("one", "RUNNING", "")
    submission, question = script.asked
    assert (submission.method, submission.target) == ("POST", "/api/jobs/")
    assert json.loads(submission.body) == {
        "entrypoint": "run it",
        "submission_id": "one",
        "runtime_env": {"env_vars": {"A": "b"}},
    }
    assert (question.method, question.target) == ("GET", "/api/jobs/one")


def test_the_files_of_a_folder_are_uploaded_before_the_job_is_submitted(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "spec.yaml").write_text("name: x")
    (tmp_path / "deep" / "strategy.py").write_text("x = 1")
    with scripted((200, {}, b""), TAKEN, RUNNING) as script:
        RayJobs(script.url).submit("run", environment={}, working_dir=tmp_path, submission_id="one")
    upload, submission, _ = script.asked
    assert (upload.method, upload.target) == ("PUT", "/api/packages/gcs/one.zip")
    assert json.loads(submission.body)["runtime_env"]["working_dir"] == "gcs://one.zip"
    with zipfile.ZipFile(io.BytesIO(upload.body)) as archive:
        assert archive.read("spec.yaml") == b"name: x"
        assert archive.read("deep/strategy.py") == b"x = 1"


def test_a_job_whose_answer_was_lost_is_found():
    with scripted((0, {}, b""), RUNNING) as script:
        assert RayJobs(script.url).submit("run", environment={}, submission_id="one").state == "RUNNING"


@pytest.mark.parametrize("answer", [(500, {}, TRACEBACK), (0, {}, b"")])
def test_a_job_that_is_not_there_was_not_taken(answer):
    with scripted(answer, MISSING) as script, pytest.raises(ClusterError, match="the job was not taken"):
        RayJobs(script.url).submit("run", environment={}, submission_id="one")


def test_a_job_that_ended_has_its_exit_status_and_one_that_is_missing_is_none():
    with scripted(FAILED, MISSING) as script:
        ray_jobs = RayJobs(script.url)
        assert ray_jobs.find("one") == RayJob("one", "FAILED", "exit status 1", 1)
        assert ray_jobs.find("one") is None
        with pytest.raises(ClusterError, match="there is no job one"):
            ray_jobs.get("one")


def test_the_other_requests():
    with scripted((200, {}, {"version": "4", "ray_version": "2.60.0"})) as script:
        assert RayJobs(script.url).read_version() == "2.60.0"
    with scripted((200, {}, {"logs": "printed"}), (200, {}, {"stopped": True})) as script:
        assert RayJobs(script.url).read_logs("one") == "printed"
        RayJobs(script.url).stop("one")
    assert [(one.method, one.target) for one in script.asked] == [
        ("GET", "/api/jobs/one/logs"),
        ("POST", "/api/jobs/one/stop"),
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((500, {}, TRACEBACK), "HTTP status 500: ValueError: Package size .200 MiB. exceeds the maximum$"),
        ((503, {}, b""), "HTTP status 503: no reason given"),
        ((200, {}, b"<html>a login page</html>"), "the answer is not that of a Ray dashboard"),
        ((200, {}, {"other": 1}), "the answer is not that of a Ray dashboard"),
        ((200, {}, [1]), "the answer is not that of a Ray dashboard"),
        ((401, {}, b"Unauthorized"), "Ray asks for a token: there is none in"),
        ((403, {}, b"Forbidden"), "Ray asks for a token: there is none in"),
    ],
)
def test_an_error_is_told_in_a_line(answer, message):
    with scripted(answer) as script, pytest.raises(ClusterError, match=message) as error:
        RayJobs(script.url).read_logs("one")
    assert str(error.value).startswith(f"{script.url}: ")
    assert "\n" not in str(error.value)


def test_a_token_is_shown_with_every_request_and_to_no_other_host(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with scripted(RUNNING) as other:
        redirect = (302, {"Location": f"{other.url}/"}, b"")
        with scripted(redirect) as script, pytest.raises(ClusterError, match="HTTP status 302"):
            RayJobs(script.url).find("one")
    assert script.asked[0].headers["authorization"] == "Bearer secret"
    assert other.asked == []
