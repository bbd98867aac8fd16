"""The ids of studies, and their packing into units."""

import heapq
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeps import add_funding, parsed

from backtune.data.synthetic import make_market
from backtune.errors import CatalogError
from backtune.search.planning import identity
from backtune.search.planning.packing import choose_unit_seconds, pack_units
from backtune.search.planning.plan import plan_studies


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    root = tmp_path_factory.mktemp("plan")
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="1h", start="2020-12-01", end="2021-12-01", seed=1
    )
    return root


def ids(market, **changes):
    return {study.id for study in plan_studies(parsed(market, **changes))}


@pytest.mark.parametrize(
    "changes",
    [
        {"search": {"trials": 999}},
        {"compute": {"unit_seconds": 99, "cpus_per_unit": 2, "time_budget": "2h"}},
        {"tracking": {"top_k": 3}},
        {"name": "another"},
        {"search": {"backend": "rustuna"}},
        {"search": {"early_stopping": None}},
    ],
)
def test_what_changes_no_result_changes_no_id(market, changes):
    assert ids(market, **changes) == ids(market)


@pytest.mark.parametrize(
    "changes",
    [
        {"search": {"seed": 6}},
        {"search": {"sampler": "random"}},
        {"search": {"backend": "optuna"}},
        {"search": {"early_stopping": {}}},
        {"search": {"objectives": ["sortino_ratio"]}},
        {"search": {"constraints": {"total_trades": ">= 31"}}},
        {"execution": {"fee_bps": 11}},
        {"execution": {"minimum_fee": 1}},
        {"execution": {"lot_size": 1}},
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
    assert identity.derive_study_seed(7, "RSIStrategy", "BTCUSD", "1h", "holdout") == 818355120
    seeds = {identity.derive_study_seed(s, a, t) for s in (1, 2) for a in ("A", "B") for t in ("1h", "4h")}
    assert len(seeds) == 8


def packed(sizes, unit_seconds, slots):
    """Units of (seconds, bars) pairs, with the cost of each study and the target; bars as ``A`` or ``A1h``."""
    studies = [
        SimpleNamespace(id=f"{i:03d}", peers=(), bars=SimpleNamespace(asset=bars[0], timeframe=bars[1:]))
        for i, (_, bars) in enumerate(sizes)
    ]
    seconds = {study.id: cost for study, (cost, _) in zip(studies, sizes, strict=True)}
    units = pack_units(studies, unit_seconds=unit_seconds, slots=slots, seconds=seconds)
    target = choose_unit_seconds(sum(seconds.values()), unit_seconds=unit_seconds, slots=slots)
    return units, seconds, target


def makespan(costs, slots):
    """Return the time at which the last slot is done, where each slot takes the next unit as soon as it is free."""
    free = [0.0] * slots
    for cost in costs:
        heapq.heapreplace(free, free[0] + cost)
    return max(free)


SIZES = st.lists(st.tuples(st.floats(0.001, 200.0), st.sampled_from("ABC")), min_size=1, max_size=60)


@given(SIZES, st.floats(0.1, 100.0), st.integers(1, 64))
def test_packing_loses_nothing_and_bounds_the_time(sizes, unit_seconds, slots):
    units, seconds, target = packed(sizes, unit_seconds, slots)
    assert sorted(study.id for unit in units for study in unit) == sorted(seconds)
    costs = [sum(seconds[study.id] for study in unit) for unit in units]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(costs))
    shared = [cost for cost, unit in zip(costs, units, strict=True) if len(unit) > 1]
    assert all(cost <= target * (1 + 1e-9) for cost in shared)
    assert sum(cost <= target / 2 for cost in costs) <= 1
    total, longest = sum(costs), max(seconds.values())
    bound = total / slots + (1 - 1 / slots) * max(target, longest)
    assert makespan(costs, slots) <= bound * (1 + 1e-9)
    assert makespan(costs, slots) <= 2 * max(total / slots, longest, target) * (1 + 1e-9)


@given(SIZES, st.integers(1, 8), st.randoms(use_true_random=False))
def test_the_order_of_the_studies_does_not_matter(sizes, slots, random):
    units, seconds, _ = packed(sizes, 20.0, slots)
    studies = [study for unit in units for study in unit]
    random.shuffle(studies)
    again = pack_units(studies, unit_seconds=20.0, slots=slots, seconds=seconds)
    assert [[s.id for s in unit] for unit in again] == [[s.id for s in unit] for unit in units]


@pytest.mark.parametrize(
    ("sizes", "slots", "expected"),
    [
        # Bars that fit into a unit are together, whatever the grid's order.
        (
            [(0.375, "A"), (0.375, "B"), (0.375, "A"), (0.375, "B"), (0.25, "A"), (0.25, "B")],
            1,
            ["AAA", "BBB"],
        ),
        # What is left over of two groups shares a unit.
        ([(0.6, "A"), (0.6, "B"), (0.5, "B"), (0.3, "A"), (0.2, "B")], 1, ["AA", "BB", "B"]),
        ([(0.3, "A"), (0.3, "B"), (0.4, "C")], 1, ["CAB"]),
        # A study above the target is a unit of its own, and the first.
        ([(0.5, "A"), (3, "B"), (0.4, "A")], 1, ["B", "AA"]),
        # Few studies on many slots: one each.
        ([(2, "A"), (2, "A"), (2, "A")], 8, ["A", "A", "A"]),
    ],
)
def test_studies_of_the_same_bars_lie_side_by_side(sizes, slots, expected):
    units, _, _ = packed(sizes, 20.0, slots)
    assert ["".join(study.bars.asset for study in unit) for unit in units] == expected


def test_timeframes_of_an_asset_lie_side_by_side():
    sizes = [(0.5, "A1h"), (0.5, "B1h"), (0.4, "A4h"), (0.4, "B4h"), (0.05, "A1d"), (0.05, "B1d")]
    units, _, _ = packed(sizes, 20.0, 1)
    assert [{study.bars.asset for study in unit} for unit in units] == [{"A"}, {"B"}]


@pytest.mark.parametrize(
    ("total", "unit_seconds", "slots", "target"),
    [(8000, 20, 2, 20), (80, 20, 2, 5), (80, 20, 40, 1), (0.5, 20, 2, 1), (80, 0.3, 2, 0.3)],
)
def test_units_are_cut_for_the_slots(total, unit_seconds, slots, target):
    assert choose_unit_seconds(total, unit_seconds=unit_seconds, slots=slots) == target


def test_a_small_sweep_is_cut_fine_enough_for_every_slot(market):
    studies = plan_studies(parsed(market, search={"trials": 20_000}))
    assert len(pack_units(studies, unit_seconds=3600, slots=2)) == 4
    assert len(pack_units(studies, unit_seconds=3600, slots=1)) <= 4
