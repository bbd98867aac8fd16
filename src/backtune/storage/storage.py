"""The interface to files below one root: a folder on a disk, or a prefix of an S3 bucket."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from backtune.errors import CatalogError

Stamp = int | tuple[tuple[str, int, int], ...]


class Storage(ABC):
    """Files below one root, named by relative paths with forward slashes.

    Reads and writes are whole files. A reader sees the old file or the new one, never a part. Safe to use from several
    threads. An absent file or folder is a value. Every other failure is the error that the storage was opened with:
    ``CatalogError`` for market data, ``ResultsError`` for results.
    """

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return the content of a file, or None where there is no such file."""

    @abstractmethod
    def write(self, path: str, content: bytes, *, is_durable: bool = False) -> None:
        """Create or replace a file atomically, with the folders that it needs.

        Args:
            path: The path of the file below the root.
            content: The whole content of the file.
            is_durable: True if the new file must also outlast a power cut right after the call, which costs a disk
                several milliseconds.
        """

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Return whether there is such a file."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, if there is one."""

    @abstractmethod
    def remove_folder(self, folder: str) -> None:
        """Remove a folder and the files in it, if there is one; it must hold no other folder."""

    @abstractmethod
    def remove_leftovers(self, folder: str = "") -> None:
        """Remove temporary files that an interrupted write left in a folder. Nobody may be writing there meanwhile."""

    @abstractmethod
    def list_names(self, folder: str = "") -> list[str]:
        """Return the names of the files and folders in a folder, in no order; empty where there is no folder."""

    @abstractmethod
    def list_files(self, folder: str = "") -> list[str]:
        """Return the paths below the root of all files in a folder and below it, sorted; empty where there is no folder."""

    @abstractmethod
    def read_stamp(self, path: str) -> tuple[int, int] | None:
        """Return the time of a file's last write, in nanoseconds since the epoch, and a number that tells it from a file
        that took its place; None where there is no such file.
        """

    @abstractmethod
    def list_stamps(self, folder: str, names: Collection[str]) -> Iterator[tuple[str, Stamp | None]]:
        """Yield those of the named folders that exist, each with a stamp that changes when a file in it does.

        The stamp is None where the folder changed so recently that the next change may leave no trace.
        """

    @abstractmethod
    def lock(self) -> AbstractContextManager[None]:
        """Wait for the lock of the root and hold it: for reading, changing and writing the same file.

        It keeps out other programs on one machine. S3 has no such lock: only one writer at a time is safe there.
        """

    @abstractmethod
    def hold(self, path: str) -> AbstractContextManager[None]:
        """Hold a file for this process, which the storage lets go of when the process ends, however it ends.

        Raises:
            BlockingIOError: Another process holds it.
            OSError: The disk refuses to write the file.
        """

    @abstractmethod
    def is_held(self, path: str) -> bool:
        """Return whether a process holds the file; in S3 also if it did until a moment ago."""

    @abstractmethod
    def describe(self, path: str = "") -> str:
        """Return the full name of a file, or of the root, for messages."""


def open_storage(root: str | Path) -> Storage:
    """Return the storage of market data at a folder, or at ``s3://bucket/prefix``. Nothing is read or created yet.

    S3 credentials and region come from the usual AWS variables and files; ``AWS_ENDPOINT_URL_S3`` or
    ``AWS_ENDPOINT_URL`` name another S3 server, also with ``http://``.

    Raises:
        CatalogError: The root is neither.
    """
    text = os.fspath(root)
    scheme, separator, rest = text.partition("://")
    if not separator:
        from backtune.storage.local_folder import LocalFolder

        return LocalFolder(Path(text).expanduser(), CatalogError)
    if scheme != "s3" or not rest.strip("/"):
        raise CatalogError(f"{text}: is not a place for data; write a folder, or s3://bucket/prefix")
    from backtune.storage.bucket import Bucket

    return Bucket(rest.strip("/"), CatalogError)
