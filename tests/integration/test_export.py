"""Sweeps exported to Optuna's storages, loaded again with Optuna."""

import json
from itertools import pairwise

import optuna
import pytest
from optuna.trial import TrialState
from sweeps import INLINE, backtune, parsed

from backtune.errors import ResultsError, SpecError
from backtune.results.stored_sweep import StoredSweep
from backtune.search.export import export_study
from backtune.sweep import run_sweep

FAILING = '''
import numpy as np

from backtune import BaseStrategy, Choice, Float, Int, Space


class Picky(BaseStrategy):
    """Long after a rise; fails for a period of 3, is idle for one of 2."""

    @classmethod
    def space(cls):
        return Space(
            period=Int(2, 12, step=3), mode=Choice(("plain", "scaled")), share=Float(0.1, 0.9, step=0.3, when={"mode": "scaled"}),
            decay=Float(1e-3, 1.0, log=True),
        )

    def positions(self, bars):
        if self.period == 5:
            raise ValueError("five is right out")
        targets = np.zeros(len(bars))
        if self.period > 2:
            targets[self.period :] = bars.close[self.period :] > bars.close[: -self.period]
        return targets * (self.share if self.mode == "scaled" else 1.0)
'''


@pytest.fixture(scope="module")
def finished(tmp_path_factory, market):
    folder = tmp_path_factory.mktemp("export")
    (folder / "picky.py").write_text(FAILING)
    grid = {
        "strategies": [{"file": str(folder / "picky.py"), "class": "Picky"}, "MovingAverageCrossover"],
        "assets": ["AAA"],
    }
    spec = parsed(market, grid=grid, search={"trials": 40, "constraints": {"max_drawdown": "<= 0.4"}})
    return run_sweep(spec, folder / "runs", INLINE).run


def load(storage, name):
    target = storage if "://" in storage else optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(storage)
    )  # fmt: skip
    return optuna.load_study(study_name=name, storage=target)


@pytest.mark.parametrize("objectives", [["sharpe_ratio"], ["-max_drawdown", "-volatility"]])
def test_a_trial_that_was_stopped_early_is_pruned(tmp_path, market, objectives):
    stopping = {"rungs": [0.2, 0.5], "top": 0.3, "startup_trials": 5}
    search = {"trials": 60, "early_stopping": stopping, "objectives": objectives}
    grid = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}
    run = run_sweep(parsed(market, grid=grid, search=search), tmp_path / "runs", INLINE).run
    (entry,) = run.studies
    storage = str(tmp_path / "trials.log")
    assert export_study(run, entry, storage) == 60
    assert export_study(run, entry, storage) == 0
    trials = load(storage, entry.id).get_trials()
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert len(pruned) == run.read_summary(entry).n_stopped > 0
    assert all(trial.user_attrs["reason"].startswith("stopped early") for trial in pruned)
    assert len(load(storage, entry.id).best_trials) == len(run.read_summary(entry).winners)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_optuna_finds_the_same_trials_and_the_same_best(tmp_path, finished, kind):
    storage = f"sqlite:///{tmp_path}/trials.db" if kind == "sqlite" else str(tmp_path / "trials.log")
    for entry in finished.studies:
        assert export_study(finished, entry, storage) == 40
        assert export_study(finished, entry, storage) == 0
        study = load(storage, entry.id)
        trials = study.get_trials()
        summary = finished.read_summary(entry)
        states = [trial.state for trial in trials]
        assert len(trials) == 40
        assert states.count(TrialState.FAIL) == summary.n_failed
        feasible = [all(value <= 0 for value in trial.constraints.values()) for trial in trials]
        assert (
            sum(f and s == TrialState.COMPLETE for f, s in zip(feasible, states, strict=True))
            == summary.n_complete
        )
        winner = summary.winners[0]
        assert (study.best_trial.number, study.best_value) == (winner.number, winner.values[0])
        assert study.best_params == winner.params
        assert study.user_attrs["asset"] == "AAA"
        assert all(a.datetime_complete <= b.datetime_complete for a, b in pairwise(trials))
    picky = finished.studies[0]
    assert {
        trial.user_attrs["reason"]
        for trial in load(storage, picky.id).trials
        if trial.state == TrialState.FAIL
    } == {"ValueError: five is right out"}
    assert any("share" not in trial.params for trial in load(storage, picky.id).trials)


def test_an_interrupted_export_goes_on(tmp_path, finished):
    entry = finished.studies[1]
    storage = f"sqlite:///{tmp_path}/trials.db"
    export_study(finished, entry, storage)
    whole = load(storage, entry.id)
    other = f"sqlite:///{tmp_path}/half.db"
    half = optuna.create_study(storage=other, study_name=entry.id, direction="maximize")
    half.add_trials(whole.trials[:15])
    assert export_study(finished, entry, other) == 25
    assert [trial.params for trial in load(other, entry.id).trials] == [
        trial.params for trial in whole.trials
    ]


def test_what_is_of_another_study_is_left_alone(tmp_path, finished):
    entry = finished.studies[1]
    storage = f"sqlite:///{tmp_path}/trials.db"
    optuna.create_study(storage=storage, study_name=entry.id, direction="maximize").enqueue_trial({"x": 1})
    with pytest.raises(ResultsError, match="trial 0 in the storage is another one"):
        export_study(finished, entry, storage)


@pytest.mark.parametrize(
    "storage", ["sqlite:////no/such/folder/x.db", "nothing://x", "/no/such/folder/trials.log"]
)
def test_a_storage_that_cannot_be_used(finished, storage):
    with pytest.raises(SpecError, match=r"--storage: .* cannot be used"):
        export_study(finished, finished.studies[0], storage)


def test_the_command(tmp_path, finished):
    storage = f"sqlite:///{tmp_path}/trials.db"
    first = backtune("export-optuna", finished.folder, "--storage", storage, "--json", cwd=tmp_path)
    assert (first.returncode, json.loads(first.stdout)["written"]) == (
        0,
        {e.id: 40 for e in StoredSweep.open(finished.folder).studies},
    )
    again = backtune("export-optuna", finished.folder, "--storage", storage, cwd=tmp_path)
    assert again.stdout == f"0 trials of 2 studies written to {storage}\n"
    wrong = backtune("export-optuna", finished.folder, "--storage", storage, "--study", "none", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "'none' is not in this sweep" in wrong.stderr
