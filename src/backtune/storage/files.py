"""Functions that read and write single files of the runs folder, on a disk or in S3. Files appear whole or not at all.

Every failure but an absent file is a ``ResultsError``.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from backtune.errors import ResultsError
from backtune.storage.local_folder import LocalFolder
from backtune.storage.location import Location, S3Path
from backtune.storage.storage import Stamp, Storage

_DISK: Final = LocalFolder(Path(), ResultsError)


def write_atomically(path: Location, write: Callable[[IO[bytes]], object]) -> None:
    """Write what ``write`` puts into a binary stream. If it fails, nothing changes."""
    content = io.BytesIO()
    write(content)
    write_bytes(path, content.getvalue())


def write_bytes(path: Location, content: bytes) -> None:
    """Create or replace a file, with the folders that it needs."""
    storage, name = _locate(path)
    storage.write(name, content)


def write_json(path: Location, content: Any) -> None:
    """Write plain data as JSON."""
    write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_bytes(path: Location) -> bytes | None:
    """Return the content of a file, or None where there is no such file."""
    storage, name = _locate(path)
    return storage.read(name)


def read_json(path: Location) -> Any:
    """Return the content of a JSON file, or None where there is no such file.

    Raises:
        ResultsError: The file is not JSON, or cannot be read.
    """
    content = read_bytes(path)
    try:
        return None if content is None else json.loads(content)
    except ValueError as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error


def is_file(path: Location) -> bool:
    """Return whether there is such a file."""
    storage, name = _locate(path)
    return storage.exists(name)


def remove_file(path: Location) -> None:
    """Remove a file, if there is one."""
    storage, name = _locate(path)
    storage.remove(name)


def remove_folder(folder: Location) -> None:
    """Remove a folder and the files in it, if there is one; it must hold no other folder."""
    storage, name = _locate(folder)
    storage.remove_folder(name)


def remove_leftovers(folder: Location) -> None:
    """Remove temporary files that an interrupted write left in a folder. Nobody may be writing there meanwhile."""
    storage, name = _locate(folder)
    storage.remove_leftovers(name)


def list_names(folder: Location) -> list[str]:
    """Return the names of the files and folders in a folder, in no order; empty where there is no folder."""
    storage, name = _locate(folder)
    return storage.list_names(name)


def list_files(folder: Location) -> list[str]:
    """Return the paths of all files in a folder and below it, relative to the folder and sorted."""
    storage, name = _locate(folder)
    return [path.removeprefix(f"{name}/") for path in storage.list_files(name)]


def read_stamp(path: Location) -> tuple[int, int] | None:
    """Return the time of a file's last write, in nanoseconds since the epoch, and a number that tells it from a file that
    took its place; None where there is no such file.
    """
    storage, name = _locate(path)
    return storage.read_stamp(name)


def read_write_time(path: Location) -> int | None:
    """Return the time of a file's last write, in nanoseconds since the epoch; None where there is no such file."""
    stamp = read_stamp(path)
    return None if stamp is None else stamp[0]


def list_stamps(folder: Location, names: Collection[str]) -> Iterator[tuple[str, Stamp | None]]:
    """Yield those of the named folders that exist, each with a stamp that changes when a file in it does.

    The stamp is None where the folder changed so recently that the next change may leave no trace. S3 is asked for one
    listing of all files.
    """
    storage, name = _locate(folder)
    return storage.list_stamps(name, names)


def hold_file(path: Location) -> AbstractContextManager[None]:
    """Hold a file for this process, which the storage lets go of when the process ends, however it ends.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: The disk refuses to write the file.
    """
    storage, name = _locate(path)
    return storage.hold(name)


def is_file_held(path: Location) -> bool:
    """Return whether a process holds the file; in S3 also if it did until a moment ago."""
    storage, name = _locate(path)
    return storage.is_held(name)


def _locate(path: Location) -> tuple[Storage, str]:
    """Return the storage of a file or folder, and its path there."""
    if isinstance(path, S3Path):
        endpoints = (os.environ.get("AWS_ENDPOINT_URL_S3"), os.environ.get("AWS_ENDPOINT_URL"))
        return _open_bucket(path.bucket, os.getpid(), endpoints), path.key
    # The current folder is the root of the disk's storage; joined to it, an absolute path stays what it is.
    return _DISK, str(path)


@cache
def _open_bucket(bucket: str, _process: int, _endpoints: tuple[str | None, ...]) -> Storage:
    """Return the storage of a bucket, one for each process, since connections do not outlive a fork."""
    from backtune.storage.bucket import Bucket

    return Bucket(bucket, ResultsError)
