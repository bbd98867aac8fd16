"""What a search never sees: bars of a test change no trial of its study, and every test bar is scored once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import EXAMPLES

from backtune.data.catalog import Catalog
from backtune.data.schema import COLUMNS
from backtune.data.synthetic import synthetic_bars
from backtune.results.leaderboard.walk_forward_oos import backtest_walk_forward
from backtune.results.log.probes import read_probes
from backtune.results.log.segments import read_log
from backtune.results.log.summary import StudySummary
from backtune.search.planning.plan import plan_studies
from backtune.search.study_loop.study import Study, run_study
from backtune.spec import SweepSpec
from backtune.sweep import Options, run_sweep
from backtune.validation.folds import purge_fold

DAY = 86_400_000_000
BARS = synthetic_bars("A", "1h", "2021-01-01", "2021-06-01", seed=11)
FRAME = pl.DataFrame({name: getattr(BARS, name) for name in COLUMNS}).with_columns(
    pl.col("timestamp").cast(pl.Datetime("us", "UTC"))
)
STRATEGIES = ("MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy")

schemes = st.one_of(
    st.fixed_dictionaries(
        {"method": st.just("holdout"), "test_fraction": st.sampled_from([0.2, 0.5])},
    ),
    st.fixed_dictionaries(
        {
            "method": st.just("kfold"),
            "folds": st.integers(2, 3),
            "purge_bars": st.integers(0, 80),
            "deviation": st.sampled_from([0.0, 0.5]),
        },
    ),
    st.fixed_dictionaries(
        {
            "method": st.just("walk_forward"),
            "folds": st.integers(2, 4),
            "purge_bars": st.integers(0, 80),
            "anchored": st.booleans(),
        },
    ),
)


def spec(root: Path, strategy: str, scheme: dict[str, Any], **search: Any) -> SweepSpec:
    return SweepSpec.parse(
        {
            "name": "seen",
            "data": {"root": str(root / "market")},
            "grid": {"strategies": [strategy], "assets": ["A"], "timeframes": ["1h"]},
            "search": {"sampler": "tpe", "trials": 16, "seed": 3, **search},
            "validation": scheme,
        }
    )


def written(root: Path, frame: pl.DataFrame) -> Path:
    Catalog.open_or_create(root / "market").write("A", "1h", frame)
    return root


def poisoned(frame: pl.DataFrame, start: int, end: int, seed: int) -> pl.DataFrame:
    """Other prices between two moments, ten times as wild."""
    random = np.random.default_rng(seed)
    times = frame["timestamp"].to_physical().to_numpy()
    inside = (times >= start) & (times < end)
    factor = np.where(inside, np.exp(0.1 * random.standard_normal(len(times)).cumsum()), 1.0)
    return frame.with_columns(pl.col(name) * factor for name in ("open", "high", "low", "close"))


def searched(study: Study, root: Path) -> tuple[pl.DataFrame, Any, StudySummary]:
    folder = root / "studies" / study.fold.name
    assert not list(run_study(study, folder, lambda: False))
    log, summary = read_log(folder), StudySummary.read(folder)
    assert log is not None
    assert summary is not None
    return log.drop("duration_seconds"), read_probes(folder), summary


@settings(max_examples=EXAMPLES // 10)
@given(
    schemes, st.sampled_from(STRATEGIES), st.integers(0, 10), st.integers(0, 2**32 - 1), st.floats(0.0, 0.5)
)
def test_what_comes_after_the_train_window_changes_no_trial(
    scheme: dict[str, Any], strategy: str, fold: int, seed: int, missing: float
) -> None:
    kept = FRAME.filter(np.random.default_rng(seed).random(len(FRAME)) >= missing)
    with tempfile.TemporaryDirectory() as folder:
        clean = written(Path(folder) / "clean", kept)
        studies = plan_studies(spec(clean, strategy, scheme))
        study = studies[fold % len(studies)]
        bars = study.bars.load()
        # The gap before the test as well: the search ends where the purge begins.
        end = purge_fold(study.fold, bars.timestamp).train.end
        other = written(Path(folder) / "other", poisoned(kept, end, 2**62, seed))
        twin = plan_studies(spec(other, strategy, scheme))[fold % len(studies)]
        assert (twin.fold, twin.seed) == (study.fold, study.seed)
        log, probes, summary = searched(study, clean)
        again, beside, verdict = searched(twin, other)
        assert again.equals(log, null_equal=True)
        assert beside == probes
        assert [(w.number, w.params, w.is_metrics, w.is_shape) for w in verdict.winners] == [
            (w.number, w.params, w.is_metrics, w.is_shape) for w in summary.winners
        ]


def test_poison_is_poison(tmp_path: Path) -> None:
    """The same change inside of the train window changes the trials, and in the test what the winner does there."""
    scheme = {"method": "holdout", "test_fraction": 0.3}
    (study,) = plan_studies(spec(written(tmp_path / "clean", FRAME), "RSIStrategy", scheme))
    train, test = study.fold.train, study.fold.test
    assert test is not None
    log, _, summary = searched(study, tmp_path / "clean")
    middle = (train.start + train.end) // 2
    inside = written(tmp_path / "inside", poisoned(FRAME, middle, train.end, 1))
    (twin,) = plan_studies(spec(inside, "RSIStrategy", scheme))
    assert not searched(twin, inside)[0].equals(log, null_equal=True)
    after = written(tmp_path / "after", poisoned(FRAME, test.start, test.end, 1))
    (twin,) = plan_studies(spec(after, "RSIStrategy", scheme))
    assert searched(twin, after)[2].winners[0].oos_metrics != summary.winners[0].oos_metrics


@settings(max_examples=EXAMPLES // 20)
@given(
    st.integers(2, 5), st.integers(0, 60), st.sampled_from(STRATEGIES), st.booleans(),
    st.integers(0, 2**32 - 1), st.floats(0.0, 0.5),
)  # fmt: skip
def test_every_test_bar_is_scored_once(
    folds: int, purge: int, strategy: str, anchored: bool, seed: int, missing: float
) -> None:
    kept = FRAME.filter(np.random.default_rng(seed).random(len(FRAME)) >= missing)
    scheme = {"method": "walk_forward", "folds": folds, "purge_bars": purge, "anchored": anchored}
    with tempfile.TemporaryDirectory() as folder:
        root = written(Path(folder), kept)
        run = run_sweep(
            spec(root, strategy, scheme, sampler="random", trials=4),
            root / "runs",
            Options("inline", tracking=False),
        )
        (row,) = run.rows()
        whole = backtest_walk_forward(run.run, row.folds)
        times = kept["timestamp"].to_physical().to_numpy()
        assert row.test is not None
        tested = times[(times >= row.test.start) & (times < row.test.end)]
        assert np.array_equal(whole.opens, tested)
        ends = [*(piece.first for piece in whole.pieces[1:]), len(tested)]
        for piece, end, fold in zip(whole.pieces, ends, row.folds, strict=True):
            assert fold.test is not None
            assert (tested[piece.first : end] >= fold.test.start).all()
            assert (tested[piece.first : end] < fold.test.end).all()
        made = [fold.oos_metrics["total_return"] or 0.0 for fold in row.folds]
        assert abs((whole.metrics["total_return"] or 0.0) - (np.prod([1 + r for r in made]) - 1)) < 1e-9
        assert whole.metrics["total_trades"] == sum(
            fold.oos_metrics["total_trades"] or 0 for fold in row.folds
        )
