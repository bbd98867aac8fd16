"""How far a sweep is, from its folder alone."""

import json
import os

import numpy as np
import pytest
from stored_sweeps import minimal_spec, stored_study

from backtune.results.log.segments import TrialLog, read_log
from backtune.results.log.summary import StudySummary, Winner
from backtune.results.progress import Progress, ProgressReader, list_unfinished_studies
from backtune.results.runs_folder import adopt_repeated_studies
from backtune.results.stored_sweep import StoredSweep
from backtune.results.trial import Trial
from backtune.simulation.metrics import METRICS
from backtune.space import Int, Space
from backtune.spec import Objective

SPACE = Space(period=Int(1, 9))


def run_of(root, *names: str, budget: int = 4, objective: str = "sharpe_ratio") -> StoredSweep:
    studies = tuple(
        stored_study(name, objectives=(Objective.parse(objective),), budget=budget) for name in names
    )
    return StoredSweep(root, root.name, "sweep", minimal_spec(), studies, "1")


def write(run: StoredSweep, study: str, first: int, values: list[float | None]) -> None:
    """Trials with these values; None stands for one that is infeasible, at 99."""
    trials = [
        Trial(
            number=first + i,
            params={"period": 3},
            state="infeasible" if value is None else "complete",
            reason="",
            values=(99.0 if value is None else value,),
            metrics=dict.fromkeys(METRICS),
            blocks=np.zeros((16, 3)),
            duration_seconds=0.0,
        )
        for i, value in enumerate(values)
    ]
    TrialLog(run.study_folder(study), SPACE, 1).append(trials)


def summarise(run: StoredSweep, study: str, n_trials: int, best: float, **changes) -> None:
    winner = Winner(0, {"period": 3}, (best,), {}, None)
    fields = {"state": "complete", "n_trials": n_trials, "winners": (winner,)}
    StudySummary(**{**fields, **changes}).write(run.study_folder(study))


def shown(progress: Progress) -> tuple[int, int, int, float | None]:
    return progress.n_studies_done, progress.n_trials, progress.n_trials_planned, progress.best


def test_a_sweep_is_followed_from_nothing_to_its_end(tmp_path):
    run = run_of(tmp_path / "one", "a", "b", "c")
    reader = ProgressReader(run)
    assert shown(reader.read()) == (0, 0, 12, None)
    write(run, "a", 0, [1.0, None])
    assert shown(reader.read()) == (0, 2, 12, 1.0)
    write(run, "a", 2, [3.0, 2.0])
    assert shown(reader.read()) == (0, 4, 12, 3.0)
    TrialLog(run.study_folder("a"), SPACE, 1).merge()
    summarise(run, "a", 4, 3.0)
    assert shown(reader.read()) == (1, 4, 12, 3.0)
    write(run, "b", 0, [5.0, 4.0])
    summarise(run, "b", 2, 5.0, exhausted=True)
    assert shown(reader.read()) == (2, 6, 12, 5.0)
    summarise(run, "c", 0, 0.0, state="failed", winners=())
    assert shown(reader.read()) == (3, 6, 12, 5.0)


def test_the_least_is_best_where_the_objective_is_minimized(tmp_path):
    run = run_of(tmp_path / "one", "a", objective="-max_drawdown")
    write(run, "a", 0, [0.4, 0.1, 0.2])
    assert ProgressReader(run).read().best == 0.1


def test_a_study_that_is_extended_is_not_done_and_counts_beyond_its_old_summary(tmp_path):
    run = run_of(tmp_path / "one", "a", budget=3)
    write(run, "a", 0, [1.0, 2.0])
    summarise(run, "a", 2, 2.0)
    reader = ProgressReader(run)
    assert shown(reader.read()) == (0, 2, 3, 2.0)
    write(run, "a", 2, [7.0, 6.0])
    assert shown(reader.read()) == (1, 4, 4, 7.0)


def test_what_has_settled_is_looked_at_again_once_it_changes(tmp_path):
    run = run_of(tmp_path / "one", "a")
    write(run, "a", 0, [1.0])
    os.utime(run.study_folder("a"), (1e9, 1e9))
    reader = ProgressReader(run)
    assert reader.read().n_trials == 1
    assert reader.read().n_trials == 1
    write(run, "a", 1, [2.0])
    assert reader.read().n_trials == 2


@pytest.mark.parametrize(
    ("changes", "is_open"),
    [
        ({}, False),
        ({"n_trials": 3}, True),
        ({"n_trials": 3, "exhausted": True}, False),
        ({"state": "failed"}, True),
    ],
)
def test_a_study_is_unfinished_until_its_budget_is_spent(tmp_path, changes, is_open):
    run = run_of(tmp_path / "one", "a", "never-started")
    summarise(run, "a", **{"n_trials": 4, "best": 1.0, **changes})
    assert [study.id for study in list_unfinished_studies(run)] == (["a"] if is_open else []) + [
        "never-started"
    ]


def test_the_longest_log_of_a_repeated_study_is_adopted_and_nothing_of_ones_own_is_replaced(tmp_path):
    write(run_of(tmp_path / "x"), "a", 0, [1.0])
    write(run_of(tmp_path / "y"), "a", 0, [1.0, 2.0])
    write(run_of(tmp_path / "z"), "b", 0, [1.0, 2.0, 3.0])
    run = run_of(tmp_path / "own", "a", "b", "c")
    write(run, "b", 0, [1.0])
    adopt_repeated_studies(run)
    heights = {
        name: frame.height for name in "abc" if (frame := read_log(run.study_folder(name))) is not None
    }
    assert heights == {"a": 2, "b": 1}


def test_a_sweep_file_is_read_as_it_was_written_with_a_line_for_each_study(tmp_path):
    run = run_of(tmp_path / "one", "a", "b")
    run.write()
    assert StoredSweep.open(run.folder) == run
    text = (run.folder / "sweep.json").read_text()
    assert [json.loads(line.strip().rstrip(","))["id"] for line in text.splitlines()[-4:-2]] == ["a", "b"]
