"""Estimates of the work that is left of a sweep, from given prices."""

import polars as pl
import pytest
from sweeps import parsed

from backtune.data.synthetic import make_market
from backtune.results.log.segments import build_log_schema, write_segment
from backtune.results.log.summary import StudySummary
from backtune.search.planning.cost import ComputePrices, LinearTime
from backtune.search.planning.estimate import estimate_seconds_left, estimate_sweep
from backtune.search.planning.plan import describe_sweep, plan_studies

NAMES = ("MovingAverageCrossover", "RSIStrategy")
# 10 and 20 ms a candidate, and nothing for the sampler or for reading.
PRICES = ComputePrices(
    evaluation={name: LinearTime(0.01 * i, 0.0) for i, name in enumerate(NAMES, start=1)},
    suggestion=dict.fromkeys(NAMES, LinearTime(0.0, 0.0)),
    loading=0.0,
)
EVALUATION = 40 * (2 * 0.01 + 2 * 0.02)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    root = tmp_path_factory.mktemp("estimate")
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="1h", start="2021-01-01", end="2021-03-02", seed=1
    )
    return root


def planned(market, runs, **changes):
    spec = parsed(market, **changes)
    studies = plan_studies(spec)
    return spec, studies, describe_sweep(spec, runs, studies, version="1")


def log_trials(run, study, n, *, summary=None):
    """A log of ``n`` trials, of which only the numbers count here."""
    columns = build_log_schema(study.space, 1)
    frame = pl.DataFrame({"number": range(n)}, schema={"number": pl.Int64}).with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in columns.items() if name != "number"
    )
    write_segment(run.study_folder(study.id), frame)
    if summary is not None:
        StudySummary(state=summary, reason="", n_trials=n).write(run.study_folder(study.id))


def test_a_fresh_sweep(market, tmp_path):
    spec, studies, run = planned(market, tmp_path)
    found = estimate_sweep(spec, run, studies, PRICES, 2)
    assert (found.n_studies, found.n_open, found.n_candidates, found.n_logged, found.n_left) == (
        4,
        4,
        160,
        0,
        160,
    )
    assert [(s.strategy, s.timeframe, s.n_studies, s.cost.n_left) for s in found.shares] == [
        (NAMES[0], "1h", 2, 80),
        (NAMES[1], "1h", 2, 80),
    ]
    assert sum(share.cost.evaluation_seconds for share in found.shares) == pytest.approx(EVALUATION)
    assert found.core_seconds == pytest.approx(EVALUATION, rel=0.05)
    assert sum(found.unit_seconds) == pytest.approx(found.core_seconds)
    assert (
        found.core_seconds / 2 <= found.wall_seconds <= found.core_seconds / 2 + found.unit_seconds[0] + 0.4
    )
    assert not any(tmp_path.iterdir())


def test_trials_in_the_log_are_not_planned_again(market, tmp_path):
    spec, studies, run = planned(market, tmp_path)
    log_trials(run, studies[0], 40, summary="complete")
    log_trials(run, studies[1], 10, summary="partial")
    log_trials(run, studies[2], 40, summary="failed")
    found = estimate_sweep(spec, run, studies, PRICES, 2)
    assert (found.n_open, found.n_logged, found.n_left) == (3, 90, 70)
    left = estimate_seconds_left(studies, run.folder / "studies", PRICES)
    assert [left[study.id] for study in studies] == pytest.approx([0.0, 0.3, 0.0, 0.8], abs=0.02)


def test_a_larger_budget_is_planned_for_what_is_missing(market, tmp_path):
    _, studies, run = planned(market, tmp_path)
    for study in studies:
        log_trials(run, study, 40, summary="complete")
    spec, more, same_run = planned(market, tmp_path, search={"trials": 100})
    found = estimate_sweep(spec, same_run, more, PRICES, 2)
    assert (found.n_open, found.n_candidates, found.n_logged, found.n_left) == (4, 400, 160, 240)
    spec, less, same_run = planned(market, tmp_path, search={"trials": 10})
    found = estimate_sweep(spec, same_run, less, PRICES, 2)
    assert (found.n_open, found.n_logged, found.n_left, found.unit_seconds) == (0, 40, 0, ())
    assert (found.wall_seconds, found.core_seconds) == (0.0, 0.0)


def test_trials_of_another_sweep_in_the_runs_folder_count(market, tmp_path):
    _, studies, run = planned(market, tmp_path, name="another")
    log_trials(run, studies[0], 30)
    spec, same, own_run = planned(market, tmp_path)
    assert own_run.folder != run.folder
    assert estimate_sweep(spec, own_run, same, PRICES, 2).n_logged == 30
    (tmp_path / "elsewhere").mkdir()
    spec, same, far_run = planned(market, tmp_path / "elsewhere")
    assert estimate_sweep(spec, far_run, same, PRICES, 2).n_logged == 0


@pytest.mark.parametrize(
    ("n_cpus", "per_unit", "slots"), [(2, 1, 2), (2, 2, 1), (2, 4, 1), (3, 2, 1), (2, 0.5, 4)]
)
def test_units_that_take_several_cpus(market, tmp_path, n_cpus, per_unit, slots):
    spec, studies, run = planned(market, tmp_path, compute={"cpus_per_unit": per_unit})
    found = estimate_sweep(spec, run, studies, PRICES, n_cpus)
    assert found.slots == slots
    assert found.core_seconds == pytest.approx(EVALUATION * per_unit, rel=0.05)


def test_a_worker_reads_bars_once(market, tmp_path):
    spec, studies, run = planned(market, tmp_path, compute={"unit_seconds": 0.1})
    days = 60
    reading = ComputePrices(PRICES.evaluation, PRICES.suggestion, loading=0.5 / (days * 86_400))
    alone = estimate_sweep(spec, run, studies, reading, 1)
    assert len(alone.unit_seconds) == 4
    assert alone.loading_seconds == pytest.approx(2 * 0.5, rel=0.02)
    assert alone.wall_seconds == pytest.approx(EVALUATION + 2 * 0.5 + 4 * 0.1, rel=0.05)
    each = estimate_sweep(spec, run, studies, reading, 4)
    assert each.loading_seconds == pytest.approx(4 * 0.5, rel=0.02)
