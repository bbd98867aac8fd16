"""The numbers of bars a year that a plan tells of."""

import pytest
from sweeps import parsed

from backtune.cli.tables import list_disagreements
from backtune.data.synthetic import make_market
from backtune.search.planning.annualisations import read_annualisations
from backtune.search.planning.plan import plan_studies


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    root = tmp_path_factory.mktemp("market")
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="1h", start="2020-12-01", end="2021-12-01", seed=3
    )
    return root


def test_each_series_is_read_once_whatever_the_number_of_studies(market):
    found = read_annualisations(plan_studies(parsed(market, grid={"timeframes": ["1h", "1d"]})), seconds=60.0)
    assert {series: one.bars_per_year for series, one in found.found.items()} == {
        ("AAA", "1h"): 8766.0, ("AAA", "1d"): 365.25, ("BBB", "1h"): 8766.0, ("BBB", "1d"): 365.25,
    }  # fmt: skip
    assert found.n_unread == 0


def test_a_large_grid_is_not_read_for_the_sake_of_a_plan(market):
    found = read_annualisations(plan_studies(parsed(market)), seconds=0.0)
    assert (found.found, found.n_unread) == ({}, 2)


def test_a_damaged_file_costs_the_others_nothing(tmp_path):
    make_market(
        str(tmp_path), assets=["AAA", "BBB"], timeframe="1h", start="2020-12-01", end="2021-12-01", seed=3
    )
    studies = plan_studies(parsed(tmp_path))
    for file in (tmp_path / "asset=AAA").rglob("*.parquet"):
        file.write_bytes(b"nothing")
    found = read_annualisations(studies)
    assert (list(found.found), found.n_unread) == ([("BBB", "1h")], 1)


def test_so_many_disagreements_are_listed():
    texts = [f"calendar {n}" for n in range(12)]
    assert list_disagreements(["", *texts[:3], *texts[:3]]) == texts[:3]
    assert list_disagreements(texts) == [
        *texts[:10],
        "2 more series have such a disagreement; --json lists them",
    ]
