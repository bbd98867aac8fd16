"""A storage in a folder on a disk."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, final
from uuid import uuid4

from backtune.errors import BacktuneError
from backtune.storage.storage import Stamp, Storage

_HOLD_TRIES: Final = 5
_HOLD_PAUSE_SECONDS: Final = 0.05
_SETTLED_NANOSECONDS: Final = 1_000_000_000


@final
class LocalFolder(Storage):
    """A folder on a disk. Its files may be read and written by everyone whom the umask allows to.

    Args:
        folder: The root. With the current folder as the root, absolute paths reach every other folder too.
        error: The class of the errors that failures raise.
    """

    def __init__(self, folder: Path, error: type[BacktuneError]) -> None:
        self._folder = folder
        self._error = error

    def read(self, path: str) -> bytes | None:
        with self._errors("cannot be read", path):
            try:
                return (self._folder / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes, *, is_durable: bool = False) -> None:
        target = self._folder / path
        # Not by tempfile: its files are private to the user, and stay so after the rename.
        part = target.with_name(f".{uuid4().hex}.part")
        with self._errors("cannot be written", path):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with part.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(target)
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
            if is_durable:
                _sync_folder(target.parent)

    def exists(self, path: str) -> bool:
        return (self._folder / path).is_file()

    def remove(self, path: str) -> None:
        with self._errors("cannot be removed", path):
            (self._folder / path).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        for name in self.list_names(folder):
            self.remove(f"{folder}/{name}")
        with self._errors("cannot be removed", folder), suppress(FileNotFoundError):
            (self._folder / folder).rmdir()

    def remove_leftovers(self, folder: str = "") -> None:
        with self._errors("cannot be cleared of temporary files", folder):
            for part in (self._folder / folder).glob(".*.part"):
                part.unlink(missing_ok=True)

    def list_names(self, folder: str = "") -> list[str]:
        with self._errors("cannot be listed", folder):
            try:
                return [entry.name for entry in os.scandir(self._folder / folder)]
            except (FileNotFoundError, NotADirectoryError):
                return []

    def list_files(self, folder: str = "") -> list[str]:
        with self._errors("cannot be listed", folder):
            start = self._folder / folder
            return sorted(
                (Path(folder) / Path(parent, name).relative_to(start)).as_posix()
                for parent, _, names in os.walk(start)
                for name in names
            )

    def read_stamp(self, path: str) -> tuple[int, int] | None:
        with self._errors("cannot be read", path):
            try:
                status = (self._folder / path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return status.st_mtime_ns, status.st_ino

    def list_stamps(self, folder: str, names: Collection[str]) -> Iterator[tuple[str, Stamp | None]]:
        """Yield the time of each folder's last change; None where that was within the last second, as file systems count
        time in steps and a second change within the same step would go unnoticed.
        """
        for name in self.list_names(folder):
            if name in names and (stamp := self.read_stamp(f"{folder}/{name}")) is not None:
                is_settled = time.time_ns() - stamp[0] > _SETTLED_NANOSECONDS
                yield name, stamp[0] if is_settled else None

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self._errors("cannot be locked", ""):
            self._folder.mkdir(parents=True, exist_ok=True)
            # The folder itself carries the lock, so no lock file stays behind.
            descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def hold(self, path: str) -> Iterator[None]:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w") as file:
            _hold_lock(file)
            yield

    def is_held(self, path: str) -> bool:
        with self._errors("cannot be read", path):
            try:
                with (self._folder / path).open("r+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                return False
            except BlockingIOError:
                return True
            return False

    def describe(self, path: str = "") -> str:
        return str(self._folder / path)

    @contextmanager
    def _errors(self, problem: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(f"{self.describe(path)}: {problem}: {error.strerror or error}") from error


def _hold_lock(file: IO[str]) -> None:
    """Take the lock of an open file, and try for a moment: a process that asks whether it is held holds it while asking."""
    for _ in range(_HOLD_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_HOLD_PAUSE_SECONDS)
        else:
            return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Make a rename outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
