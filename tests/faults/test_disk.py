"""The disk of the runs folder gets full; once there is room, the same command goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.disturbed import Disturbed
from faults.unharmed import assert_unharmed

CASES = [
    pytest.param(("--executor", "inline"), id="inline"),
    pytest.param(("--workers", "2"), id="ray", marks=[pytest.mark.slow, pytest.mark.ray]),
]


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 200 KiB; the sweep takes about a MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = _mount("size=200k", folder)
    if mounted.returncode:
        pytest.skip(f"this user may not mount a file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("arguments", CASES)
def test_a_full_disk(disturbed, expected, small_disk, arguments):
    sweep: Disturbed = disturbed(*arguments, runs=small_disk / "runs")
    full = sweep.finish()
    assert full.returncode in (1, 3), full.stderr
    assert os.strerror(28) in full.stderr
    assert "Traceback" not in full.stderr
    written = sweep.n_trials()
    assert written, "the disk was too small for any trial"
    assert sweep.run_again() == []

    sweep.note()
    assert _mount("remount,size=64m", small_disk).returncode == 0
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)


def _mount(options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess([], 127, "", str(error))
