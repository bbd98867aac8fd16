"""A small process that removes what a Ray of our own leaves, when whoever started it was killed too.

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

_PATIENCE_SECONDS = 10.0


def main() -> None:
    """Wait for the driver's end, then remove its processes and its folder."""
    folder = sys.argv[1]
    spared = {os.getpid(), os.getppid()}
    # A signal for the driver's whole group is not for the process that cleans up after it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    until = time.monotonic() + _PATIENCE_SECONDS
    while (found := set(_writing_to(folder)) - spared) and time.monotonic() < until:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _writing_to(folder: str) -> Iterator[int]:
    """Processes with a file open below the folder: Ray's keep their logs there, whatever they call themselves."""
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
