"""The specs in jobs/ run, each as what it is for, with a small budget on a small market."""

from pathlib import Path

import pytest
from sweeps import INLINE

from backtune.data.synthetic import make_market
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep

JOBS = Path(__file__).parents[2] / "jobs"
SPECS = {
    "crypto": 1, "custom-strategy": 2, "demo": 1, "islands": 1, "multi-objective": 1, "overnight": 1, "walk-forward": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def any_market(tmp_path_factory):
    """One asset, a year of quarter hours."""
    root = tmp_path_factory.mktemp("any-market")
    make_market(str(root), assets=["ANY"], timeframe="15m", start="2019-01-01", end="2020-01-01", seed=11)
    return root


def test_every_spec_is_run_below():
    assert sorted(path.stem for path in JOBS.glob("*.yaml")) == sorted(SPECS)


@pytest.mark.parametrize(("name", "n_strategies"), SPECS.items())
def test_a_job_runs_as_what_it_is_for(name, n_strategies, any_market, tmp_path):
    spec = SweepSpec.load(JOBS / f"{name}.yaml")
    small = spec.model_copy(
        update={
            "data": spec.data.model_copy(update={"root": str(any_market), "start": None, "end": None}),
            "grid": spec.grid.model_copy(
                update={
                    "strategies": spec.grid.strategies[:n_strategies],
                    "assets": ("ANY",),
                    "timeframes": ("4h",),
                }
            ),
            "search": spec.search.model_copy(update={"trials": 16}),
        }
    )
    result = run_sweep(small, tmp_path / "runs", INLINE)
    assert result.exit_status == 0
    trials = result.trials()
    assert set(trials["state"]) <= {"complete", "infeasible"}
    assert len(result.leaderboard()) >= 1
    if name == "multi-objective":
        assert {"annual_return", "max_drawdown"} <= set(trials.columns)
    if name == "custom-strategy":
        assert trials["params_exit_period"].drop_nulls().max() <= 60


def test_entry_scripts_are_short():
    for script in JOBS.rglob("*.py"):
        if script.name not in ("channel.py", "weekly.py"):
            lines = [line for line in script.read_text().splitlines() if line.strip()]
            assert len(lines) <= 20, script.name
