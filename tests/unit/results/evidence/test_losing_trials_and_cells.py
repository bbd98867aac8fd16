"""Trials and cells that lose take nothing from a winner but what their number explains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from block_moments import blocks_of
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_sweeps import minimal_spec, stored_study

from backtune.data.calendar import Annualisation
from backtune.results.evidence.evidence import Evidence, WinnerSetting
from backtune.results.evidence.family import SIGNIFICANCE_LEVEL, RowTest, compare_tests
from backtune.results.evidence.search_evidence import SearchEvidence
from backtune.results.evidence.trial_count import SearchTrialCount
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.log.segments import TrialLog
from backtune.results.log.summary import StudySummary, Winner
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.trial import Trial
from backtune.simulation.metrics import METRICS
from backtune.space import Float, Space
from backtune.validation.deflated_sharpe import (
    ReturnShape,
    TrialCount,
    compute_deflated_sharpe,
    compute_luck_level,
)
from backtune.validation.multiple_tests import compute_haircut_sharpe, compute_sharpe_p_value

LINE = Space(x=Float(0.0, 1.0))
METRICS_OF_WINNER = {
    **dict.fromkeys(METRICS),
    "total_trades": 40.0,
    "sharpe_ratio": 1.0,
    "total_return": 0.1,
}
# Four errors above zero over 1,600 bars.
SHAPE = ReturnShape(1600, 0.1, 0.0, 3.0)
WINNER = Winner(0, {"x": 0.5}, (1.0,), METRICS_OF_WINNER, METRICS_OF_WINNER, is_shape=SHAPE)
DAYS = Annualisation("auto", bars_per_year=250.0, shown=250.0, stated=None)
N_BARS = 320
NOISE = 0.01 * np.random.default_rng(8).standard_normal((60, N_BARS))


def losing_returns(n: int, loss: float, spread: float, seed: int) -> np.ndarray:
    """Make (n, 320) returns of trials that lose ``loss`` a bar and whose losses differ by ``spread``."""
    random = np.random.default_rng(seed)
    losses = loss + spread * random.random((n, 1))
    return 0.01 * random.standard_normal((n, N_BARS)) - losses


def evidence_of(returns: np.ndarray, sampler: str) -> tuple[Evidence, int]:
    """Return what is said of the winner of trials with (n, 320) returns, and the number of distinct trials."""
    tried = TrialCount.of(blocks_of(returns))
    assert tried is not None
    return Evidence.of(
        WINNER, SearchEvidence(len(returns), SearchTrialCount(tried)), WinnerSetting(sampler, 250.0, None)
    ), tried.n_trials


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@given(
    n=st.integers(1, 200), loss=st.floats(0.001, 0.05), spread=st.floats(0.0, 0.2), seed=st.integers(0, 99)
)
def test_losing_trials_cost_no_more_than_so_many_independent_ones(sampler, n, loss, spread, seed):
    before, n_before = evidence_of(NOISE, sampler)
    after, n_after = evidence_of(np.vstack([NOISE, losing_returns(n, loss, spread, seed)]), sampler)
    assert n_after == n_before + n
    assert after.n_independent <= n_after
    # Neither how much they lose nor how their losses differ enters: only their number does.
    assert after.dsr == compute_deflated_sharpe(SHAPE, after.n_independent).probability
    assert after.dsr_level == compute_luck_level(after.n_independent, SIGNIFICANCE_LEVEL)
    assert compute_deflated_sharpe(SHAPE, n_after).probability <= after.dsr <= before.dsr + 1e-12


def shapes(least: float, most: float) -> st.SearchStrategy[ReturnShape]:
    """Return shapes of returns with a ratio between these."""
    return st.builds(
        ReturnShape,
        st.sampled_from([300, 5000]),
        st.floats(least, most),
        st.floats(-1.0, 1.0),
        st.floats(3.0, 20.0),
    )


# Each example sums two distributions of a maximum.
@settings(max_examples=25)
@given(st.lists(shapes(0.0, 0.3), min_size=1, max_size=10), st.lists(shapes(-0.3, 0.0), max_size=30))
def test_losing_cells_cost_no_more_than_so_many_tests(winning, losing):
    m, n = len(winning), len(losing)
    tests = [RowTest(shape, 250.0) for shape in winning]
    alone = compare_tests(tests)
    beside = compare_tests([*tests, *(RowTest(shape, 250.0) for shape in losing), None])
    p_values = [compute_sharpe_p_value(shape) for shape in winning]
    for k, shape in enumerate(winning):
        bound = max(min(1.0, (m + n) * p) for p in p_values if p <= p_values[k])
        assert alone[k].p - 1e-12 <= beside[k].p <= bound + 1e-12
        least = compute_haircut_sharpe(bound, shape.n_returns, 250.0)
        assert least - 1e-9 <= beside[k].haircut_sharpe_ratio <= alone[k].haircut_sharpe_ratio + 1e-9
    assert all(result.p >= 0.5 for result in beside[m:-1])


def study(name: str) -> StoredStudy:
    return stored_study(name, asset=name, budget=9, space=LINE.to_json())


def run_of(tmp_path, winners: dict[str, Winner], returns: np.ndarray, sampler: str) -> StoredSweep:
    """Make a finished sweep with one study for each winner; the trials of all have these returns."""
    spec = minimal_spec(search={"sampler": sampler})
    run = StoredSweep(tmp_path, "sweep", "name", spec, tuple(map(study, winners)), "1")
    trials = [
        Trial(k, {"x": k / 999}, "complete", "", (1.0 if k == 0 else 0.0,), METRICS_OF_WINNER, blocks, 0.0)
        for k, blocks in enumerate(blocks_of(returns))
    ]
    for name, winner in winners.items():
        TrialLog(run.study_folder(name), LINE, 1).append(trials)
        summary = StudySummary("complete", n_trials=len(trials), winners=(winner,), annualisation=DAYS)
        summary.write(run.study_folder(name))
    return run


@pytest.mark.parametrize(("sampler", "n_independent"), [("tpe", 360.0), ("random", 355.0)])
def test_losing_trials_of_a_sweep_leave_the_winner_its_place_and_its_evidence(
    tmp_path, sampler, n_independent
):
    many = np.vstack([NOISE, losing_returns(300, 0.005, 0.2, seed=1)])
    before, after = (
        build_leaderboard(run_of(tmp_path / name, {"A": WINNER}, returns, sampler))[0].evidence
        for name, returns in (("few", NOISE), ("many", many))
    )
    assert after.n_independent == pytest.approx(n_independent, abs=5.0)
    # The best of 60 trials by luck is 2.3 errors above zero, that of 360 is 2.9; the winner is 4.0.
    assert (before.dsr, after.dsr) == (pytest.approx(0.952, abs=0.01), pytest.approx(0.86, abs=0.01))
    assert after.dsr > after.dsr_level


def test_losing_cells_of_a_sweep_leave_the_first_row_its_place_and_its_test(tmp_path):
    good = replace(WINNER, oos_shape=SHAPE)
    bad = replace(WINNER, values=(0.5,), oos_shape=replace(SHAPE, sharpe=-0.05))
    found = {}
    for n in (0, 1, 9, 35):
        run = run_of(tmp_path / str(n), {"A": good, **{f"B{k}": bad for k in range(n)}}, NOISE[:2], "random")
        rows = build_leaderboard(run)
        assert rows[0].asset == "A"
        found[n] = rows[0].evidence.family.p
    p = compute_sharpe_p_value(SHAPE)
    assert p == pytest.approx(3.37e-5, rel=0.05)
    assert found == {n: pytest.approx((n + 1) * p) for n in found}
