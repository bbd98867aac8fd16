"""The order in which units are handed out, and the fate of failed ones."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.search.executors.queue import UnitQueue, UnitSlice


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def units(*sizes):
    return [[SimpleNamespace(id=f"{i}.{k}") for k in range(size)] for i, size in enumerate(sizes)]


def drain(queue, clock, outcome):
    """Run everything, one slice at a time; returns what ran, in order."""
    ran = []
    for _ in range(10_000):
        if queue.is_finished:
            return ran
        part = queue.take()
        if part is None:
            clock.now += 1.0
            continue
        ran.append(part)
        outcome(part)
    raise AssertionError("never finished")


def test_units_are_handed_out_in_their_order():
    queue, clock = UnitQueue(units(2, 1, 3), 0), Clock()
    assert drain(queue, clock, queue.mark_done) == [
        UnitSlice(0, 0, 2),
        UnitSlice(1, 0, 1),
        UnitSlice(2, 0, 3),
    ]
    assert queue.lost == {}


def test_a_parked_unit_comes_after_the_others():
    queue = UnitQueue(units(1, 1), 0)
    first = queue.take()
    queue.mark_done(first, is_parked=True)
    assert [queue.take(), queue.take(), queue.take()] == [UnitSlice(1, 0, 1), first, None]
    assert not queue.is_finished


@pytest.mark.parametrize(("max_failures", "tries"), [(0, 1), (1, 2), (3, 4)])
def test_a_study_that_never_gets_further_is_lost(max_failures, tries):
    clock = Clock()
    queue = UnitQueue(units(1), max_failures, clock)
    ran = drain(queue, clock, lambda part: queue.mark_failed(part, "no luck", progress=0))
    assert len(ran) == tries
    assert queue.lost == {"0.0": "no luck"}


def test_failures_with_progress_are_not_counted():
    clock, states = Clock(), iter(range(100))
    queue = UnitQueue(units(1), 1, clock)

    def outcome(part):
        state = next(states)
        queue.mark_done(part) if state == 99 else queue.mark_failed(part, "preempted", state)

    assert len(drain(queue, clock, outcome)) == 100
    assert clock.now == 0.0, "a slice with progress does not wait"
    assert queue.lost == {}


def test_waits_get_longer_without_progress():
    clock = Clock()
    queue = UnitQueue(units(1), 4, clock)
    times = []

    def outcome(part):
        times.append(clock.now)
        queue.mark_failed(part, "disk full", progress=0)

    drain(queue, clock, outcome)
    assert times == [0, 0, 2, 6, 14]


@given(st.integers(1, 40), st.data(), st.integers(0, 2))
def test_bisection_loses_the_culprits_alone(n_studies, data, max_failures):
    culprits = data.draw(st.sets(st.integers(0, n_studies - 1)))
    clock, done = Clock(), set()
    queue = UnitQueue(units(n_studies), max_failures, clock)

    def outcome(part):
        inside = set(range(part.first, part.last))
        if inside & culprits:
            queue.mark_failed(part, "died", progress=0)
        else:
            assert not inside & done
            done.update(inside)
            queue.mark_done(part)

    drain(queue, clock, outcome)
    assert done == set(range(n_studies)) - culprits
    assert queue.lost == {f"0.{k}": "died" for k in culprits}
