"""Sweeps under k-fold and walk-forward validation."""

import json

import numpy as np
import polars as pl
import pytest
from sweeps import INLINE, assert_same_rows, build_market, rows_of, spec_document

import backtune
from backtune.data.catalog import Catalog
from backtune.data.schema import COLUMNS
from backtune.errors import CatalogError
from backtune.report.export.parameters import CellParameters, evaluate_parameters
from backtune.search.planning.plan import plan_studies
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.simulate import simulate_positions
from backtune.spec import SweepSpec
from backtune.strategy.registry import StrategyFactory
from backtune.sweep import run_sweep
from backtune.validation.folds import purge_fold

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return build_market(tmp_path_factory.mktemp("market"))


def spec(market, validation, **search):
    document = spec_document(market, grid={"strategies": ["RSIStrategy", "MACDStrategy"], "assets": ["AAA"]})
    document["search"] = {"sampler": "tpe", "trials": 24, "seed": 5, **search}
    return SweepSpec.parse({**document, "validation": validation})


def scored(row, bars, start, end):
    """The metrics of a row's winner on the bars from start to end, those before as warm-up."""
    kind = StrategyFactory.get(row.strategy)
    first, last = np.searchsorted(bars.timestamp, [start, end])
    known = bars[: int(last)]
    positions = kind(**row.params).positions(known)
    execution = backtune.spec.Execution()
    return simulate_positions(positions, BarWindow.of(known, int(first)), execution).metrics


def test_walk_forward(market, tmp_path):
    validation = {"method": "walk_forward", "folds": 3, "train": "90d", "test": "60d"}
    result = run_sweep(spec(market, validation), tmp_path, INLINE)
    assert result.exit_status == 0
    assert sorted((s.strategy, s.fold.name) for s in result.run.studies) == [
        (strategy, f"walk{i}") for strategy in ("MACDStrategy", "RSIStrategy") for i in (1, 2, 3)
    ]
    bars = backtune.load_bars(market, "AAA", "1h")
    end = int(bars.timestamp[-1]) + bars.timeframe.microseconds
    folds = {study.id: int(study.fold.name[-1]) for study in result.run.studies}
    for row in (fold for whole in result.rows() for fold in whole.folds):
        start = end - (4 - folds[row.study]) * 60 * DAY
        train = bars[slice(*np.searchsorted(bars.timestamp, [start - 90 * DAY, start]).tolist())]
        assert backtune.backtest(row.strategy, row.params, train).metrics == row.is_metrics
        assert scored(row, bars, start, start + 60 * DAY) == row.oos_metrics


def test_kfold(market, tmp_path):
    validation = {"method": "kfold", "folds": 4, "deviation": 0.5, "test_fraction": 0.25, "embargo": 0.0}
    result = run_sweep(spec(market, validation), tmp_path, INLINE)
    assert result.exit_status == 0
    assert [study.fold.name for study in result.run.studies] == ["kfold", "kfold"]
    written = json.loads((result.run.folder / "sweep.json").read_text())["spec"]["validation"]
    assert written == {**validation, "purge_bars": 0, "permutations": 0, "permuted_rows": 3}
    bars = backtune.load_bars(market, "AAA", "1h")
    first, end = int(bars.timestamp[0]), int(bars.timestamp[-1]) + bars.timeframe.microseconds
    cut = end - round(0.25 * (end - first))
    cut -= cut % DAY
    for row in result.rows():
        gap = {"MACDStrategy": 130, "RSIStrategy": 50}[row.strategy] * 3_600_000_000
        length = (cut - first - 4 * gap) // 4
        starts = [first + i * (length + gap) for i in range(4)]
        sharpes = [scored(row, bars, start, start + length)["sharpe_ratio"] or 0.0 for start in starts]
        assert row.values == pytest.approx((np.mean(sharpes) - 0.5 * np.std(sharpes, ddof=1),))
        assert scored(row, bars, cut, end) == row.oos_metrics
    again = run_sweep(spec(market, validation), tmp_path / "again", INLINE)
    assert_same_rows(rows_of(result.run), rows_of(again.run))


@pytest.mark.parametrize(
    "validation",
    [
        {"method": "kfold", "folds": 3, "purge_bars": 40},
        {"method": "walk_forward", "folds": 2, "purge_bars": 40},
    ],
    ids=lambda validation: validation["method"],
)
def test_with_bars_missing_before_a_test_parameters_out_and_in_have_the_leaderboards_numbers(
    market, tmp_path, validation
):
    bars = backtune.load_bars(market, "AAA", "1h")
    frame = pl.DataFrame({name: getattr(bars, name) for name in COLUMNS}).with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC"))
    )
    # Three of four bars are gone, so that gaps of time hold fewer bars than the purge asks for.
    kept = frame.filter(pl.col("timestamp").dt.hour() % 4 == 0)
    Catalog.open_or_create(tmp_path / "market").write("AAA", "1h", kept)
    one = spec(tmp_path / "market", validation, trials=10)
    result = run_sweep(one, tmp_path / "runs", INLINE)
    rows = [fold for row in result.rows() for fold in row.folds or (row,)]
    assert len(rows) == len(result.run.studies)
    shortened = 0
    for row in rows:
        study = next(study for study in plan_studies(one) if study.id == row.study)
        loaded = study.bars.load()
        shortened += purge_fold(study.fold, loaded.timestamp).train.end < study.fold.train.end
        again = evaluate_parameters(one, CellParameters.of(result.run, row))
        assert again.is_metrics == row.is_metrics
        assert again.oos_metrics == row.oos_metrics
    assert shortened > 0


def test_each_scheme_is_a_sweep_and_studies_of_its_own(market):
    validations = [
        {"method": "kfold"},
        {"method": "kfold", "deviation": 0.5},
        {"method": "kfold", "purge_bars": 999},
        {"method": "walk_forward"},
        {"method": "walk_forward", "anchored": True},
        {"method": "holdout"},
    ]
    specs = [spec(market, validation) for validation in validations]
    assert len({one.id for one in specs}) == len(specs)
    studies = [study.id for one in specs for study in plan_studies(one)]
    # The first fold of a walk-forward is the same whether it is anchored or not.
    assert len(set(studies)) == len(studies) - 2


def test_what_does_not_fit_is_refused_before_any_work(market, tmp_path):
    validation = {"method": "walk_forward", "train": "400d", "test": "30d"}
    with pytest.raises(
        CatalogError, match="validation: AAA 1h: the window of 424 days is too short for 5 test"
    ):
        run_sweep(spec(market, validation), tmp_path, INLINE)
    assert not list(tmp_path.iterdir())
