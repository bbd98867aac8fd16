"""The monitor, on a server of sockets that does as it is told."""

import asyncio
import json
import threading
from contextlib import contextmanager, suppress

import pytest
from websockets.sync.server import serve

from backtune.client import RealTimeMonitor, RetryLimits
from backtune.errors import AccessError, RefusedError, SpecError, UnreachableError
from backtune.wire.api_key import ApiKey
from backtune.wire.signature import SOCKET_METHOD, SOCKET_PATH, SignedContent

ONE, TWO = "job-0123456789abcdef01234567", "job-0123456789abcdef01234568"
QUICK = RetryLimits(tries=3, first_seconds=0.02, longest_seconds=0.02)
KEY = ApiKey("0123456789abcdef", bytes(32), bytes(range(32)))


def update(job_id, status, progress=0.0):
    return {"type": "job_update", "job_id": job_id, "status": status, "progress": progress}


RUNNING, FURTHER, DONE = (
    update(ONE, "running", 1.0),
    update(ONE, "running", 2.0),
    update(ONE, "completed", 100.0),
)


@contextmanager
def gateway(*connections):
    """Each connection is sent its messages and closed with its code; gives the address and what every one was told."""
    heard = []
    scripts = list(connections)

    def answer(socket):
        messages, code = scripts[min(len(heard), len(scripts) - 1)]
        mine = []
        heard.append(mine)
        mine.append(json.loads(socket.recv(timeout=30)))
        while mine[-1]["type"] == "auth":
            mine.append(json.loads(socket.recv(timeout=30)))
        # All that is said first: closed before it was read, it would take the answers with it.
        with suppress(TimeoutError):
            while True:
                mine.append(json.loads(socket.recv(timeout=0.1)))
        for message in messages:
            socket.send(json.dumps(message))
        socket.close(code)

    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}", heard
        server.shutdown()
        thread.join()


def sync_updates(url, *job_ids, key=None):
    return list(RealTimeMonitor(url, key, retries=QUICK).updates(*job_ids))


def async_updates(url, *job_ids, key=None):
    async def told():
        return [one async for one in RealTimeMonitor(url, key, retries=QUICK).updates_async(*job_ids)]

    return asyncio.run(told())


def followed(url, *job_ids, key=None):
    found = []
    RealTimeMonitor(url, key, retries=QUICK).follow(*job_ids, on_update=found.append)
    return found


@pytest.fixture(params=[sync_updates, async_updates, followed])
def updates(request):
    return request.param


def test_every_change_is_told_until_the_job_is_over(updates):
    with gateway(([{"type": "authenticated"}, RUNNING, RUNNING, FURTHER, DONE, FURTHER], 1000)) as (
        url,
        heard,
    ):
        assert updates(url, ONE, key="k") == [RUNNING, FURTHER, DONE]
    assert heard == [[{"type": "auth", "api_key": "k"}, {"type": "subscribe", "job_id": ONE}]]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4008, 4408, 4429])
def test_a_lost_connection_is_made_again_and_only_news_is_told(updates, code):
    with gateway(([RUNNING], code), ([RUNNING, FURTHER, DONE], 1000)) as (url, heard):
        assert updates(url, ONE) == [RUNNING, FURTHER, DONE]
    assert len(heard) == 2


def test_what_has_ended_is_not_subscribed_again(updates):
    later = update(TWO, "failed")
    with gateway(([DONE], 1012), ([later], 1000)) as (url, heard):
        assert updates(url, ONE, TWO) == [DONE, later]
    assert heard[1][1:] == [{"type": "subscribe", "job_id": TWO}]


def test_a_key_that_signs_signs_every_connection_anew(updates):
    with gateway(([RUNNING], 1012), ([DONE], 1000)) as (url, heard):
        updates(url, ONE, key=KEY.full_text)
    first, second = (messages[0] for messages in heard)
    assert first["nonce"] != second["nonce"]
    for message in (first, second):
        parts = SignedContent(message["timestamp"], message["nonce"], SOCKET_METHOD, SOCKET_PATH)
        assert parts.is_signature(KEY.signing_secret, message["signature"])
        assert message["api_key"] == KEY.header_value


@pytest.mark.parametrize(
    ("messages", "code", "error"),
    [
        ([{"type": "error", "status": 401, "detail": "no such API key"}], 4401, AccessError),
        ([], 4401, AccessError),
        ([], 4403, AccessError),
        ([{"type": "error", "status": 404, "detail": "there is no job", "job_id": ONE}], 1000, RefusedError),
        ([], 4400, RefusedError),
    ],
)
def test_what_another_connection_would_not_mend_is_raised(updates, messages, code, error):
    with gateway((messages, code)) as (url, heard):
        with pytest.raises(error):
            updates(url, ONE)
        assert len(heard) == 1


def test_an_outage_that_lasts_is_raised(updates):
    with gateway(([], 1012)) as (url, heard):
        with pytest.raises(UnreachableError):
            updates(url, ONE)
        assert len(heard) == QUICK.tries
    with pytest.raises(UnreachableError, match=r"ws://127\.0\.0\.1"):
        updates(url, ONE)


def test_a_monitor_needs_a_job(updates):
    with pytest.raises(SpecError, match="name at least one job"):
        updates("http://127.0.0.1:9")


def test_who_stops_asking_closes_the_connection():
    with gateway(([RUNNING, FURTHER], 1000)) as (url, heard):
        for one in RealTimeMonitor(url, retries=QUICK).updates(ONE):
            assert one == RUNNING
            break
    assert len(heard) == 1
