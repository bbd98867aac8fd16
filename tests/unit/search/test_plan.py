"""Studies' ids, and how they are packed into units."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.data.synthetic import make_market
from backtune.errors import CatalogError
from backtune.search import identity
from backtune.search.plan import pack, studies_of
from sweeps import add_funding, parsed


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    root = tmp_path_factory.mktemp("plan")
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="1h", start="2020-12-01", end="2021-12-01", seed=1
    )
    return root


def ids(market, **changes):
    return {study.id for study in studies_of(parsed(market, **changes))}


@pytest.mark.parametrize(
    "changes",
    [
        {"search": {"trials": 999}},
        {"compute": {"unit_seconds": 99, "cpus_per_unit": 2, "time_budget": "2h"}},
        {"tracking": {"top_k": 3}},
        {"name": "another"},
        {"search": {"engine": "rustuna"}},
    ],
)
def test_what_changes_no_result_changes_no_id(market, changes):
    assert ids(market, **changes) == ids(market)


@pytest.mark.parametrize(
    "changes",
    [
        {"search": {"seed": 6}},
        {"search": {"sampler": "random"}},
        {"search": {"engine": "optuna"}},
        {"search": {"objectives": ["sortino_ratio"]}},
        {"search": {"constraints": {"total_trades": ">= 31"}}},
        {"execution": {"fee_bps": 11}},
        {"data": {"end": "2021-11-01"}},
        {"data": {"calendar": "sessions-252"}},
        {"validation": {"test_fraction": 0.2}},
        {"validation": {"method": "none"}},
        {
            "space": {"*": {"period": {"type": "int", "low": 5, "high": 9}}},
            "grid": {"strategies": ["RSIStrategy"]},
        },
    ],
)
def test_what_may_change_a_result_changes_every_id(market, changes):
    assert not ids(market, **changes) & ids(market)


def test_other_bars_change_the_ids_of_their_asset_alone(tmp_path):
    common = {"assets": ["AAA", "BBB"], "timeframe": "1h", "start": "2020-12-01", "end": "2021-12-01"}
    make_market(str(tmp_path), **common, seed=1)
    before = ids(tmp_path)
    make_market(str(tmp_path), **{**common, "assets": ["AAA"]}, seed=2, replace=True)
    assert {name.split("-")[1] for name in ids(tmp_path) & before} == {"BBB"}


def test_later_bars_do_not_change_the_ids_of_a_window_in_earlier_years(tmp_path):
    window = {"data": {"start": "2021-01-01", "end": "2022-01-01"}}
    make_market(
        str(tmp_path), assets=["AAA", "BBB"], timeframe="1h", start="2021-01-01", end="2022-01-01", seed=1
    )
    before = ids(tmp_path, **window)
    make_market(
        str(tmp_path), assets=["AAA", "BBB"], timeframe="1h", start="2022-01-01", end="2022-03-01", seed=1
    )
    assert ids(tmp_path, **window) == before


def test_funding_is_in_the_ids_where_it_is_paid_and_only_there(tmp_path):
    make_market(
        str(tmp_path), assets=["AAA", "BBB"], timeframe="1h", start="2020-12-01", end="2021-12-01", seed=1
    )
    paid = {"data": {"funding": True}}
    before = ids(tmp_path)
    with pytest.raises(CatalogError, match="AAA has no funding payments; bring some in with"):
        ids(tmp_path, **paid)
    add_funding(tmp_path, "AAA", "BBB")
    with_funding = ids(tmp_path, **paid)
    assert ids(tmp_path) == before
    assert not with_funding & before
    add_funding(tmp_path, "AAA", rate=0.002)
    assert ids(tmp_path) == before
    assert {name.split("-")[1] for name in ids(tmp_path, **paid) & with_funding} == {"BBB"}


def test_comments_and_docstrings_are_not_code():
    one = 'def f(x):\n    """Doc."""\n    return x + 1\n'
    other = "# why\ndef f(x):\n    return  x + 1  # so\n"
    assert identity._structure(one) == identity._structure(other)
    assert identity._structure(one) != identity._structure("def f(x):\n    return x + 2\n")


def test_seeds_differ_by_cell_and_are_stable():
    assert identity.study_seed(7, "RSIStrategy", "BTCUSD", "1h", "holdout") == 818355120
    seeds = {identity.study_seed(s, a, t) for s in (1, 2) for a in ("A", "B") for t in ("1h", "4h")}
    assert len(seeds) == 8


@given(
    st.lists(st.tuples(st.integers(10, 500_000), st.integers(1, 2_000)), min_size=1, max_size=40),
    st.floats(0.1, 100.0),
    st.integers(1, 64),
)
def test_every_study_is_in_exactly_one_unit(sizes, unit_seconds, slots):
    studies = [
        SimpleNamespace(
            id=str(i), n_bars=n_bars, search=SimpleNamespace(trials=trials),
            bars=SimpleNamespace(asset="A", timeframe="1h", start=datetime(2021, 1, 1, tzinfo=UTC)),
        )
        for i, (n_bars, trials) in enumerate(sizes)
    ]  # fmt: skip
    units = pack(studies, unit_seconds=unit_seconds, slots=slots)
    assert sorted((study.id for unit in units for study in unit), key=int) == [study.id for study in studies]
    assert all(units)


def test_a_small_sweep_is_cut_fine_enough_for_every_slot(market):
    studies = studies_of(parsed(market, search={"trials": 20_000}))
    assert len(pack(studies, unit_seconds=3600, slots=2)) == 4
    assert len(pack(studies, unit_seconds=3600, slots=1)) <= 4
