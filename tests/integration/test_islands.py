"""Islands: several searches of one study that exchange their best, with rows that no timing can change."""

import pytest
from sweeps import INLINE, assert_same_rows, parsed, rows_of

from backtune.errors import SpecError
from backtune.results.log.segments import TrialLog, read_log
from backtune.search.executors.queue import UnitQueue
from backtune.search.executors.unit import UnitContext, run_unit
from backtune.search.planning.plan import plan_studies
from backtune.sweep import Options, run_sweep

GRID = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}


def with_islands(market, trials=900, islands=3, **search):
    return parsed(market, grid=GRID, search={"trials": trials, "islands": islands, **search})


@pytest.fixture(scope="module")
def together(market, tmp_path_factory):
    """All islands in turns in one process."""
    return run_sweep(with_islands(market), tmp_path_factory.mktemp("together"), INLINE)


def test_islands_share_the_budget_and_differ(together):
    rows = rows_of(together.run)
    assert [log.height for log in rows.values()] == [300, 300, 300]
    assert len({log["params_period"][:40].to_list().__repr__() for log in rows.values()}) == 3


def test_the_leaderboard_has_one_row_for_all_of_them(together):
    (row,) = together.rows()
    assert row.n_trials == 900
    best = max(
        log.filter(log["state"] == "complete")["values_0"].max() for log in rows_of(together.run).values()
    )
    assert row.values == (best,)


def test_each_takes_in_the_best_of_the_others_one_round_later(together):
    first, *others = [
        TrialLog(together.run.study_folder(s.id), s.parse_space(), 1).read() for s in together.run.studies
    ]
    best = max((t for log in others for t in log[:96] if t.state == "complete"), key=lambda t: t.values[0])
    assert first[192].params == best.params


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_rows_are_equal_when_islands_wait_for_each_other(market, tmp_path, together, order, monkeypatch):
    """One worker, one island at a time, parked whenever it waits."""
    monkeypatch.setattr("backtune.search.executors.unit._PATIENCE_SECONDS", 0.0)
    studies = plan_studies(with_islands(market))
    queue = UnitQueue([[studies[k]] for k in order], 0)
    context = UnitContext(tmp_path, lambda: False)
    n_parked = 0
    while not queue.is_finished:
        part = queue.take()
        parked = not run_unit(queue.studies(part), context)
        n_parked += parked
        queue.mark_done(part, is_parked=parked)
    assert n_parked > 0
    expected = rows_of(together.run)
    assert_same_rows({s.id: read_log(tmp_path / s.id).drop("duration_seconds") for s in studies}, expected)


@pytest.mark.slow
@pytest.mark.ray
def test_rows_are_equal_on_ray(market, tmp_path, together):
    result = run_sweep(with_islands(market), tmp_path, Options(workers=2, tracking=False))
    assert result.exit_status == 0
    assert_same_rows(rows_of(result.run), rows_of(together.run))


def test_a_larger_budget_goes_on(market, tmp_path, together):
    run_sweep(with_islands(market, trials=500), tmp_path, INLINE)
    result = run_sweep(with_islands(market), tmp_path, INLINE)
    assert_same_rows(rows_of(result.run), rows_of(together.run))


@pytest.mark.parametrize("sampler", ["cma-es", "nsga2", "random"])
def test_every_sampler_takes_migrants(market, tmp_path, sampler):
    result = run_sweep(with_islands(market, trials=620, islands=2, sampler=sampler), tmp_path, INLINE)
    assert [log.height for log in rows_of(result.run).values()] == [310, 310]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"islands": 0}, "islands"),
        ({"islands": 3, "sampler": "grid"}, "a grid has no seed"),
        ({"islands": 30, "trials": 20}, "30 islands share 20 trials"),
    ],
)
def test_impossible_islands_are_refused(market, search, message):
    with pytest.raises(SpecError, match=message):
        parsed(market, search=search)
