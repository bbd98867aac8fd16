"""The crash guard finds the candidate that ends its workers."""

from __future__ import annotations

from backtune.search.study_loop import crash_guard
from backtune.search.study_loop.crash_guard import DeathNote, DeathWatch, note_death


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
