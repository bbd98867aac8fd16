"""Where files live: a local folder, or a prefix of an S3 bucket."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import final
from uuid import uuid4

from backtune.errors import CatalogError


class Store(ABC):
    """Files below one root, named by relative paths with forward slashes.

    Reads and writes are whole files. A reader sees the old file or the new one, never a part. Safe to use
    from several threads. Every failure but an absent file is a ``CatalogError``.
    """

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The content, or None where there is no such file."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Create or replace a file atomically, with the folders that it needs."""

    @abstractmethod
    def tidy(self, path: str) -> None:
        """Remove what interrupted writes of a file left beside it. To be called while ``exclusive`` is held."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def list(self, prefix: str = "") -> list[str]:
        """Paths of all files in the folder ``prefix`` and below, sorted; empty where there is no folder."""

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Hold while reading, changing and writing the same file.

        Keeps out other programs on one machine. S3 has no such lock: one writer at a time there.
        """

    @abstractmethod
    def describe(self, path: str = "") -> str:
        """The full name of a file, or of the root, for messages."""


def open_store(root: str | Path) -> Store:
    """The store at a folder, or at ``s3://bucket/prefix``. Nothing is read or created yet.

    S3 credentials and region come from the usual AWS variables and files; ``AWS_ENDPOINT_URL_S3`` or
    ``AWS_ENDPOINT_URL`` name another S3 server, also with ``http://``.

    Raises:
        CatalogError: the root is neither.
    """
    text = os.fspath(root)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return LocalStore(Path(text).expanduser())
    if scheme != "s3" or not rest.strip("/"):
        raise CatalogError(f"{text}: is not a place for data; write a folder, or s3://bucket/prefix")
    from backtune.storage.s3 import S3Store

    return S3Store(rest.strip("/"))


@final
class LocalStore(Store):
    """A folder on a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str) -> bytes | None:
        with self._errors("cannot be read", path):
            try:
                return (self._folder / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes) -> None:
        target = self._folder / path
        # Not tempfile: its files are private to the user, and stay so after the rename.
        part = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
        with self._errors("cannot be written", path):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            _sync_folder(target.parent)

    def tidy(self, path: str) -> None:
        target = self._folder / path
        with self._errors("cannot be tidied", path):
            for part in target.parent.glob(f".{target.name}.*.tmp"):
                part.unlink(missing_ok=True)

    def exists(self, path: str) -> bool:
        return (self._folder / path).is_file()

    def list(self, prefix: str = "") -> list[str]:
        with self._errors("cannot be listed", prefix):
            return sorted(
                file.relative_to(self._folder).as_posix()
                for file in (self._folder / prefix).rglob("*")
                if file.is_file()
            )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        import fcntl

        with self._errors("cannot be locked", ""):
            self._folder.mkdir(parents=True, exist_ok=True)
            # The folder itself carries the lock, so no lock file stays behind.
            descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def describe(self, path: str = "") -> str:
        return str(self._folder / path)

    @contextmanager
    def _errors(self, what: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CatalogError(f"{self.describe(path)}: {what}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
