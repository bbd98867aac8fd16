"""Trials of other sweeps on the same bars count against luck: other seeds, other specs, and what a search began with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sweeps import INLINE, parsed, spec_document

from backtune import load_bars
from backtune.data.catalog import Catalog
from backtune.results.evidence.related_studies import RelatedStudy
from backtune.results.evidence.trial_count import count_search_trials
from backtune.results.log.segments import extract_block_moments, read_log, write_segment
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from backtune.validation.deflated_sharpe import TrialCount

GRID = {"strategies": ["RSIStrategy"], "assets": ["WALK"], "timeframes": ["1h"]}
N_BARS = 3_000
START = 1_609_459_200_000_000  # 2021-01-01


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The folder of a market with one random walk of 125 days."""
    root = tmp_path_factory.mktemp("walk")
    close = 100 * np.exp(np.cumsum(np.random.default_rng(8).standard_normal(N_BARS) * 0.01))
    before = np.concatenate([[100.0], close[:-1]])
    times = START + np.arange(N_BARS) * 3_600_000_000
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(times).cast(pl.Datetime("us", "UTC")),
            "open": before,
            "high": np.maximum(before, close),
            "low": np.minimum(before, close),
            "close": close,
            "volume": np.ones(N_BARS),
        }
    )
    Catalog.open_or_create(root / "market").write("WALK", "1h", frame)
    return root / "market"


def sweep(market, runs, *, trials=60, seed=1, warm_start=None, name="one", sampler="random", **changes):
    search = {"sampler": sampler, "trials": trials, "seed": seed}
    if warm_start is not None:
        search["warm_start"] = str(warm_start.run.folder)
    return run_sweep(parsed(market, name=name, grid=GRID, search=search, **changes), runs, INLINE)


def evidence_of(result):
    (row,) = result.rows()
    return row.evidence


def test_a_warm_start_carries_the_trials_that_found_its_first_candidate(tmp_path, walk):
    cold = sweep(walk, tmp_path / "a", trials=1_000)
    alone = sweep(walk, tmp_path / "b", trials=20, seed=2, sampler="tpe")
    # In another folder: its source alone tells of the thousand.
    warm = sweep(walk, tmp_path / "c", trials=20, seed=2, sampler="tpe", warm_start=cold)
    found, before = evidence_of(warm), evidence_of(cold)
    assert (before.trials.n_elsewhere, before.trials.n_other_sweeps) == (0, 0)
    assert (found.trials.n_elsewhere, found.trials.n_other_sweeps) == (1_000, 1)
    assert found.n_independent >= before.n_independent > 10 * evidence_of(alone).n_independent
    assert found.dsr <= before.dsr + 0.02
    (row,) = warm.rows()
    assert any(
        text.startswith(
            "in sample no better than the luck of 20 trials and 1,000 more on the same bars in another sweep "
        )
        for text in row.warnings
    )
    # What began with that carries both.
    heir = sweep(walk, tmp_path / "d", trials=15, seed=3, warm_start=warm)
    assert (evidence_of(heir).trials.n_elsewhere, evidence_of(heir).trials.n_other_sweeps) == (1_020, 2)
    # The runs folder has moved, with all sweeps beside each other.
    (tmp_path / "moved").mkdir()
    for result in (cold, warm):
        shutil.move(result.run.folder, tmp_path / "moved" / result.run.folder.name)
    copy = shutil.copytree(heir.run.folder, tmp_path / "moved" / heir.run.folder.name)
    (row,) = replace(heir, run=StoredSweep.open(copy)).rows()
    assert row.evidence.trials.n_elsewhere == 1_020
    # Here nothing is left of them.
    (row,) = heir.rows()
    assert row.evidence.trials.n_elsewhere == 0
    words = "the trials of the sweep that it began with are not counted: "
    gone = [text for text in row.warnings if text.startswith(words)]
    assert gone == [f"{words}{result.run.folder} is gone" for result in (warm, cold)]


def test_a_warm_start_from_other_bars_carries_nothing(tmp_path, walk):
    early = sweep(walk, tmp_path / "a", data={"end": "2021-02-01"})
    late = sweep(walk, tmp_path / "b", warm_start=early, data={"start": "2021-02-01"})
    assert late.run.studies[0].known_until is not None
    assert late.run.studies[0].sources == ()
    assert evidence_of(late).trials.n_elsewhere == 0


def test_other_seeds_and_specs_on_the_same_bars_count(tmp_path, walk):
    first = sweep(walk, tmp_path)
    alone = evidence_of(first)
    second = sweep(walk, tmp_path, seed=2, trials=40)
    # What was kept of the first is computed again, without a trial more in it.
    assert evidence_of(first).trials.n_elsewhere == 40
    assert evidence_of(second).trials.n_elsewhere == 60
    third = sweep(walk, tmp_path, execution={"fee_bps": 1.0}, trials=30)
    for result, n_elsewhere in ((first, 70), (second, 90), (third, 100)):
        found = evidence_of(result)
        assert (found.trials.n_elsewhere, found.trials.n_other_sweeps) == (n_elsewhere, 2)
        logs = [read_log(one.run.study_folder(one.run.studies[0].id)) for one in (first, second, third)]
        together = TrialCount.of(extract_block_moments(pl.concat(logs)))
        assert found.n_independent == pytest.approx(together.n_independent)
    assert evidence_of(first).dsr < alone.dsr
    words = " ".join(first.rows()[0].warnings)
    assert "the luck of 60 trials and 70 more on the same bars in 2 other sweeps " in words
    # A related sweep grows.
    sweep(walk, tmp_path, seed=2, trials=50)
    assert evidence_of(first).trials.n_elsewhere == 80


def test_windows_that_do_not_overlap_do_not_count_and_a_test_window_neither(tmp_path, walk):
    # 125 days: this one searches 87 of them and tests on the rest.
    whole = sweep(walk, tmp_path)
    test = whole.run.studies[0].fold.test
    later = sweep(walk, tmp_path, data={"start": "2021-03-29"})
    assert later.run.studies[0].fold.train.start == test.start
    assert (evidence_of(whole).trials.n_elsewhere, evidence_of(later).trials.n_elsewhere) == (0, 0)
    # Two months of the whole window: the moments are of other bars, and the numbers are added.
    within = sweep(walk, tmp_path, trials=30, data={"end": "2021-03-01"}, name="two")
    found = evidence_of(whole)
    assert found.trials.n_elsewhere == 30
    own, other = (
        TrialCount.of(extract_block_moments(read_log(one.run.study_folder(one.run.studies[0].id))))
        for one in (whole, within)
    )
    assert found.n_independent == pytest.approx(own.n_independent + other.n_independent)


def test_other_cells_and_the_other_folds_of_a_sweep_do_not_count(tmp_path, walk):
    document = spec_document(walk, grid=GRID, search={"sampler": "random", "trials": 20})
    validation = {"method": "walk_forward", "folds": 2}
    folded = run_sweep(SweepSpec.parse({**document, "validation": validation}), tmp_path, INLINE)
    (row,) = folded.rows()
    assert [fold.evidence.trials.n_elsewhere for fold in row.folds] == [0, 0]
    assert row.evidence.trials is None
    slower = {**GRID, "timeframes": ["2h"]}
    other = run_sweep(parsed(walk, grid=slower, search={"trials": 20}), tmp_path, INLINE)
    assert evidence_of(other).trials.n_elsewhere == 0


def test_a_study_of_several_sweeps_counts_once(tmp_path, walk):
    first = sweep(walk, tmp_path, trials=30)
    wider = {**GRID, "strategies": ["RSIStrategy", "MACDStrategy"]}
    spec = parsed(walk, name="wide", grid=wider, search={"sampler": "random", "trials": 30, "seed": 1})
    wide = run_sweep(spec, tmp_path, INLINE)
    # The same study, taken over: nothing else was tried.
    assert {study.id for study in first.run.studies} < {study.id for study in wide.run.studies}
    assert [row.evidence.trials.n_elsewhere for row in (*first.rows(), *wide.rows())] == [0, 0, 0]
    other = sweep(walk, tmp_path, trials=20, seed=9)
    assert (evidence_of(other).trials.n_elsewhere, evidence_of(other).trials.n_other_sweeps) == (30, 1)
    # With a larger budget there it has thirty trials more.
    run_sweep(
        parsed(walk, name="wide", grid=wider, search={"sampler": "random", "trials": 60, "seed": 1}),
        tmp_path,
        INLINE,
    )
    assert evidence_of(first).trials.n_elsewhere == 20 + 30
    assert evidence_of(other).trials.n_elsewhere == 60


def test_islands_count_together(tmp_path, walk):
    search = {"sampler": "tpe", "trials": 40, "seed": 3, "islands": 2}
    islands = run_sweep(parsed(walk, grid=GRID, search=search), tmp_path, INLINE)
    other = sweep(walk, tmp_path, trials=20)
    warm = sweep(walk, tmp_path / "warm", trials=10, warm_start=islands)
    assert (evidence_of(islands).trials.n_elsewhere, evidence_of(other).trials.n_elsewhere) == (20, 40)
    assert evidence_of(warm).trials.n_elsewhere == 40


def test_equal_trials_are_counted_once(tmp_path, walk):
    first = sweep(walk, tmp_path, trials=30)
    folder = first.run.study_folder(first.run.studies[0].id)
    log, train = read_log(folder), first.run.studies[0].fold.train
    twin = RelatedStudy(tmp_path / "twin" / "studies" / "twin", train, 60)
    write_segment(twin.folder, pl.concat([log, log.with_columns(number=pl.col("number") + len(log))]))
    found = count_search_trials(log, train, [twin])
    assert found.total == TrialCount.of(extract_block_moments(log))
    assert found.n_elsewhere == 60


def test_a_sweep_that_cannot_be_read_is_named_and_costs_nothing_else(tmp_path, walk):
    first = sweep(walk, tmp_path)
    second = sweep(walk, tmp_path, seed=2)
    third = sweep(walk, tmp_path, seed=3, trials=25)
    path = second.run.folder / "sweep.json"
    content = json.loads(path.read_text())
    path.write_text("{")
    (row,) = first.rows()
    assert row.evidence.trials.n_elsewhere == 25
    assert [
        text
        for text in row.warnings
        if text.startswith(f"the trials of {second.run.folder} are not counted: ")
    ]
    path.write_text(json.dumps(content))
    for segment in third.run.study_folder(third.run.studies[0].id).glob("*.parquet"):
        segment.write_bytes(b"spoilt")
    (row,) = first.rows()
    assert row.evidence.trials.n_elsewhere == 60
    assert row.evidence.dsr is not None
    assert [text for text in row.warnings if text.startswith("trials of another sweep are not counted: ")]


def test_an_asset_of_the_same_name_in_another_catalog_is_another_asset(tmp_path, walk):
    """But for the same bars in a copy of the catalog, which count wherever they lie."""
    copied, other = tmp_path / "copy" / "market", tmp_path / "other" / "market"
    shutil.copytree(walk, copied)
    shutil.copytree(walk, other)
    frame = load_bars(walk, "WALK", "1h").to_frame()
    moved = frame.with_columns(pl.col("open", "high", "low", "close") * 2.0)
    Catalog.open(other).write("WALK", "1h", moved, replace=True)
    first = sweep(walk, tmp_path)
    sweep(copied, tmp_path, seed=2, trials=40)
    sweep(other, tmp_path, seed=3, trials=50)
    assert (evidence_of(first).trials.n_elsewhere, evidence_of(first).trials.n_other_sweeps) == (40, 1)
