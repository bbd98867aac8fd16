"""Files of the runs folder."""

import pytest

from backtune.errors import ResultsError
from backtune.storage.files import list_files, list_names, read_json, write_atomically, write_json


def test_on_failure_nothing_changes_and_nothing_stays(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"whole")

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(path, fail)
    assert list_names(tmp_path) == ["report.html"]
    assert path.read_bytes() == b"whole"
    with pytest.raises(ResultsError, match=r"below\.html: cannot be written"):
        write_atomically(path / "below.html", lambda file: file.write(b""))


def test_relative_paths_start_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "runs" / "a" / "sweep.json", {"name": "small"})
    relative = (tmp_path / "runs").relative_to(tmp_path)
    assert read_json(relative / "a" / "sweep.json") == {"name": "small"}
    assert list_files(relative) == list_files(tmp_path / "runs") == ["a/sweep.json"]


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "sweep.json").write_bytes(content)
    with pytest.raises(ResultsError, match=r"sweep\.json: cannot be read"):
        read_json(tmp_path / "sweep.json")
