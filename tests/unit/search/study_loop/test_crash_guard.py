"""The crash guard finds the candidate that ends its workers."""

from __future__ import annotations

import pytest
from scripted_evaluator import ScriptedEvaluator

from backtune.errors import StrategyError
from backtune.search.study_loop import crash_guard
from backtune.search.study_loop.crash_guard import (
    DEADLY,
    MAX_DEADLY_CANDIDATES,
    CrashGuard,
    DeathNote,
    DeathWatch,
    note_death,
)


def worker_dies_at(folder, number, max_deaths, logged):
    """A worker goes on from its log and dies at a candidate; returns whether it got past it."""
    watch = DeathWatch(folder, max_deaths)
    assert watch.is_active
    for candidate in range(logged, number + 1):
        is_allowed = watch.announce(candidate)
        assert is_allowed or candidate == number
    if not is_allowed:
        return True
    note_death(folder)
    return False


def test_without_a_death_nothing_is_written(tmp_path):
    watch = DeathWatch(tmp_path, 3)
    assert not watch.is_active
    assert watch.announce(0)
    watch.end()
    assert list(tmp_path.iterdir()) == []


def test_a_candidate_may_cost_so_many_workers(tmp_path):
    note_death(tmp_path)
    assert DeathNote.read(tmp_path) == DeathNote(None, 0)
    assert [worker_dies_at(tmp_path, 7, 3, logged=7 if i else 5) for i in range(4)] == [
        False,
        False,
        False,
        True,
    ]


def test_deaths_at_different_candidates_are_nobodys_fault(tmp_path):
    note_death(tmp_path)
    assert not any(worker_dies_at(tmp_path, number, 2, logged=number) for number in range(10))


def test_it_ends_past_the_suspect_and_not_before(tmp_path, monkeypatch):
    DeathNote(5, 1).write(tmp_path)
    now = [0.0]
    monkeypatch.setattr(crash_guard.time, "monotonic", lambda: now[0])
    watch = DeathWatch(tmp_path, 3)
    watch.announce(4)
    now[0] = 100.0
    watch.announce(5)
    assert watch.is_active
    watch.announce(6)
    assert not watch.is_active
    assert DeathNote.read(tmp_path) is None


class RecordingWriter:
    """Records the note in the folder at every flush."""

    def __init__(self, folder):
        self.folder = folder
        self.notes = []

    def flush(self):
        self.notes.append(DeathNote.read(self.folder))


def guard_in(folder, inner, trials, max_deaths=1):
    return CrashGuard(inner, DeathWatch(folder, max_deaths), RecordingWriter(folder), trials, "Mine")


def test_trials_are_written_before_the_note_about_the_next_candidate(tmp_path):
    note_death(tmp_path)
    guard = guard_in(tmp_path, ScriptedEvaluator(), [])
    trials = guard.evaluate([(3, {}), (4, {})])
    assert next(trials).number == 3
    assert DeathNote.read(tmp_path) == DeathNote(3, 0)
    assert next(trials).number == 4
    assert guard.writer.notes == [DeathNote(None, 0), DeathNote(3, 0)]


def test_without_a_death_the_whole_batch_is_passed_on(tmp_path):
    guard = guard_in(tmp_path, ScriptedEvaluator(), [])
    assert [trial.number for trial in guard.evaluate([(0, {}), (1, {})])] == [0, 1]
    assert guard.writer.notes == []


def test_a_deadly_candidate_gets_a_failed_trial_and_too_many_end_the_study(tmp_path):
    trials = []
    for number in range(MAX_DEADLY_CANDIDATES + 1):
        DeathNote(number, 1).write(tmp_path)
        inner = ScriptedEvaluator()
        guard = guard_in(tmp_path, inner, trials)
        if number == MAX_DEADLY_CANDIDATES:
            with pytest.raises(StrategyError, match="Mine: 6 candidates ended their workers"):
                next(guard.evaluate([(number, {"period": 3})]))
        else:
            trials += guard.evaluate([(number, {"period": 3})])
        assert inner.evaluated == []
    assert {(trial.state, trial.reason) for trial in trials} == {("failed", DEADLY)}
