"""A listening socket on its way from one owner to the next."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtune.errors import BusyError
from backtune.gateway.handover import Handover, Predecessor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Longer than the path of a Unix socket may be.
    made = tmp_path / ("long-" * 20) / ".gateway"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


class Owner:
    """Of a socket; offers it."""

    def __init__(self, folder: Path, listening: socket.socket) -> None:
        self.is_relieved = threading.Event()
        self.handover = Handover(folder, 8080, listening, self.is_relieved.set)
        self.handover.open()


@pytest.fixture
def owner(folder: Path, listening: socket.socket) -> Iterator[Owner]:
    made = Owner(folder, listening)
    yield made
    made.handover.close()


def test_nobody_is_found_where_nobody_is(folder: Path, owner: Owner) -> None:
    assert Predecessor.find(folder, 8081) is None


def test_the_next_one_accepts_what_came_before_and_after(
    folder: Path, owner: Owner, listening: socket.socket
) -> None:
    with socket.create_connection(listening.getsockname()) as early:
        found = Predecessor.find(folder, 8080)
        assert found is not None
        assert found.listening.getsockname() == listening.getsockname()
        assert not owner.is_relieved.is_set()
        found.relieve()
        assert owner.is_relieved.wait(10)
        listening.close()
        with socket.create_connection(found.listening.getsockname()) as late, found.listening:
            for client in (early, late):
                client.sendall(b"x")
                accepted, _ = found.listening.accept()
                with accepted:
                    assert accepted.recv(1) == b"x"


def test_one_that_does_not_come_to_serve_changes_nothing(folder: Path, owner: Owner) -> None:
    for _ in range(3):
        found = Predecessor.find(folder, 8080)
        assert found is not None
        found.listening.close()
        found._line.close()
    assert not owner.is_relieved.wait(0.2)
    again = Predecessor.find(folder, 8080)
    assert again is not None
    with again.listening:
        again.relieve()
        assert owner.is_relieved.wait(10)


def test_of_two_at_a_time_one_gets_it(folder: Path, owner: Owner) -> None:
    first = Predecessor.find(folder, 8080)
    assert first is not None
    refused: list[BaseException] = []

    def second() -> None:
        try:
            Predecessor.find(folder, 8080)
        except BusyError as error:
            refused.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.2)
    with first.listening:
        first.relieve()
        assert owner.is_relieved.wait(10)
        owner.handover.close()
    thread.join(10)
    assert len(refused) == 1


def test_its_end_leaves_nothing_and_waits_for_nobody(folder: Path, listening: socket.socket) -> None:
    owner = Owner(folder, listening)
    found = Predecessor.find(folder, 8080)
    assert found is not None
    began = time.monotonic()
    owner.handover.close()
    assert time.monotonic() - began < 30
    assert list(folder.iterdir()) == []
    assert Predecessor.find(folder, 8080) is None
    # It is too late to tell it anything, and no error.
    with found.listening:
        found.relieve()


def test_what_a_killed_one_left_is_nobody(folder: Path) -> None:
    program = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind('port-8080.sock')"
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
    assert (folder / "port-8080.sock").exists()
    assert Predecessor.find(folder, 8080) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a moment")
def test_another_user_gets_nothing(folder: Path, owner: Owner) -> None:
    """Even where the socket's file lets everyone in."""
    # It is there already, so that the folders above are not asked.
    folder.chmod(0o755)
    (folder / "port-8080.sock").chmod(0o777)
    program = (
        "import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect('port-8080.sock'); "
        "print(len(socket.recv_fds(s, 16, 1)[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr
    assert not owner.is_relieved.is_set()
