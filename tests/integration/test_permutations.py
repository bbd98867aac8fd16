"""Searches repeated on permuted bars, as a part of a sweep."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from sweeps import (
    INLINE,
    assert_same_rows,
    command,
    environment,
    parsed,
    rows_of,
    spec_document,
    wait_for,
    written,
)

from backtune.data.catalog import Catalog
from backtune.results.evidence.permutation_test import PermutationTest, load_permutation_test
from backtune.results.permuted_searches.permuted_folder import locate_permuted_folder
from backtune.results.progress import ProgressReader
from backtune.results.stored_sweep import StoredSweep
from backtune.search.planning.cost import ComputePrices
from backtune.search.planning.estimate import estimate_sweep
from backtune.search.planning.plan import describe_sweep, plan_studies
from backtune.storage.files import read_json
from backtune.sweep import Options, run_sweep
from faults.small import STRATEGIES

GRID = {"strategies": ["RSIStrategy"], "assets": ["AAA", "BBB"]}


def permuting(market, n=3, rows=1, *, search=None, grid=None, **validation):
    return parsed(
        market,
        grid=grid or GRID,
        search={"trials": 24, **(search or {})},
        validation={"permutations": n, "permuted_rows": rows, **validation},
    )


def kept(run: StoredSweep) -> dict[str, dict[str, float]]:
    """The best values of the permuted searches, by study and number."""
    contents = {s.id: read_json(run.study_folder(s.id) / "permutations.json") for s in run.studies}
    return {name: content["best"] for name, content in contents.items() if content is not None}


@pytest.fixture(scope="module")
def three(market, tmp_path_factory):
    return run_sweep(permuting(market), tmp_path_factory.mktemp("three"), INLINE)


def test_a_sweep_with_permutations(three, market, tmp_path):
    assert three.exit_status == 0
    assert not locate_permuted_folder(three.run).exists()
    ((name, best),) = kept(three.run).items()
    assert name == three.rows()[0].study
    assert sorted(best) == ["0", "1", "2"]
    entry = next(study for study in three.run.studies if study.id == name)
    n_better = sum(value >= three.rows()[0].values[0] for value in best.values())
    assert load_permutation_test(three.run, [entry]) == PermutationTest((1 + n_better) / 4, 3, 3)
    plain = run_sweep(permuting(market, 0), tmp_path, INLINE)
    assert plain.run.sweep_id == three.run.sweep_id
    assert_same_rows(rows_of(plain.run), rows_of(three.run))
    assert kept(plain.run) == {}


def test_more_permutations_and_rows_extend_what_is_there(three, market, tmp_path, monkeypatch):
    result = run_sweep(permuting(market, 2), tmp_path, INLINE)
    logs = rows_of(result.run)
    (name,) = kept(result.run)
    file = result.run.study_folder(name) / "permutations.json"
    marked = read_json(file)
    marked["best"]["0"] = 123.0
    file.write_text(json.dumps(marked))
    result = run_sweep(permuting(market, 3, 2), tmp_path, INLINE)
    assert result.exit_status == 0
    assert_same_rows(rows_of(result.run), logs)
    assert kept(result.run)[name] == {**kept(three.run)[name], "0": 123.0}
    assert {study: len(best) for study, best in kept(result.run).items()} == dict.fromkeys(logs, 3)


def test_a_sweep_that_shares_a_study_does_not_permute_it_again(market, tmp_path):
    first = run_sweep(permuting(market, rows=2), tmp_path, INLINE)
    for name in kept(first.run):
        file = first.run.study_folder(name) / "permutations.json"
        file.write_text(json.dumps({**read_json(file), "best": {"0": 123.0, "1": 123.0}}))
    second = run_sweep(permuting(market, grid={**GRID, "assets": ["BBB"]}), tmp_path, INLINE)
    assert second.exit_status == 0
    assert second.run.sweep_id != first.run.sweep_id
    ((name, best),) = kept(second.run).items()
    assert name in kept(first.run)
    assert (best["0"], best["1"]) == (123.0, 123.0)
    assert sorted(best) == ["0", "1", "2"]


def test_a_larger_budget_is_compared_with_searches_of_that_budget(three, market, tmp_path):
    run_sweep(permuting(market), tmp_path, INLINE)
    larger = run_sweep(permuting(market, search={"trials": 40}), tmp_path, INLINE)
    at_once = run_sweep(permuting(market, search={"trials": 40}), tmp_path / "at-once", INLINE)
    first = larger.rows()[0].study
    assert kept(larger.run)[first] == kept(at_once.run)[first]
    n_trials = read_json(larger.run.study_folder(first) / "permutations.json")["n_trials"]
    assert n_trials == 40


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "kfold", "folds": 3},
        {"method": "none"},
        {"search": {"islands": 2}},
        {"search": {"objectives": ["sharpe_ratio", "-max_drawdown"], "sampler": "nsga2"}},
        {"search": {"early_stopping": {"startup_trials": 5}}},
    ],
    ids=["kfold", "none", "islands", "front", "early-stopping"],
)
def test_every_kind_of_search_is_permuted(market, tmp_path, changes):
    result = run_sweep(permuting(market, 2, **changes), tmp_path, INLINE)
    assert result.exit_status == 0
    ((name, best),) = kept(result.run).items()
    assert len(best) == 2
    islands = [study for study in result.run.studies if study.search_id == name]
    assert load_permutation_test(result.run, islands).n_done == 2


def test_no_bar_of_the_test_is_permuted(market, tmp_path):
    """Other bars in the test change no value."""
    other = tmp_path / "market"
    catalog, copy = Catalog.open(market), Catalog.open_or_create(other)
    spec = permuting(market)
    cut = plan_studies(spec)[0].fold.test.start
    for asset in GRID["assets"]:
        frame = pl.read_parquet(sorted((market / f"asset={asset}").rglob("*.parquet")))
        late = pl.col("timestamp").dt.timestamp("us") >= cut
        prices = [
            pl.when(late).then(pl.col(n) * 2).otherwise(pl.col(n)).alias(n)
            for n in ("open", "high", "low", "close")
        ]
        copy.write(asset, "15m", frame.sort("timestamp").with_columns(prices))
    assert catalog.assets() == copy.assets()
    spec_of = [permuting(root, rows=2) for root in (market, other)]
    found = [kept(run_sweep(spec, tmp_path / f"runs-{k}", INLINE).run) for k, spec in enumerate(spec_of)]
    first, second = ({name.rsplit("-", 1)[0]: best for name, best in values.items()} for values in found)
    assert len(first) == 2
    assert first == second


def test_a_failing_permuted_search_is_told_and_costs_the_others_nothing(market, tmp_path):
    """The strategy raises on bars on which the first move is another one."""
    file = tmp_path / "picky.py"
    file.write_text(PICKY)
    grid = {"strategies": [{"file": str(file), "class": "Picky"}], "assets": ["AAA"]}
    result = run_sweep(permuting(market, 2, grid=grid), tmp_path / "runs", INLINE)
    assert result.exit_status == 1
    assert sorted(name.rsplit(".", 1)[1] for name in result.failures()) == ["0", "1"]
    assert all("on purpose" in reason for reason in result.failures().values())


PICKY = """
import numpy as np
from backtune import BaseStrategy, Float, Space

class Picky(BaseStrategy):
    name = "Picky"
    seen = None

    @classmethod
    def space(cls):
        return Space(level=Float(0.0, 1.0))

    def positions(self, bars):
        move = round(float(np.log(bars.close[1] / bars.close[0])), 9)
        Picky.seen = Picky.seen if Picky.seen is not None else move
        if move != Picky.seen:
            raise ValueError("on purpose")
        return np.where(bars.close > bars.open * (1 + self.level / 100), 1.0, -1.0)
"""


def test_stopped_before_the_permutations_is_partial(market, tmp_path, three):
    """The time budget is over when the studies are: nothing of the permutations is run, and the next start makes up for it."""
    spec = permuting(market)
    run_sweep(permuting(market, 0), tmp_path, INLINE)
    hurried = spec.model_copy(update={"compute": spec.compute.model_copy(update={"time_budget": 1e-6})})
    stopped = run_sweep(hurried, tmp_path, INLINE)
    assert (stopped.exit_status, stopped.stopped_by, kept(stopped.run)) == (3, "time", {})
    done = run_sweep(spec, tmp_path, INLINE)
    assert done.exit_status == 0
    assert kept(done.run) == kept(three.run)


def test_progress_counts_permuted_searches(market, tmp_path):
    seen = []
    run_sweep(permuting(market, 4), tmp_path, replace(INLINE, on_progress=seen.append))
    assert seen[0].n_permuted == 0
    assert {progress.n_permuted for progress in seen} <= {0, 4}
    assert all(progress.n_studies == 2 for progress in seen)


def test_planning_counts_the_permuted_searches(market, tmp_path, three):
    spec = permuting(market, 5, 2)
    studies = plan_studies(spec)
    fresh = estimate_sweep(
        spec, describe_sweep(spec, tmp_path, studies, version="1"), studies, ComputePrices(), 2
    )
    assert (fresh.n_open, fresh.n_permuted, fresh.n_left) == (2, 10, 12 * 24)
    assert fresh.core_seconds > 4 * sum(share.cost.seconds for share in fresh.shares)
    runs = three.run.folder.parent
    later = estimate_sweep(
        spec, describe_sweep(spec, runs, studies, version="1"), studies, ComputePrices(), 2
    )
    assert (later.n_open, later.n_permuted, later.n_left) == (0, 7, 7 * 24)
    plain = permuting(market, 0)
    assert (
        estimate_sweep(
            plain, describe_sweep(plain, runs, studies, version="1"), studies, ComputePrices(), 2
        ).permuted
        == ()
    )


@pytest.mark.slow
@pytest.mark.ray
def test_values_on_ray_equal_those_of_the_inline_executor(market, tmp_path, three):
    result = run_sweep(permuting(market), tmp_path, Options(tracking=False, workers=2))
    assert result.exit_status == 0
    assert_same_rows(rows_of(result.run), rows_of(three.run))
    assert kept(result.run) == kept(three.run)
    assert not locate_permuted_folder(result.run).exists()


def test_killed_in_the_middle_it_goes_on(market, tmp_path):
    """The driver is killed while permuted searches are under way, and started again."""
    document = spec_document(
        market,
        grid={"strategies": [{"file": str(STRATEGIES / "paced.py"), "class": "Paced"}], "assets": ["AAA"]},
        search={"trials": 12},
        validation={"permutations": 12, "permuted_rows": 1},
    )
    spec = written(tmp_path / "spec.yaml", document)
    runs = tmp_path / "runs"
    arguments = ("run", spec, "--executor", "inline", "--no-tracking", "--json", "--runs", runs)
    driver = start(arguments, tmp_path, FAULTS_PACE="0.01")
    assert wait_for(lambda: len(list(runs.glob("*/permuted/*/summary.json"))) > 2, 60)
    driver.kill()
    driver.communicate()
    run = StoredSweep.open(next(path.parent for path in runs.glob("*/sweep.json")))
    assert ProgressReader(run).read().n_permuted == 12
    finished = {path: path.stat().st_mtime_ns for path in runs.glob("*/permuted/*/summary.json")}
    assert 2 < len(finished) < 12
    with_trials = [path for path in finished if list(path.parent.glob("*.parquet"))]
    assert len(with_trials) <= 1, (
        "finished ones keep no trials, beside one that the kill may have caught between"
    )
    again = start(arguments, tmp_path, FAULTS_PACE="0")
    _, errors = again.communicate(timeout=100)
    assert again.returncode == 0, errors
    assert not locate_permuted_folder(run).exists()
    undisturbed = run_sweep(
        parsed(market, **{k: v for k, v in document.items() if k in ("grid", "search", "validation")}),
        tmp_path / "undisturbed",
        INLINE,
    )
    assert kept(run) == kept(undisturbed.run)


def start(arguments, cwd: Path, **variables: str):
    return subprocess.Popen(
        command(*arguments), cwd=cwd, env=environment(**variables), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
