"""From one gateway to the next: the listening socket itself goes over, so that a connection which nobody has accepted yet is the
next one's, and at no moment is there a port that refuses."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from backtune.errors import BusyError, SpecError

_SERVES: Final = b"serves"
_START_SECONDS: Final = 120.0
_CREDENTIALS: Final = struct.Struct("3i")


class Handover:
    """Offers a listening socket to the next gateway on the same runs folder and port, which must be of the same user.

    Args:
        folder: of the gateway in the runs folder.
        port: that is listened on.
        listening: the socket.
        relieved: called once, in a thread, when the next one serves.
    """

    def __init__(
        self, folder: Path, port: int, listening: socket.socket, relieved: Callable[[], object]
    ) -> None:
        self._path = folder / _name(port)
        self._listening = listening
        self._relieved = relieved
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._line: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="backtune-handover", daemon=True)

    def open(self) -> None:
        """Begin; from now on it is this process that the next one finds."""
        temporary = f".{secrets.token_hex(4)}.sock"
        with _short(self._path.parent) as folder:
            self._door.bind(f"{folder}/{temporary}")
        self._door.listen()
        self._path.with_name(temporary).replace(self._path)
        self._thread.start()

    def close(self) -> None:
        """Offer it no longer."""
        # Wakes the thread, which a mere close would not.
        for one in (self._door, self._line):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()
        self._door.close()

    def _run(self) -> None:
        while True:
            try:
                line, _ = self._door.accept()
            except OSError:
                self._path.unlink(missing_ok=True)
                return
            self._line = line
            with line:
                if _is_same_user(line) and self._give(line):
                    # The path is the next one's now.
                    self._relieved()
                    return

    def _give(self, line: socket.socket) -> bool:
        """Whether the other one has it and serves; where it does not come to that, this one goes on."""
        line.settimeout(_START_SECONDS)
        try:
            socket.send_fds(line, [b"port"], [self._listening.fileno()])
            return line.recv(len(_SERVES)) == _SERVES
        except OSError:
            return False


class Predecessor:
    """The gateway that has the port, and has given its listening socket.

    Attributes:
        listening: the same socket, in this process.
    """

    def __init__(self, line: socket.socket, listening: socket.socket) -> None:
        self._line = line
        self.listening = listening

    @classmethod
    def find(cls, folder: Path, port: int) -> Predecessor | None:
        """The one on this runs folder and port; None where there is none.

        Raises:
            SpecError: it is another user's.
            BusyError: it has given its socket to another one.
        """
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(_START_SECONDS)
            with _short(folder) as near:
                line.connect(f"{near}/{_name(port)}")
            _, descriptors, _, _ = socket.recv_fds(line, 16, 1)
        except (FileNotFoundError, ConnectionRefusedError):
            line.close()
            return None
        except PermissionError:
            line.close()
            raise SpecError(
                "--replace", f"the gateway on port {port} is another user's", value=port
            ) from None
        except OSError:
            descriptors = []
        if not descriptors:
            line.close()
            raise BusyError("another gateway is just taking the port over; try again")
        return cls(line, socket.socket(fileno=descriptors[0]))

    def relieve(self) -> None:
        """Tell it that this process serves now."""
        with self._line, contextlib.suppress(OSError):
            self._line.sendall(_SERVES)


def _name(port: int) -> str:
    return f"port-{port}.sock"


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A short name of a folder: the path of a Unix socket is limited to 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _is_same_user(line: socket.socket) -> bool:
    _, user, _ = _CREDENTIALS.unpack(
        line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return bool(user == os.getuid())
