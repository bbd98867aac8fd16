"""The same sweep on Ray Tune: equal rows whatever the workers, and nothing left behind."""

from uuid import uuid4

import pytest
from sweeps import assert_same_rows, backtune_process, parsed, rows_of, spec_document, wait_for, written

from backtune.results.stored_sweep import StoredSweep
from backtune.sweep import Options, run_sweep
from faults.traces import Traces

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory):
    """One private Ray for the tests of this module that run in this process."""
    from backtune.search.executors.ray_tune import RayTarget, connect_to_ray

    # The token that this sets stays for the process: Ray reads it once.
    with connect_to_ray(RayTarget(workers=2)) as connection:
        yield connection


def test_rows_equal_those_of_the_inline_executor(ray_address, market, tmp_path, undisturbed_rows):
    result = run_sweep(parsed(market), tmp_path, Options(tracking=False))
    assert result.exit_status == 0
    assert_same_rows(rows_of(result.run), undisturbed_rows)


@pytest.mark.slow
def test_a_dying_worker_is_tried_again_and_loses_nothing(ray_address, market, tmp_path):
    """The strategy kills its own process once, in the middle of the study."""
    file = tmp_path / "deadly.py"
    file.write_text(DEADLY.format(mark=tmp_path / "died"))
    grid = {"strategies": [{"file": str(file), "class": "Deadly"}, "RSIStrategy"], "assets": ["AAA"]}
    spec = parsed(market, grid=grid)
    on_ray = run_sweep(spec, tmp_path / "ray", Options(tracking=False))
    assert (tmp_path / "died").exists()
    assert on_ray.exit_status == 0
    inline = run_sweep(spec, tmp_path / "inline", Options(executor="inline", tracking=False))
    assert_same_rows(rows_of(on_ray.run), rows_of(inline.run))


@pytest.mark.slow
def test_a_study_of_deadly_candidates_is_given_up_and_the_rest_finishes(ray_address, market, tmp_path):
    file = tmp_path / "deadly.py"
    file.write_text(DEADLY.format(mark="/nonexistent/never"))
    grid = {"strategies": [{"file": str(file), "class": "Deadly"}, "RSIStrategy"], "assets": ["AAA"]}
    result = run_sweep(
        parsed(market, grid=grid, compute={"unit_seconds": 0.1, "max_failures": 1}),
        tmp_path / "runs",
        Options(tracking=False),
    )
    assert result.exit_status == 1
    assert [name.split("-")[0] for name in result.failures()] == ["Deadly"]
    deadly, healthy = (result.trials(study.id) for study in result.run.studies)
    assert healthy.height == 40
    died = deadly.filter(deadly["state"] == "failed")
    assert died["reason"].unique().to_list() == ["its worker died whenever it was evaluated"]
    assert died.height == 5
    assert died["params_level"].min() > 0.5
    assert deadly.filter(deadly["state"] != "failed")["params_level"].max() <= 0.5
    assert "6 candidates ended their workers" in next(iter(result.failures().values()))


DEADLY = """
import os
import signal
from pathlib import Path
from uuid import uuid4

import numpy as np
from backtune import BaseStrategy, Float, Space


class Deadly(BaseStrategy):
    name = "Deadly"

    @classmethod
    def space(cls):
        return Space(level=Float(0.0, 1.0))

    def positions(self, bars):
        mark = Path("{mark}")
        if self.level > 0.5 and not mark.exists():
            if mark.parent.exists():
                mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.where(bars.close > bars.open * (1 + self.level / 100), 1.0, 0.0)
"""


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_the_command_line_leaves_nothing_behind(market, tmp_path, undisturbed_rows, workers):
    home = tmp_path / "home"
    home.mkdir()
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    traces = Traces(uuid4().hex)
    result = backtune_process(
        "run",
        spec,
        "--workers",
        workers,
        "--no-tracking",
        "--json",
        "--runs",
        "runs",
        cwd=tmp_path,
        HOME=str(home),
        **traces.environment,
    )
    assert result.returncode == 0, result.stderr
    run = StoredSweep.open(next((tmp_path / "runs").iterdir()))
    assert_same_rows(rows_of(run), undisturbed_rows)
    assert list(home.iterdir()) == [], "something was written to the home directory"
    assert wait_for(lambda: not traces.left_behind(), 60), traces.left_behind()
