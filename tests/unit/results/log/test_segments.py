"""The trial log: whole or not at all, one row of each number."""

import numpy as np
import polars as pl
import pytest

from backtune.errors import ResultsError
from backtune.results.log.segments import TrialLog, count_trials, read_log
from backtune.results.trial import Trial
from backtune.simulation.metrics import METRICS
from backtune.space import Choice, Float, Int, Space

SPACE = Space(
    period=Int(1, 9),
    level=Float(0.0, 1.0),
    kind=Choice(("a", "b")),
    mixed=Choice((1, 1.0, True, "1")),
    flag=Choice((True, False)),
)


def trial(number: int, **changes) -> Trial:
    fields = {
        "number": number,
        "params": {
            "period": 3,
            "level": 0.1 + 0.2,
            "kind": "b",
            "mixed": [1, 1.0, True, "1"][number % 4],
            "flag": True,
        },
        "state": "complete",
        "reason": "",
        "values": (0.1 * number, -1.0),
        "metrics": {name: None if i % 3 else i / 7 for i, name in enumerate(METRICS)},
        "blocks": np.arange(48, dtype=float).reshape(16, 3) + number,
        "duration_seconds": 0.25,
    }
    return Trial(**{**fields, **changes})


@pytest.fixture
def log(tmp_path) -> TrialLog:
    return TrialLog(tmp_path / "study", SPACE, 2)


def same(one: Trial, other: Trial) -> bool:
    types = [type(v) for v in one.params.values()] == [type(v) for v in other.params.values()]
    plain = [
        [value for name, value in zip(Trial._fields, each, strict=True) if name != "blocks"]
        for each in (one, other)
    ]
    return types and plain[0] == plain[1] and np.array_equal(one.blocks, other.blocks)


def test_what_is_written_is_read_to_the_last_bit_and_type(log):
    written = [trial(0), trial(1), trial(2, state="failed", reason="x", values=None), trial(3)]
    log.append(written)
    assert all(same(a, b) for a, b in zip(written, log.read(), strict=True))


def test_rungs_are_read_back_and_cost_no_column_where_there_are_none(log, tmp_path):
    rungs = TrialLog(tmp_path / "rungs", SPACE, 2, n_rungs=2)
    stopped = {"state": "infeasible", "reason": "stopped early", "values": None}
    written = [
        trial(0, rungs=((0.1, 1.0), (0.2, 2.0))),
        trial(1, rungs=((0.3, 3.0), None), **stopped),
        trial(2, rungs=(None, (0.4, 4.0)), **stopped),
        trial(3, rungs=(None, None), state="failed", values=None),
    ]
    rungs.append(written)
    read = rungs.read()
    assert all(same(a, b) for a, b in zip(written, read, strict=True))
    assert [one.is_stopped for one in read] == [False, True, True, False]
    columns = set(read_log(tmp_path / "rungs").columns)
    log.append([trial(0)])
    assert columns - set(read_log(tmp_path / "study").columns) == {
        f"rung_{k}_values_{i}" for k in range(2) for i in range(2)
    }
    with pytest.raises(ResultsError, match="not those of this study"):
        TrialLog(tmp_path / "study", SPACE, 2, n_rungs=1).read()


def test_an_empty_folder_and_a_missing_one(log, tmp_path):
    assert log.read() == []
    assert read_log(tmp_path) is None
    assert count_trials(tmp_path / "missing") == 0


def test_overlapping_segments_keep_one_row_of_each_number(log, tmp_path):
    log.append([trial(0), trial(1)])
    log.append([trial(n) for n in range(2, 6)])
    log.append([trial(n) for n in range(2, 4)])
    log.append([trial(n) for n in range(4, 9)])
    assert [t.number for t in log.read()] == list(range(9))
    assert count_trials(tmp_path / "study") == 9


def test_merging_leaves_one_segment_and_the_same_rows(log, tmp_path):
    for n in range(5):
        log.append([trial(n)])
    before = read_log(tmp_path / "study")
    log.merge()
    log.merge()
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["000000-000004.parquet"]
    assert read_log(tmp_path / "study").equals(before)


def test_a_crash_between_merging_and_deleting_doubles_nothing(log, tmp_path):
    for n in range(3):
        log.append([trial(n)])
    pieces = {path.name: path.read_bytes() for path in (tmp_path / "study").iterdir()}
    log.merge()
    for name, content in pieces.items():
        (tmp_path / "study" / name).write_bytes(content)
    assert [t.number for t in log.read()] == [0, 1, 2]


def test_missing_trials_are_an_error_that_names_the_first(log):
    log.append([trial(0)])
    log.append([trial(3)])
    with pytest.raises(ResultsError, match="trial 1 is missing"):
        log.read()


def test_an_unreadable_segment_is_named_with_the_way_out(log, tmp_path):
    log.append([trial(0)])
    path = tmp_path / "study" / "000000-000000.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ResultsError, match=r"000000-000000\.parquet: unreadable trials .* delete the file"):
        log.read()


def test_a_log_of_another_study_is_refused(log, tmp_path):
    log.append([trial(0)])
    other = TrialLog(tmp_path / "study", Space(period=Int(1, 9)), 2)
    with pytest.raises(ResultsError, match="not those of this study"):
        other.read()


def test_a_failed_write_leaves_what_was_there(log, tmp_path):
    log.append([trial(0)])
    (tmp_path / "study" / "000001-000001.parquet").mkdir()
    with pytest.raises(ResultsError, match="cannot be written"):
        log.append([trial(1)])
    (tmp_path / "study" / "000001-000001.parquet").rmdir()
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["000000-000000.parquet"]
    assert [t.number for t in log.read()] == [0]


def test_the_columns_are_plain_for_other_programs(log, tmp_path):
    log.append([trial(0)])
    frame = pl.read_parquet(tmp_path / "study" / "000000-000000.parquet")
    assert frame.columns[:10] == [
        "number", "state", "reason", "params_period", "params_level", "params_kind", "params_mixed", "params_flag",
        "values_0", "values_1",
    ]  # fmt: skip
    assert set(METRICS) < set(frame.columns)
    assert frame["block_sum"].dtype == pl.Array(pl.Float64, 16)
