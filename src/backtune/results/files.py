"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from backtune.errors import ResultsError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in place; on failure nothing changes.

    The file may be read and written by whom the umask lets.

    Raises:
        ResultsError: the folder cannot be made or written.
    """
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


def write_json(path: Path, content: Any) -> None:
    """Write plain data as JSON, atomically.

    Raises:
        ResultsError: the folder cannot be made or written.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """Read JSON; None where there is no such file.

    Raises:
        ResultsError: the file is not JSON or cannot be read.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error


def names_in(folder: Path) -> list[str]:
    """What is in a folder, in no order; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except FileNotFoundError:
        return []


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of a writer that was killed."""
    for leftover in folder.glob(".*.part"):
        leftover.unlink(missing_ok=True)
