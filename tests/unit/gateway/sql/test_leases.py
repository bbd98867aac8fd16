"""Who does the work when several gateways share a database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from backtune.gateway.sql.leases import Lease


@pytest.fixture
def lease(database, clock):
    return lambda holder: Lease(database, "reconciler", holder, seconds=4.0, clock=clock)


def test_the_first_holds_it_and_keeps_it_by_beating(lease, clock):
    one, other = lease("one"), lease("other")
    assert one.hold()
    for _ in range(5):
        clock.now += 3.0
        assert one.hold()
        assert not other.hold()


def test_it_is_taken_over_from_one_that_beats_no_more(lease, clock):
    one, other = lease("one"), lease("other")
    assert one.hold()
    assert not other.hold()
    clock.now += 3.9
    assert not other.hold()
    clock.now += 0.2
    assert other.hold()
    assert not one.hold()


def test_of_rivals_one_takes_over(lease, clock):
    assert lease("gone").hold()
    rivals = [lease(f"rival-{n}") for n in range(8)]
    assert not any(rival.hold() for rival in rivals)
    clock.now += 5.0
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda rival: rival.hold(), rivals)) == 1


def test_released_it_is_free_at_once(lease):
    one, other = lease("one"), lease("other")
    assert one.hold()
    one.release()
    assert other.hold()
    # What is not one's own cannot be released.
    one.release()
    assert other.hold()


def test_a_first_come_race_has_one_winner(lease):
    rivals = [lease(f"rival-{n}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda rival: rival.hold(), rivals)) == 1
