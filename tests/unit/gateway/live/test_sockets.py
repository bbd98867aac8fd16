"""Sockets of a real server: keys, subscriptions, limits, and readers that are slow."""

import asyncio
import json
import time
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest
from gateways import listening
from secured import NOWHERE
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from backtune.gateway.app import create_app
from backtune.gateway.keys.principal import Principal
from backtune.gateway.live.broadcaster import UpdateBroadcaster, UpdateQueue
from backtune.gateway.live.session import LiveSession, SessionServices
from backtune.gateway.settings import Limits, Settings, SocketLimits
from backtune.wire.answers import BestCandidate, Job

UNKNOWN = "job-0123456789abcdef01234567"
AUTH = {"type": "auth", "api_key": "k"}
NOW = "2021-01-01T00:00:00Z"


def job(number=0, **changes):
    values = {
        "job_id": UNKNOWN, "name": "small", "sweep_id": "small-1", "owner": "key-1", "status": "running",
        "progress": float(number), "n_trials": number, "n_trials_planned": 100, "attempt": 1, "created_at": NOW,
        "started_at": NOW, "ended_at": None, "best_so_far": BestCandidate(value=1.5, parameters={"period": 7}),
        "result": None, "error": None, "message": None, "warnings": [], **changes,
    }  # fmt: skip
    return Job(**values)


def send(socket, **message):
    socket.send(json.dumps(message))


def receive(socket, seconds=10):
    return json.loads(socket.recv(timeout=seconds))


def ended(socket):
    """What is told before the end, and the code of the end."""
    told = []
    try:
        while True:
            told.append(receive(socket))
    except ConnectionClosed as closed:
        return told, closed.rcvd.code


@pytest.fixture(scope="module")
def gateway(aaa_market, tmp_path_factory):
    """Its application and its address; the cluster does not answer, so that jobs wait in the queue."""
    limits = Limits(
        socket=SocketLimits(auth_seconds=0.5, jobs=2, messages_per_second=0.5), sockets=6, active_jobs=0
    )
    settings = Settings(
        runs=tmp_path_factory.mktemp("runs"),
        data_root=aaa_market,
        address=NOWHERE,
        role_without_key="admin",
        limits=limits,
    )
    app = create_app(settings, NOWHERE)
    with listening(app, settings) as host:
        yield app.state.services, host


@pytest.fixture
def job_ids(gateway, new_job):
    services, _ = gateway
    return [services.job_records.add(new_job())[0].id for _ in range(3)]


@pytest.fixture
def opened(gateway):
    with connect(f"ws://{gateway[1]}/ws", close_timeout=2) as socket:
        yield socket


@pytest.fixture
def socket(opened):
    send(opened, **AUTH)
    assert receive(opened) == {"type": "authenticated", "role": "admin"}
    return opened


@pytest.mark.parametrize(
    ("first", "status", "detail"),
    [
        ('{"type":"unsubscribe","job_id":"job-0123456789abcdef01234567"}', 401, "the first message must be of type auth"),
        ('{"type":"ping"}', 401, "the first message must be of type auth"),
        ("not json", 400, "Invalid JSON: expected ident at line 1 column 2"),
        ('{"type":"open"}', 400, ("Input tag 'open' found using 'type' does not match any of the expected tags: "
         "'auth', 'subscribe', 'unsubscribe', 'ping'")),
        ('{"type":"auth","api_key":"k","more":1}', 400, "auth.more: unknown key"),
        ('{"type":"auth","api_key":["k"]}', 400, "auth.api_key: must be text"),
        (json.dumps({"type": "auth", "api_key": "k" * 300}), 400, "auth.api_key: must have at most 256 characters"),
        ("[]", 400, "must be a mapping of keys"),
    ],
)  # fmt: skip
def test_what_does_not_begin_with_a_key_is_told_why_and_closed(opened, first, status, detail):
    opened.send(first)
    told, code = ended(opened)
    assert told == [{"type": "error", "status": status, "detail": detail}]
    assert code == 4000 + status


def test_a_socket_without_a_key_is_closed_in_time(opened):
    started = time.monotonic()
    told, code = ended(opened)
    assert (told[0]["status"], code) == (408, 4408)
    assert time.monotonic() - started > 0.4


def test_a_job_is_pushed_as_it_is_and_whenever_it_changes(gateway, socket, job_ids):
    services, _ = gateway
    send(socket, type="subscribe", job_id=job_ids[0])
    assert receive(socket) == {"type": "subscribed", "job_id": job_ids[0]}
    update = receive(socket)
    assert {name: update[name] for name in ("type", "job_id", "status", "progress", "best_params")} == {
        "type": "job_update", "job_id": job_ids[0], "status": "queued", "progress": 0.0, "best_params": None,
    }  # fmt: skip
    services.job_records.request_cancel(job_ids[0])
    assert receive(socket)["status"] == "cancelled"


def test_what_is_unsubscribed_is_pushed_no_more(gateway, socket, job_ids):
    services, _ = gateway
    for job_id in job_ids[:2]:
        send(socket, type="subscribe", job_id=job_id)
        assert [receive(socket)["type"] for _ in range(2)] == ["subscribed", "job_update"]
    send(socket, type="unsubscribe", job_id=job_ids[0])
    assert receive(socket) == {"type": "unsubscribed", "job_id": job_ids[0]}
    for job_id in job_ids[:2]:
        services.job_records.request_cancel(job_id)
    update = receive(socket)
    assert (update["job_id"], update["status"]) == (job_ids[1], "cancelled")
    with pytest.raises(TimeoutError):
        receive(socket, 1.5)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"type": "subscribe", "job_id": UNKNOWN},
         {"type": "error", "status": 404, "detail": f"there is no job {UNKNOWN}", "job_id": UNKNOWN}),
        ({"type": "subscribe", "job_id": "../../etc/passwd"},
         {"type": "error", "status": 400, "detail": "subscribe.job_id: must match pattern '^job-[0-9a-f]{24}$'"}),
        (AUTH, {"type": "error", "status": 400, "detail": "the socket is authenticated already"}),
        ({"type": "unsubscribe", "job_id": UNKNOWN}, {"type": "unsubscribed", "job_id": UNKNOWN}),
    ],
)  # fmt: skip
def test_a_refused_message_leaves_the_socket_open(socket, message, answer):
    send(socket, **message)
    assert receive(socket) == answer
    send(socket, type="ping")
    assert receive(socket) == {"type": "pong"}


def test_a_socket_watches_so_many_jobs(socket, job_ids):
    for job_id in job_ids[:2]:
        send(socket, type="subscribe", job_id=job_id)
        assert [receive(socket)["type"] for _ in range(2)] == ["subscribed", "job_update"]
    send(socket, type="subscribe", job_id=job_ids[2])
    assert receive(socket)["status"] == 429


def test_a_flood_of_messages_ends_the_socket(socket):
    for _ in range(40):
        send(socket, type="ping")
    told, code = ended(socket)
    assert (told[-1]["status"], code) == (429, 4429)
    assert len(told) == 30


@pytest.mark.parametrize(("frame", "code"), [(b"{}", 1003), ("x" * 70_000, 1009)])
def test_frames_that_are_not_taken(socket, frame, code):
    socket.send(frame)
    assert ended(socket)[1] == code


def test_sockets_are_counted_and_limited(gateway):
    services, host = gateway
    until = time.monotonic() + 10
    while services.metrics.n_sockets and time.monotonic() < until:
        time.sleep(0.02)
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(f"ws://{host}/api/v1/ws")) for _ in range(7)]
        assert ended(sockets[6])[1] == 1013
        assert b"backtune_sockets 6.0" in services.metrics.render()


def test_a_page_of_another_site_gets_no_socket(gateway):
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{gateway[1]}/ws", origin="http://evil.example"),
    ):
        pass
    assert refused.value.response.status_code == 403
    with connect(f"ws://{gateway[1]}/ws", origin=f"http://{gateway[1]}") as socket:
        send(socket, **AUTH)
        assert receive(socket)["type"] == "authenticated"


class Growing:
    """A running job that is further at every look, and whose message is of some length."""

    def __init__(self, length=0):
        self.looks = 0
        self._message = "x" * length

    def find(self, job_id):
        self.looks += 1
        return job(self.looks, job_id=job_id, progress=0, message=self._message)


async def admit_anyone(_):
    return Principal("key-1", "someone", "trader")


async def always(_):
    return True


def watched(growing, limits, tmp_path):
    """The sockets of the gateway, watching such a job; looked at fifty times a second."""
    broadcaster = UpdateBroadcaster(growing.find, 0.02)
    services = SessionServices(admit_anyone, always, growing.find, broadcaster)

    async def endpoint(websocket):
        await websocket.accept()
        await LiveSession(websocket, services, limits).run()

    app = Starlette(routes=[WebSocketRoute("/ws", endpoint)])
    return listening(app, Settings(runs=tmp_path, data_root="unused"))


@contextmanager
def subscribed(host, **options):
    with connect(f"ws://{host}/ws", close_timeout=1, **options) as socket:
        send(socket, **AUTH)
        send(socket, type="subscribe", job_id=UNKNOWN)
        assert [receive(socket)["type"] for _ in range(2)] == ["authenticated", "subscribed"]
        yield socket


def test_one_look_serves_all_who_watch(tmp_path):
    growing = Growing()
    with watched(growing, SocketLimits(), tmp_path) as host:
        with ExitStack() as stack:
            sockets = [stack.enter_context(subscribed(host)) for _ in range(30)]
            before, since = growing.looks, time.monotonic()
            for socket in sockets:
                while receive(socket)["n_trials"] < before + 20:
                    pass
            looks = growing.looks - before
            assert looks <= (time.monotonic() - since) / 0.02 + 2
        time.sleep(0.3)
        looks = growing.looks
        time.sleep(0.2)
        assert growing.looks == looks, "nobody watches, and it is looked at"


def test_a_slow_reader_gets_the_newest_and_holds_up_nobody(tmp_path):
    growing = Growing(500_000)
    with (
        watched(growing, SocketLimits(), tmp_path) as host,
        subscribed(host, max_queue=1) as slow,
        subscribed(host) as quick,
    ):
        until = time.monotonic() + 3
        seen = []
        while time.monotonic() < until:
            seen.append(receive(quick)["n_trials"])
        assert len(seen) > 20
        assert seen == sorted(seen)
        # First what the buffers of the connection hold, then what is new.
        held = [receive(slow)["n_trials"]]
        while held[-1] < seen[-1]:
            held.append(receive(slow)["n_trials"])
        assert held == sorted(held)
        assert max(b - a for a, b in pairwise(held)) > 20, "nothing was left out for it"


def test_who_reads_nothing_is_ended(tmp_path):
    growing = Growing(500_000)
    with watched(growing, SocketLimits(send_seconds=0.3), tmp_path) as host, subscribed(host, max_queue=1):
        until, looks = time.monotonic() + 20, -1
        while looks != growing.looks:
            assert time.monotonic() < until, "it is still watched for"
            looks = growing.looks
            time.sleep(0.3)


def test_the_newest_text_of_a_job_waits_in_the_place_of_the_oldest():
    async def order():
        queue = UpdateQueue()
        for job_id, text in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("c", "c1")]:
            queue.put(job_id, text)
        queue.drop("c")
        return [await queue.get(), await queue.get()]

    assert asyncio.run(order()) == ["a2", "b1"]
