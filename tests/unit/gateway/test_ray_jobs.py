"""The door to Ray's jobs where nothing of Ray is behind it."""

import socket
import time

import pytest
from ports import free_port

from backtune.errors import ClusterError
from backtune.gateway import jobs


@pytest.fixture(autouse=True)
def short(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(jobs, "_ANSWER_SECONDS", 0.3)


def test_where_nothing_listens():
    port = free_port()
    with pytest.raises(ClusterError, match=f"127.0.0.1:{port}: "):
        jobs.RayJobs(f"http://127.0.0.1:{port}")


def test_a_head_that_takes_connections_and_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ClusterError, match="timed out"):
            jobs.RayJobs(address)
        assert time.monotonic() - started < 30
