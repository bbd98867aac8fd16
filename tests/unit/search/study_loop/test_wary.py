"""Finding the candidate that ends its workers."""

from __future__ import annotations

from backtune.search.study_loop import wary
from backtune.search.study_loop.wary import DEADLY, Note, Watch, note_death


def worker_dies_at(folder, number, max_deaths, logged):
    """A worker goes on from its log and dies at a candidate; returns whether it got past it."""
    watch = Watch(folder, max_deaths)
    assert watch.is_wary
    for candidate in range(logged, number + 1):
        refused = watch.before(candidate)
        assert not refused or candidate == number
    if refused:
        assert refused == DEADLY
        return True
    note_death(folder)
    return False


def test_without_a_death_nothing_is_written(tmp_path):
    watch = Watch(tmp_path, 3)
    assert not watch.is_wary
    assert watch.before(0) == ""
    watch.end()
    assert list(tmp_path.iterdir()) == []


def test_a_candidate_may_cost_so_many_workers(tmp_path):
    note_death(tmp_path)
    assert Note.read(tmp_path) == Note(None, 0)
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
    Note(5, 1).write(tmp_path)
    now = [0.0]
    monkeypatch.setattr(wary.time, "monotonic", lambda: now[0])
    watch = Watch(tmp_path, 3)
    watch.before(4)
    now[0] = 100.0
    watch.before(5)
    assert watch.is_wary
    watch.before(6)
    assert not watch.is_wary
    assert Note.read(tmp_path) is None
