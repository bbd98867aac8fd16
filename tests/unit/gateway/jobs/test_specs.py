"""From a request to a spec: what is taken, and what is refused before anything is recorded."""

import pytest
from pydantic import ValidationError

from backtune.data.synthetic import make_market
from backtune.errors import CatalogError, SpecError
from backtune.gateway.jobs.schemas import SingleRequest
from backtune.gateway.jobs.specs import build_batch_spec, build_single_spec
from backtune.gateway.settings import Limits

LIMITS = Limits(trials=1_000, studies=4)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    root = tmp_path_factory.mktemp("market")
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="15m", start="2021-01-01", end="2021-07-01", seed=3
    )
    return str(root)


def single(**changes):
    config = changes.pop("config", {})
    document = {"strategy_name": "RSIStrategy", "asset": "AAA", "timeframe": "1h", **changes}
    return SingleRequest(**document, optimization_config=config)


def batch(**changes):
    grid = {"strategies": ["RSIStrategy"], "assets": ["AAA"], "timeframes": ["1h"], **changes.pop("grid", {})}
    return {"name": "small", "grid": grid, **changes}


def test_a_single_cell_becomes_a_whole_spec(market):
    request = single(
        start_date="2021-02-01", end_date="2021-06-01",
        config={
            "trials": 60, "timeout_hours": 0.5, "optimization_metric": ["sharpe_ratio", "-max_drawdown"],
            "method": "genetic", "seed": 4, "constraints": {"total_trades": ">= 3"},
            "parameters": {"period": {"type": "int", "low": 5, "high": 9}},
            "execution": {"fee_bps": 1}, "validation": {"method": "none"},
        },
    )  # fmt: skip
    spec = build_single_spec(request, market, LIMITS)
    assert spec.name == "RSIStrategy AAA 1h"
    assert (spec.data.root, f"{spec.data.start:%Y-%m-%d}", f"{spec.data.end:%Y-%m-%d}") == (
        market, "2021-02-01", "2021-06-01",
    )  # fmt: skip
    assert (spec.search.trials, spec.search.sampler, spec.search.seed) == (60, "nsga2", 4)
    search = spec.to_json()["search"]
    assert (search["objectives"], search["constraints"]) == (
        ["sharpe_ratio", "-max_drawdown"],
        {"total_trades": ">= 3"},
    )
    assert spec.compute.time_budget == 1800.0
    assert spec.space == {"RSIStrategy": {"period": {"type": "int", "low": 5, "high": 9}}}
    assert (spec.execution.fee_bps, spec.validation.method) == (1.0, "none")


def test_a_whole_spec_is_taken_on_the_gateways_data(market):
    assert build_batch_spec(batch(data={"start": "2021-02-01"}), market, LIMITS).data.root == market
    assert build_batch_spec(batch(data={"root": market}), market, LIMITS).data.root == market
    short = {"strategy_name": "RSIStrategy", "asset": "AAA", "timeframe": "1h"}
    assert build_batch_spec(short, market, LIMITS).grid.assets == ("AAA",)


@pytest.mark.parametrize(
    ("changes", "key", "allowed"),
    [
        ({"strategy_name": "RSI"}, "strategy_name", "RSIStrategy"),
        ({"asset": "AAB"}, "asset", "BBB"),
        ({"timeframe": "7m"}, "timeframe", None),
        ({"timeframe": "soon"}, "timeframe", None),
        ({"start_date": "yesterday"}, "start_date", None),
        ({"start_date": "2021-03-01", "end_date": "2021-02-01"}, "end_date", None),
        ({"config": {"optimization_metric": "luck"}}, "optimization_config.optimization_metric", "sharpe_ratio"),
        ({"config": {"trials": 2_000}}, "optimization_config.trials", None),
        ({"config": {"constraints": {"total_trades": "many"}}}, "optimization_config.constraints.total_trades", None),
        ({"config": {"constraints": {"luck": ">= 1"}}}, "optimization_config.constraints", "total_trades"),
        (
            {"config": {"parameters": {"perio": {"type": "int", "low": 2, "high": 3}}}},
            "optimization_config.parameters.perio", "period",
        ),
        ({"config": {"execution": {"fee_bp": 1}}}, "optimization_config.execution.fee_bp", "fee_bps"),
        ({"config": {"validation": {"method": "luck"}}}, "optimization_config.validation.method", "holdout"),
    ],
)  # fmt: skip
def test_a_single_cell_is_refused_with_the_key_of_the_request(market, changes, key, allowed):
    with pytest.raises(SpecError) as refused:
        build_single_spec(single(**changes), market, LIMITS)
    assert refused.value.key == key
    assert allowed is None or allowed in refused.value.allowed
    assert str(refused.value).count("did you mean") <= 1


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"data": {"root": "/etc"}}, "data.root"),
        ({"data": {"root": "s3://someones/bucket"}}, "data.root"),
        ({"data": 3}, "data"),
        ({"tracking": {"uri": "http://127.0.0.1:1"}}, "tracking.uri"),
        ({"search": {"warm_start": "../../etc"}}, "search.warm_start"),
        ({"search": {"warm_start": "/etc/x"}}, "search.warm_start"),
        ({"grid": {"strategies": [{"file": "/etc/passwd", "class": "X"}]}}, "grid.strategies"),
        ({"grid": {"strategies": ["RSIStrategy", "MACDStrategy", "MovingAverageCrossover"], "assets": ["AAA", "BBB"]}}, "grid"),
        ({"search": {"trials": 1_001}}, "search.trials"),
        ({"search": {"trials": 10**400}}, "search.trials"),
        ({"search": {"seed": float("nan")}}, "search.seed"),
        ({"execution": {"fee_bps": float("inf")}}, "execution.fee_bps"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"space": {"\ud800": {}}}, "space"),
        ({"space": {"RSIStrategy": {"period": {"type": "int", "low": 2, "high": 10**30}}}}, "space.RSIStrategy.period.high"),
        ({"unknown": 1}, "unknown"),
    ],
)  # fmt: skip
def test_a_whole_spec_that_reaches_too_far_is_refused(market, changes, key):
    with pytest.raises(SpecError) as refused:
        build_batch_spec(batch(**changes), market, LIMITS)
    assert refused.value.key == key


def test_nesting_without_end_is_refused(market):
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(SpecError, match="nested more than 32 deep"):
        build_batch_spec(batch(space=deep), market, LIMITS)


def test_a_window_without_bars_is_refused(market):
    for window in ({"start": "2030-01-01"}, {"end": "2001-01-01"}):
        with pytest.raises(CatalogError, match="it has bars of 15m from 2021-01-01"):
            build_batch_spec(batch(data=window), market, LIMITS)


@pytest.mark.parametrize(
    "changes", [{"config": {"trials": 0}}, {"asset": ""}, {"timeframe": "x" * 200}, {"more": 1}]
)
def test_a_request_of_another_form_is_no_request(changes):
    with pytest.raises(ValidationError):
        single(**changes)
