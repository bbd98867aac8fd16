"""A folder for a Ray head, which is removed when this process ends, with all processes that write there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backtune.cluster import reaper

# Ray puts sockets below its folder, and their paths are limited to 107 bytes: $TMPDIR may be too long.
_PARENT: Final = Path("/tmp")  # noqa: S108


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make a folder that is removed when this process ends, even by a kill, with all processes that write there."""
    folder = make_folder(prefix)
    # It gets no output of this process: the output of a job is a file of its head, and the end of a head kills all
    # processes that write to its files.
    with subprocess.Popen(  # noqa: S603
        _reaper_command(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as watching:
        try:
            yield folder
        finally:
            if watching.stdin is not None:
                watching.stdin.close()


def make_folder(prefix: str) -> Path:
    """Make a folder that stays until it is cleared."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_PARENT))


def clear_folder(folder: Path) -> None:
    """End all processes that write to a folder, and remove it."""
    subprocess.run(_reaper_command(folder), stdin=subprocess.DEVNULL, check=False)  # noqa: S603


def _reaper_command(folder: Path) -> list[str]:
    return [sys.executable, "-I", "-S", reaper.__file__, str(folder)]
