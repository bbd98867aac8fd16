"""The look for what is left behind sees each thing that could be, and nothing of anybody else's."""

import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from sweeps import INLINE, environment, wait_for

from backtune.results.log.segments import write_segment
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from faults.traces import MARK, Traces
from faults.unharmed import assert_unharmed

LISTENING = """
import socket, sys
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def traces(tmp_path):
    (tmp_path / "own").mkdir()
    return Traces(uuid4().hex, own=(tmp_path / "own",))


def marked_by(mark: str, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(**{MARK: mark}), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_a_process_and_its_port_are_seen_while_they_last(traces):
    with marked_by(traces.mark, LISTENING) as process, marked_by("another", LISTENING) as foreign:
        port = process.stdout.readline().strip()
        foreign.stdout.readline()
        traces.look()
        seen = traces.left_behind()
        process.communicate()
        foreign.communicate()
    assert [line.split(":")[0] for line in seen] == [f"process {process.pid}", f"port {port}"]
    assert traces.left_behind() == []


def test_a_port_is_seen_whoever_holds_it_now(traces):
    """A child that has put off the mark has the socket of its parent."""
    handing_on = (
        "import os, sys; sys.stdout.flush(); os.execve(sys.executable, [sys.executable, '-c', 'input()'], {})"
    )
    code = LISTENING.replace("sys.stdin.read()", f"listening.set_inheritable(True); input()\n{handing_on}")
    with marked_by(traces.mark, code) as process:
        port = process.stdout.readline().strip()
        traces.look()
        process.stdin.write("\n")
        process.stdin.flush()
        assert wait_for(lambda: traces.left_behind() == [f"port {port}"], 10)
        process.communicate("\n")
    assert traces.left_behind() == []


def test_shared_memory_is_seen(traces):
    path = Path("/dev/shm") / f"faults-{uuid4().hex}"  # noqa: S108
    path.touch()
    try:
        assert traces.left_behind() == [str(path)]
        with path.open():
            assert traces.left_behind() == [], "a segment that another process has open is that process's"
    finally:
        path.unlink()
    assert traces.left_behind() == []


def test_a_temporary_folder_is_seen(traces, tmp_path):
    with tempfile.TemporaryDirectory(prefix="backtune-", dir="/tmp") as folder:
        assert traces.left_behind() == [folder]
    with tempfile.NamedTemporaryFile(dir=tmp_path / "own") as file:
        assert traces.left_behind() == [file.name]
    assert traces.left_behind() == []


class TestUnharmed:
    """What the check of a sweep's invariants refuses."""

    @pytest.fixture
    def sweep(self, disturbed):
        sweep = disturbed()
        run_sweep(SweepSpec.load(sweep.spec), sweep.runs, INLINE)
        return sweep

    @pytest.fixture
    def segment(self, sweep) -> Path:
        return next(sweep.runs.rglob("*.parquet"))

    def test_an_undisturbed_sweep_is_unharmed(self, sweep, expected):
        assert_unharmed(sweep, expected)

    def test_a_lost_trial(self, sweep, expected, segment):
        rows = pl.read_parquet(segment)
        segment.unlink()
        write_segment(segment.parent, rows.head(len(rows) - 1))
        with pytest.raises(AssertionError, match=r"lost: .*\[249\]"):
            assert_unharmed(sweep, expected)

    def test_a_doubled_trial(self, sweep, expected, segment):
        write_segment(segment.parent, pl.read_parquet(segment).slice(10, 2))
        with pytest.raises(AssertionError, match=r"doubled: .*\[10, 11\]"):
            assert_unharmed(sweep, expected)

    def test_another_value(self, sweep, expected, segment):
        pl.read_parquet(segment).with_columns(pl.col("values_0").shift(1)).write_parquet(segment)
        with pytest.raises(AssertionError, match="differs"):
            assert_unharmed(sweep, expected)

    def test_a_finished_trial_that_was_run_again(self, sweep, expected, segment):
        key, n_bars = sorted(sweep.snapshot()[1])[0], 2535
        sweep.logged.append(sweep.snapshot())
        moment = sweep.logged[-1][0] + 1
        (sweep.folder / "journal" / "1").write_text(
            " ".join([str(moment), "1", *key[:2], str(n_bars), *key[2:]])
        )
        with pytest.raises(AssertionError, match="finished trials were run again"):
            assert_unharmed(sweep, expected)

    def test_a_temporary_file(self, sweep, expected, segment):
        (segment.parent / ".abc.part").touch()
        with pytest.raises(AssertionError, match="the runs folder has temporary files"):
            assert_unharmed(sweep, expected)

    def test_a_process(self, sweep, expected):
        with marked_by(sweep.mark, "import sys; sys.stdin.read()") as process:
            with pytest.raises(AssertionError, match=f"process {process.pid}"):
                assert_unharmed(sweep, expected, settle_seconds=0.2)
            process.communicate()
