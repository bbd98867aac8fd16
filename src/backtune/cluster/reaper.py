"""A small process that removes the processes and the folder of a Ray head, even when the program that started it was killed.

Ray's own daemons end with the driver, but its agents stay for a minute and its folder for ever. Run as a script, so
that it needs nothing but the standard library: ``reaper.py FOLDER``. It acts once its standard input is closed, by
the driver or by the driver's end.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_KILL_SECONDS = 10.0


def main() -> None:
    """Wait for the driver's end, then remove its processes and its folder."""
    folder = sys.argv[1]
    spared = {os.getpid(), os.getppid()}
    # A signal for the whole group of the driver must not end the process that cleans up after it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    until = time.monotonic() + _KILL_SECONDS
    while (found := set(_find_writers(folder)) - spared) and time.monotonic() < until:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _find_writers(folder: str) -> Iterator[int]:
    """Yield the processes with an open file below the folder. All processes of Ray keep their logs there."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            links = [os.readlink(link) for link in (entry / "fd").iterdir()]  # noqa: PTH115
        except OSError:
            continue
        if any(link.startswith(f"{folder}/") for link in links):
            yield int(entry.name)


if __name__ == "__main__":
    main()
