"""Permutation tests, from a folder alone."""

import pytest
from stored_sweeps import minimal_spec, stored_study

from backtune.results.evidence.permutation_test import (
    PermutationTest,
    PermutedBests,
    adopt_permuted_bests,
    load_permutation_test,
    save_permuted_bests,
)
from backtune.results.log.summary import StudySummary, Winner
from backtune.results.permuted_searches.missing_permutations import list_missing_permutations
from backtune.results.permuted_searches.permuted_folder import (
    PermutedSearchCounter,
    StoredPermutedSearch,
    list_failed_permutations,
    locate_permuted_folder,
    remove_permuted_folder,
    save_finished_searches,
    write_permuted_plan,
)
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import Objective
from backtune.storage.files import write_json


def run_of(root, *names, n=4, rows=1, objective="sharpe_ratio", peers=()):
    """A sweep of studies of 10 trials; with ``peers``, all are islands of one search."""
    studies = tuple(
        stored_study(
            name,
            objectives=(Objective.parse(objective),),
            peers=tuple(peer for peer in peers if peer != name),
        )
        for name in names
    )
    validation = {"method": "none", "permutations": n, "permuted_rows": rows}
    return StoredSweep(
        root,
        root.name,
        "sweep",
        minimal_spec(validation=validation, search={"objectives": [objective]}),
        studies,
        "1",
    )


def found(folder, best, n_trials=10, **changes):
    """What a study left: its best value, or no winner for None."""
    winners = (
        ()
        if best is None
        else (
            Winner(0, {}, (best,), {"sharpe_ratio": best, "max_drawdown": best, "total_trades": 40.0}, None),
        )
    )
    StudySummary(**{"state": "complete", "n_trials": n_trials, "winners": winners, **changes}).write(folder)


@pytest.mark.parametrize(
    ("objective", "kept", "p", "n_done"),
    [
        ("sharpe_ratio", {0: 1.0, 1: 2.5, 2: 2.0, 3: None}, 0.6, 4),
        ("-max_drawdown", {0: 1.0, 1: 2.5, 2: 2.0, 3: None}, 0.6, 4),
        ("sharpe_ratio", {0: 1.0, 2: 2.5}, 2 / 3, 2),
        # Kept when the spec asked for more.
        ("sharpe_ratio", {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0, 4: 9.0}, 0.2, 4),
    ],
)
def test_p_is_of_the_best_of_the_search(tmp_path, objective, kept, p, n_done):
    run = run_of(tmp_path, "s", objective=objective)
    found(run.study_folder("s"), 2.0)
    save_permuted_bests(run, run.studies, kept)
    assert load_permutation_test(run, run.studies) == PermutationTest(pytest.approx(p), n_done, 4)
    assert load_permutation_test(run, run.studies).is_complete == (n_done == 4)


def test_there_is_none(tmp_path):
    run = run_of(tmp_path, "s")
    assert load_permutation_test(run, run.studies) is None
    found(run.study_folder("s"), 2.0)
    assert load_permutation_test(run, run.studies) is None
    save_permuted_bests(run, run.studies, {0: 1.0})
    assert load_permutation_test(run, run.studies) is not None
    assert load_permutation_test(run_of(tmp_path, "s", n=0), run.studies) is None
    found(run.study_folder("s"), None)
    assert load_permutation_test(run, run.studies) is None


def test_values_of_another_budget_do_not_count(tmp_path):
    PermutedBests(10, {0: 1.0}).write(tmp_path)
    assert PermutedBests.read(tmp_path, 10).best == {0: 1.0}
    assert PermutedBests.read(tmp_path, 20).best == {}
    write_json(tmp_path / "permutations.json", {"version": 0, "n_trials": 10, "best": {"0": 1.0}})
    assert PermutedBests.read(tmp_path, 10).best == {}


@pytest.mark.parametrize(
    ("elsewhere", "own", "kept", "left"),
    [
        ({}, {}, {}, [0, 1, 2, 3]),
        ({"x": {0: 1.0, 2: None}}, {}, {0: 1.0, 2: None}, [1, 3]),
        # What two sweeps have is joined, and no value beyond the number that is wanted is taken.
        ({"x": {0: 1.0}, "y": {1: 2.0, 9: 5.0}}, {}, {0: 1.0, 1: 2.0}, [2, 3]),
        ({"x": {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}}, {0: 7.0}, {0: 7.0, 1: 1.0, 2: 1.0, 3: 1.0}, []),
    ],
)
def test_values_that_other_sweeps_have_are_adopted(tmp_path, elsewhere, own, kept, left):
    for name, best in elsewhere.items():
        save_permuted_bests(run_of(tmp_path / name, "s"), run_of(tmp_path / name, "s").studies, best)
    run = run_of(tmp_path / "own", "s")
    if own:
        save_permuted_bests(run, run.studies, own)
    missing = [number for number in range(4) if number not in own]
    assert adopt_permuted_bests(run, run.studies, missing) == left
    assert PermutedBests.read(run.study_folder("s"), 10).best == kept


def test_values_of_another_search_or_budget_are_not_adopted(tmp_path):
    other = run_of(tmp_path / "x", "t")
    save_permuted_bests(other, other.studies, {0: 1.0})
    PermutedBests(20, {0: 1.0}).write(run_of(tmp_path / "y", "s").study_folder("s"))
    run = run_of(tmp_path / "own", "s")
    assert adopt_permuted_bests(run, run.studies, [0, 1]) == [0, 1]
    assert not run.study_folder("s").exists()


def test_islands_are_one_search(tmp_path):
    names = ("s-0", "s-1")
    run = run_of(tmp_path, *names, n=2, peers=names)
    found(run.study_folder("s-0"), 1.0)
    assert list_missing_permutations(run) == [], "an island is not finished"
    found(run.study_folder("s-1"), 2.0)
    ((islands, numbers),) = list_missing_permutations(run)
    assert ([study.id for study in islands], numbers) == (["s-0", "s-1"], [0, 1])
    entries = [StoredPermutedSearch(islands, k, (f"s-0.20.{k}", f"s-1.20.{k}")) for k in numbers]
    for name, best in {"s-0.20.0": 0.5, "s-1.20.0": 2.5, "s-0.20.1": 9.0}.items():
        found(locate_permuted_folder(run) / name, best)
    assert save_finished_searches(run, entries) == entries[1:]
    assert PermutedBests.read(run.study_folder("s-0"), 20) == PermutedBests(20, {0: 2.5})
    assert load_permutation_test(run, islands) == PermutationTest(1.0, 1, 2)
    assert sorted(path.name for path in locate_permuted_folder(run).iterdir()) == ["s-0.20.1"]


def test_the_first_rows_are_permuted(tmp_path):
    run = run_of(tmp_path, "a", "b", "c", "d", n=1, rows=2)
    for name, best in {"a": 1.0, "b": 3.0, "c": None, "d": 2.0}.items():
        found(run.study_folder(name), best)
    assert [found.islands[0].id for found in list_missing_permutations(run)] == ["b", "d"]


def test_finished_searches_leave_one_file(tmp_path):
    run = run_of(tmp_path, "s", n=3)
    found(run.study_folder("s"), 2.0)
    folder = locate_permuted_folder(run)
    entries = [StoredPermutedSearch(run.studies, k, (f"s.10.{k}",)) for k in range(3)]
    write_permuted_plan(run, entries)
    counter = PermutedSearchCounter(run)
    assert counter.count() == (0, 3)
    found(folder / "s.10.0", 1.0)
    found(folder / "s.10.1", 1.0, n_trials=3, state="partial")
    found(folder / "s.10.2", None)
    assert counter.count() == (2, 3)
    left = save_finished_searches(run, entries)
    assert [entry.number for entry in left] == [1]
    remove_permuted_folder(run)
    assert (folder / "s.10.1").exists()
    found(folder / "s.10.1", 5.0)
    assert save_finished_searches(run, left) == []
    remove_permuted_folder(run)
    assert not folder.exists()
    assert load_permutation_test(run, run.studies) == PermutationTest(0.5, 3, 3)
    assert list_missing_permutations(run) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "failed", "reason": "StrategyError: no"}, "StrategyError: no"),
        ({"n_failed": 10, "most_common_reason": "boom"}, "all 10 trials failed: boom"),
    ],
)
def test_a_failed_search_is_told_and_not_kept(tmp_path, changes, reason):
    run = run_of(tmp_path, "s", n=1)
    found(run.study_folder("s"), 2.0)
    found(locate_permuted_folder(run) / "s.10.0", None, **changes)
    entries = [StoredPermutedSearch(run.studies, 0, ("s.10.0",))]
    assert save_finished_searches(run, entries) == entries
    assert list_failed_permutations(run) == {"s.10.0": reason}
    assert len(list_missing_permutations(run)) == 1
