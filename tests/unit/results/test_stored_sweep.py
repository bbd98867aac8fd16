"""The folder of a sweep."""

import pytest
from stored_sweeps import minimal_spec

from backtune.errors import ResultsError
from backtune.results.stored_sweep import StoredSweep


@pytest.fixture
def run(tmp_path):
    return StoredSweep(tmp_path / "sweep", "sweep", "name", spec=minimal_spec(), studies=(), version="1")


class TestLock:
    def test_is_for_one_driver_at_a_time(self, run):
        with run.lock(), pytest.raises(ResultsError, match="another backtune is running"), run.lock():
            pass
        with run.lock():
            pass

    def test_removes_what_a_killed_driver_was_writing(self, run):
        run.write()
        leftover = run.folder / ".abc.part"
        leftover.touch()
        with run.lock():
            assert not leftover.exists()
        assert StoredSweep.open(run.folder) == run

    def test_leaves_alone_what_the_driver_that_holds_it_writes(self, run):
        with run.lock():
            writing = run.folder / ".abc.part"
            writing.touch()
            with pytest.raises(ResultsError), run.lock():
                pass
            assert writing.exists()
