"""``backtune plan``: what it says of a sweep, and how near that is."""

import json
import time

import pytest
from sweeps import INLINE, backtune, parsed, spec_document, written

from backtune.search.planning import calibration
from backtune.search.planning.calibration import calibrate
from backtune.search.planning.estimate import estimate_sweep
from backtune.search.planning.plan import describe_sweep, plan_studies
from backtune.sweep import run_sweep

SLOW = """
from backtune.space import Int, Space
from backtune.strategy.base import BaseStrategy
import numpy as np

class Slow(BaseStrategy):
    @classmethod
    def space(cls):
        return Space({"period": Int(2, 2000)})

    def positions(self, bars):
        side, last, out = 0.0, 0.0, np.zeros(len(bars))
        for i, close in enumerate(bars.close.tolist()):
            last += (close - last) / self.period
            out[i] = 1.0 if close > last else 0.0
        return out
"""


def planned(market, tmp_path, *arguments, **changes):
    spec = written(tmp_path / "spec.yaml", spec_document(market, **changes))
    done = backtune("plan", spec, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_plan_of_a_fresh_sweep(market, tmp_path):
    found = json.loads(planned(market, tmp_path, "--workers", "2", "--json"))
    assert (found["n_studies"], found["n_open"], found["n_candidates"], found["n_logged"]) == (4, 4, 160, 0)
    assert [(s["strategy"], s["timeframe"], s["n_studies"]) for s in found["shares"]] == [
        ("MovingAverageCrossover", "1h", 2),
        ("RSIStrategy", "1h", 2),
    ]
    assert 1 <= found["n_units"] <= 4
    assert 0 < found["longest_unit_seconds"] < found["wall_seconds"] < 60
    assert found["core_hours"] == pytest.approx(found["core_seconds"] / 3600)
    assert (found["guessed"], found["n_cpus"], found["slots"]) == ([], 2, 2)
    assert "cost" not in found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spec.yaml"]


def test_the_plan_for_people_fits_a_narrow_terminal(market, tmp_path):
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    out = backtune("plan", spec, cwd=tmp_path, COLUMNS="80").stdout
    assert out.startswith("small: 4 studies, tpe (rustuna ")
    rows = [line.split() for line in out.splitlines()]
    assert ["all", "4", "160"] in [row[:3] for row in rows]
    table = out.split("log ")[0].splitlines()
    assert max(len(line.rstrip()) for line in table) <= 80
    assert "0 of 160 candidates are in the log of" in out


def test_a_machine_is_called_as_the_user_calls_it(market, tmp_path):
    out = planned(market, tmp_path, "--price", "9", "--cpus", "4", "--machine", "[red]big[/red]")
    assert "1 x [red]big[/red] of 4 cpus at 9 an hour" in out


def test_the_cost_is_that_of_whole_machines(market, tmp_path):
    price = ("--price", "0.25", "--cpus", "4", "--machine", "m7i.xlarge")
    found = json.loads(planned(market, tmp_path, *price, "--workers", "10", "--json"))
    cost = found["cost"]
    assert (cost["machine"], cost["n_machines"], found["slots"]) == ("m7i.xlarge", 3, 10)
    assert cost["total"] == pytest.approx(3 * 0.25 * found["wall_seconds"] / 3600)
    assert json.loads(planned(market, tmp_path, *price, "--json"))["n_cpus"] == 4
    assert "less than 0.01 for 1 x m7i.xlarge of 4 cpus at 0.25 an hour" in planned(market, tmp_path, *price)


def test_a_finished_sweep_has_nothing_left_and_a_larger_budget_has_the_rest(market, undisturbed, tmp_path):
    runs = ("--runs", undisturbed.run.folder.parent)
    out = planned(market, tmp_path, *runs)
    assert "4 studies, 4 of them finished" in out
    assert "160 of 160 candidates are in the log" in out
    assert "nothing" in out
    found = json.loads(planned(market, tmp_path, *runs, "--json", search={"trials": 100}))
    assert (found["n_open"], found["n_logged"], found["n_left"]) == (4, 160, 240)


def test_a_time_budget_that_is_too_short_is_said(market, tmp_path):
    out = planned(market, tmp_path, search={"trials": 200_000}, compute={"time_budget": "1m"})
    assert "longer than the time budget of 60 s" in out


def test_a_strategy_that_cannot_be_timed_is_said(market, tmp_path):
    broken = SLOW.replace("side, last, out", "raise ValueError\n        side, last, out")
    (tmp_path / "slow.py").write_text(broken)
    grid = {"strategies": ["RSIStrategy", {"file": "slow.py", "class": "Slow"}]}
    assert "guessed Slow: could not be timed" in planned(market, tmp_path, grid=grid)


@pytest.mark.parametrize(
    ("changes", "arguments", "line"),
    [
        ({"serch": {}}, (), "serch: unknown key (did you mean 'search'?)"),
        ({"grid": {"strategies": ["RSIStrateg"]}}, (), "grid.strategies: 'RSIStrateg' is not a strategy"),
        ({"data": {"root": "/nonexistent"}}, (), "/nonexistent"),
        ({}, ("--price", "1"), "--price: a cost needs --cpus as well"),
        ({}, ("--cpus", "4"), "--cpus: a cost needs --price as well"),
        ({}, ("--price", "inf", "--cpus", "4"), "--price: inf is not an amount of money"),
        ({}, ("--machine", "big"), "--machine: a cost needs --price and --cpus as well"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(market, tmp_path, changes, arguments, line):
    spec = written(tmp_path / "spec.yaml", spec_document(market, **changes))
    done = backtune("plan", spec, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {line}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("backend", ["rustuna", pytest.param("optuna", marks=pytest.mark.slow)])
def test_the_estimate_is_within_a_factor_of_three(market, tmp_path, backend):
    (tmp_path / "slow.py").write_text(SLOW)
    slow = {"file": str(tmp_path / "slow.py"), "class": "Slow"}
    spec = parsed(
        market,
        grid={"strategies": ["MACDStrategy", "RSIStrategy", slow], "timeframes": ["15m", "1h"]},
        search={"trials": 100, "backend": backend},
    )
    studies = plan_studies(spec)

    def ratio(runs):
        """Of the measured time to the expected one, both measured now."""
        calibration._evaluations.clear()
        calibration._suggestions.clear()
        run = describe_sweep(spec, runs, studies, version="1")
        expected = estimate_sweep(spec, run, studies, calibrate(studies), 1)
        started = time.perf_counter()
        assert run_sweep(spec, runs, INLINE).exit_status == 0
        measured = time.perf_counter() - started
        again = estimate_sweep(spec, run, studies, calibrate(studies), 1)
        assert (again.n_open, again.wall_seconds) == (0, 0.0)
        return measured / expected.wall_seconds

    # The machine may be busier in one half of the measurement than in the other.
    ratios = (ratio(tmp_path / f"runs-{k}") for k in range(4))
    assert any(1 / 3 < one < 3 for one in ratios)
