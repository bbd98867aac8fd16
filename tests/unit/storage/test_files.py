"""Files that appear whole or not at all."""

import os
import stat

import pytest

from backtune.errors import ResultsError
from backtune.storage.files import (
    exists,
    names_in,
    read_bytes,
    read_json,
    stamp_of,
    write_atomically,
    written_at,
)


@pytest.fixture
def umask():
    before = os.umask(0o022)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_file_is_for_whom_the_umask_lets(tmp_path, umask, mask, mode):
    umask(mask)
    path = tmp_path / "a" / "report.html"
    for content in (b"first", b"second"):
        write_atomically(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_on_failure_nothing_changes_and_nothing_stays(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"whole")

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ResultsError, match=r"report\.html: cannot be written: No space left on device"):
        write_atomically(path, fail)
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]
    assert path.read_bytes() == b"whole"
    with pytest.raises(ResultsError, match="cannot be written"):
        write_atomically(path / "below.html", fail)


@pytest.mark.parametrize(
    ("look", "nothing"),
    [
        (read_bytes, None),
        (read_json, None),
        (stamp_of, None),
        (written_at, None),
        (exists, False),
        (names_in, []),
    ],
)
def test_below_a_file_there_is_nothing(tmp_path, look, nothing):
    (tmp_path / "mlflow.db").touch()
    assert look(tmp_path / "mlflow.db" / "sweep.json") == nothing
