"""Files of the runs folder, which appear whole or not at all. On a disk or in S3: all else works on either."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from backtune.errors import CatalogError, ResultsError
from backtune.storage.location import Location, S3Path

if TYPE_CHECKING:
    from backtune.storage.s3 import S3Store

_SETTLED_NANOSECONDS = 1_000_000_000

Stamp = int | tuple[tuple[str, int, int], ...]


def write_atomically(path: Location, write: Callable[[IO[bytes]], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in place; on failure nothing changes.

    The file may be read and written by whom the umask lets.

    Raises:
        ResultsError: the folder cannot be made or written.
    """
    if isinstance(path, S3Path):
        content = io.BytesIO()
        write(content)
        with _in_our_words():
            _bucket(path).write(path.key, content.getvalue())
        return
    # Not by tempfile, whose files are their owner's alone: these are for whom the umask lets read them.
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Location, content: Any) -> None:
    """Write plain data as JSON, atomically.

    Raises:
        ResultsError: the folder cannot be made or written.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_bytes(path: Location) -> bytes | None:
    """The content of a file; None where there is none.

    Raises:
        ResultsError: it cannot be read.
    """
    if isinstance(path, S3Path):
        with _in_our_words():
            return _bucket(path).read(path.key)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error


def read_json(path: Location) -> Any:
    """Read JSON; None where there is no such file.

    Raises:
        ResultsError: the file is not JSON or cannot be read.
    """
    content = read_bytes(path)
    try:
        return None if content is None else json.loads(content)
    except ValueError as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error


def exists(path: Location) -> bool:
    """Whether there is such a file.

    Raises:
        ResultsError: S3 does not say.
    """
    if isinstance(path, S3Path):
        with _in_our_words():
            return _bucket(path).exists(path.key)
    return path.exists()


def touch(path: Location) -> None:
    """Make an empty file, if there is none.

    Raises:
        ResultsError: S3 refuses it.
        OSError: the disk does.
    """
    if isinstance(path, S3Path):
        write_atomically(path, lambda _: None)
    else:
        path.touch()


def remove(path: Location) -> None:
    """Remove a file, if there is one.

    Raises:
        ResultsError: S3 refuses it.
        OSError: the disk does.
    """
    if isinstance(path, S3Path):
        with _in_our_words():
            _bucket(path).remove(path.key)
    else:
        path.unlink(missing_ok=True)


def remove_folder(folder: Location) -> None:
    """Remove a folder and the files in it, if there is one; folders in it are to be removed before.

    Raises:
        ResultsError: S3 refuses it.
        OSError: the disk does.
    """
    for name in names_in(folder):
        remove(folder / name)
    if isinstance(folder, Path):
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()


def names_in(folder: Location) -> list[str]:
    """What is in a folder, in no order; nothing where there is none."""
    if isinstance(folder, S3Path):
        with _in_our_words():
            return _bucket(folder).names(folder.key)
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def stamp_of(path: Location) -> tuple[int, int] | None:
    """When a file was written, in nanoseconds since the epoch, and a number that another file there would have; None where
    there is none.
    """
    if isinstance(path, S3Path):
        with _in_our_words():
            return _bucket(path).stamp(path.key)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_mtime_ns, status.st_ino


def written_at(path: Location) -> int | None:
    """When a file was written, in nanoseconds since the epoch; None where there is none."""
    stamp = stamp_of(path)
    return None if stamp is None else stamp[0]


def stamps_below(folder: Location, names: Collection[str]) -> Iterator[tuple[str, Stamp | None]]:
    """Those of the named folders that are there, with a stamp that is another one when something in it has changed.

    On a disk it is None where the folder changed just now: file systems count time in steps, and what happens within the
    same one would go unnoticed. In S3, one look at all files is needed, and it is the only one.
    """
    if isinstance(folder, S3Path):
        with _in_our_words():
            stamps = _bucket(folder).stamps(folder.key)
        found: dict[str, list[tuple[str, int, int]]] = {}
        for path, stamp in stamps.items():
            name, _, rest = path.partition("/")
            if name in names:
                found.setdefault(name, []).append((rest, *stamp))
        yield from ((name, tuple(sorted(files))) for name, files in found.items())
        return
    for name in names_in(folder):
        with contextlib.suppress(FileNotFoundError):
            if name in names:
                changed_at = (folder / name).stat().st_mtime_ns
                is_settled = time.time_ns() - changed_at > _SETTLED_NANOSECONDS
                yield name, changed_at if is_settled else None


def paths_below(folder: Location) -> Iterator[tuple[str, str]]:
    """Yield the folders in a folder with what is in them, a pair of names for each; in S3 one look at all files suffices."""
    if isinstance(folder, S3Path):
        with _in_our_words():
            stamps = _bucket(folder).stamps(folder.key)
        for path in stamps:
            name, _, rest = path.partition("/")
            yield name, rest
        return
    for name in names_in(folder):
        yield from ((name, file) for file in names_in(folder / name))


def remove_leftovers(folder: Location) -> None:
    """Remove temporary files of a writer that was killed; in S3 there are none."""
    if isinstance(folder, Path):
        for leftover in folder.glob(".*.part"):
            leftover.unlink(missing_ok=True)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What S3 says is said of results here, with the same cause."""
    try:
        yield
    except CatalogError as error:
        raise ResultsError(str(error)) from error.__cause__


def _bucket(path: S3Path) -> S3Store:
    endpoints = (os.environ.get("AWS_ENDPOINT_URL_S3"), os.environ.get("AWS_ENDPOINT_URL"))
    return _opened(path.bucket, os.getpid(), endpoints)


@cache
def _opened(bucket: str, _process: int, _endpoints: tuple[str | None, ...]) -> S3Store:
    """One for each process: connections do not outlive a fork."""
    from backtune.storage.s3 import S3Store

    return S3Store(bucket)
