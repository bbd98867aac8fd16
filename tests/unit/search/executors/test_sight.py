"""What a node sees, beside what the driver sees."""

from dataclasses import replace
from pathlib import Path

import pytest

from backtune.data.synthetic import make_market
from backtune.results.stored_sweep import StoredSweep
from backtune.search.executors.sight import Sight
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
def sight(spec, run) -> Sight:
    return Sight.of(spec, run)


def test_the_driver_sees_what_it_sees_and_leaves_nothing(sight, run):
    assert sight.problems() == []
    assert [path.name for path in run.folder.iterdir()] == ["sweep.json"]


def test_a_data_root_that_is_not_there(sight, spec):
    root = Path(spec.data.root)
    root.rename(root.with_name("elsewhere"))
    assert sight.problems() == [f"data root {root}: no manifest.json there"]


def test_a_data_root_with_other_data(sight, spec):
    make_market(spec.data.root, assets=["BBB"], timeframe="1h", start="2021-01-01", end="2021-02-01", seed=1)
    assert sight.problems() == [
        f"data root {spec.data.root}: its manifest.json is not the one that the driver sees"
    ]


def test_a_runs_folder_that_is_not_there(sight, run):
    run.folder.parent.rename(run.folder.parent.with_name("elsewhere"))
    assert sight.problems() == [f"runs folder {run.folder.parent}: no {run.sweep_id}/sweep.json there"]


def test_a_runs_folder_with_another_sweep_of_this_name(sight, run):
    replace(run, version="0.9").write()
    told = (
        f"runs folder {run.folder.parent}: its {run.sweep_id}/sweep.json is not the one that the driver sees"
    )
    assert sight.problems() == [told]


def test_a_runs_folder_that_cannot_be_written(sight, run, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    (problem,) = sight.problems()
    assert problem.startswith(f"runs folder {run.folder.parent}: ")
    assert problem.endswith("cannot be written: Permission denied")


def test_other_code(sight):
    (problem,) = replace(sight, code="another", version="9.9").problems()
    assert problem.startswith("backtune ")
    assert problem.endswith("there is not the driver's 9.9, or another numpy or numba is")


def test_all_problems_are_told(sight, spec, run):
    for folder in (Path(spec.data.root), run.folder.parent):
        folder.rename(folder.with_name(f"{folder.name}-away"))
    assert len(replace(sight, code="another").problems()) == 3


def test_what_was_seen_is_not_looked_at_again(sight, spec):
    assert sight.problems() == []
    Path(spec.data.root).rename(Path(spec.data.root).with_name("elsewhere"))
    assert sight.problems() == []
