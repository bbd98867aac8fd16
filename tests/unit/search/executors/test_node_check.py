"""The check of a node against the driver."""

from dataclasses import replace
from pathlib import Path

import pytest

from backtune.data.synthetic import make_market
from backtune.results.stored_sweep import StoredSweep
from backtune.search.executors.node_check import NodeCheck
from backtune.spec import SweepSpec

SPEC = {"name": "seen", "grid": {"strategies": ["RSIStrategy"], "assets": ["AAA"], "timeframes": ["1h"]}}


@pytest.fixture
def spec(tmp_path) -> SweepSpec:
    make_market(
        str(tmp_path / "market"), assets=["AAA"], timeframe="1h", start="2021-01-01", end="2021-02-01", seed=1
    )
    return SweepSpec.parse({**SPEC, "data": {"root": str(tmp_path / "market")}})


@pytest.fixture
def run(tmp_path, spec) -> StoredSweep:
    run = StoredSweep(tmp_path / "runs" / spec.id, spec.id, spec.name, spec, (), "1.0")
    run.write()
    return run


@pytest.fixture
def check(spec, run) -> NodeCheck:
    return NodeCheck.from_driver(spec, run)


def test_the_driver_itself_passes_and_nothing_is_left(check, run):
    assert check.find_differences() == []
    assert [path.name for path in run.folder.iterdir()] == ["sweep.json"]


def test_a_data_root_that_is_not_there(check, spec):
    root = Path(spec.data.root)
    root.rename(root.with_name("elsewhere"))
    assert check.find_differences() == [f"data root {root}: no manifest.json there"]


def test_a_data_root_with_other_data(check, spec):
    make_market(spec.data.root, assets=["BBB"], timeframe="1h", start="2021-01-01", end="2021-02-01", seed=1)
    assert check.find_differences() == [
        f"data root {spec.data.root}: its manifest.json is not the one that the driver sees"
    ]


def test_a_runs_folder_that_is_not_there(check, run):
    run.folder.parent.rename(run.folder.parent.with_name("elsewhere"))
    assert check.find_differences() == [
        f"runs folder {run.folder.parent}: no {run.sweep_id}/sweep.json there"
    ]


def test_a_runs_folder_with_another_sweep_of_this_name(check, run):
    replace(run, version="0.9").write()
    difference = (
        f"runs folder {run.folder.parent}: its {run.sweep_id}/sweep.json is not the one that the driver sees"
    )
    assert check.find_differences() == [difference]


def test_a_runs_folder_that_cannot_be_written(check, run, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    (difference,) = check.find_differences()
    assert difference.startswith(f"runs folder {run.folder.parent}: ")
    assert difference.endswith("cannot be written: Permission denied")


def test_other_code(check):
    (difference,) = replace(check, code="another", version="9.9").find_differences()
    assert difference.startswith("backtune ")
    assert difference.endswith("there is not the driver's 9.9, or another numpy or numba is")


def test_all_differences_are_found(check, spec, run):
    for folder in (Path(spec.data.root), run.folder.parent):
        folder.rename(folder.with_name(f"{folder.name}-away"))
    assert len(replace(check, code="another").find_differences()) == 3


def test_a_node_that_passed_is_not_checked_again(check, spec):
    assert check.find_differences() == []
    Path(spec.data.root).rename(Path(spec.data.root).with_name("elsewhere"))
    assert check.find_differences() == []
