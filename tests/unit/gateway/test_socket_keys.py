"""Clients with keys at a real server: over HTTP and over the socket, signed and not."""

import asyncio
import json

import pytest
from gateways import listening
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from backtune.client import AsyncHyperOptClient, HyperOptClient, RealTimeMonitor, RetryLimits
from backtune.data.synthetic import make_market
from backtune.errors import AccessError, RefusedError
from backtune.gateway.app import create_app
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.settings import Limits, Settings, SocketLimits
from backtune.wire.api_key import ApiKey
from backtune.wire.signature import make_auth_message

NOWHERE = "http://127.0.0.1:9"
QUICK = RetryLimits(tries=2, first_seconds=0.01)
SPEC = {"name": "k", "grid": {"strategies": ["RSIStrategy"], "assets": ["AAA"], "timeframes": ["1h"]}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """Its keys, some made before it knows them, and its address."""
    root = str(tmp_path_factory.mktemp("market"))
    make_market(root, assets=["AAA"], timeframe="15m", start="2021-01-01", end="2021-07-01", seed=3)
    limits = Limits(socket=SocketLimits(check_seconds=0.2), active_jobs=0)
    settings = Settings(runs=tmp_path_factory.mktemp("runs"), data_root=root, address=NOWHERE, limits=limits)
    app = create_app(settings, NOWHERE)
    keys = KeyService(KeyRecords(app.state.services.database), GatewaySecret.open(settings.own_folder))
    made = {
        (role, signing): keys.create(role, signing=signing)
        for role in ("viewer", "trader")
        for signing in ("off", "optional", "required")
    }
    made["another"] = keys.create("trader")
    made["revoked"] = keys.create("viewer")
    with listening(app, settings) as host:
        yield keys, made, host


@pytest.fixture(params=["off", "optional", "required"])
def key(request, gateway):
    return gateway[1]["trader", request.param][1]


def first_update(url, key, job_id):
    return next(RealTimeMonitor(url, key, retries=QUICK).updates(job_id))


def test_both_clients_and_the_monitor_are_let_in_however_the_key_signs(gateway, key):
    url = f"http://{gateway[2]}"
    with HyperOptClient(url, key.full_text, retries=QUICK) as client:
        job_id = client.start_batch(SPEC)
        assert client.get_optimization_status(job_id)["owner"] == key.key_id
        assert [one["job_id"] for one in client.list_optimizations(["queued"], 5)] == [job_id]

    async def strategies():
        async with AsyncHyperOptClient(url, key.full_text, retries=QUICK) as twin:
            return await twin.get_strategies()

    assert len(asyncio.run(strategies())) >= 4
    assert first_update(url, key.full_text, job_id)["status"] == "queued"


def test_a_key_that_must_sign_opens_nothing_without_its_signing_secret(gateway):
    key = gateway[1]["trader", "required"][1]
    with (
        pytest.raises(AccessError, match="must be signed"),
        HyperOptClient(f"http://{gateway[2]}", key.header_value) as client,
    ):
        client.get_strategies()
    with pytest.raises(AccessError, match="must be signed"):
        first_update(f"http://{gateway[2]}", key.header_value, "job-0123456789abcdef01234567")


def test_a_first_message_that_was_heard_before_is_refused(gateway):
    key = gateway[1]["viewer", "required"][1]
    message = json.dumps(make_auth_message(key))
    for expected in ("authenticated", "error"):
        with connect(f"ws://{gateway[2]}/ws") as socket:
            socket.send(message)
            told = json.loads(socket.recv(timeout=10))
            assert told["type"] == expected
    assert (told["status"], told["detail"]) == (401, "the nonce was used before")


def test_another_keys_job_is_none_of_a_traders(gateway):
    made, url = gateway[1], f"http://{gateway[2]}"
    with HyperOptClient(url, made["trader", "off"][1].full_text) as client:
        job_id = client.start_batch(SPEC)
    with pytest.raises(RefusedError, match="there is no job"):
        first_update(url, made["another"][1].full_text, job_id)
    assert first_update(url, made["viewer", "off"][1].full_text, job_id)["job_id"] == job_id


def test_a_revoked_key_loses_its_socket(gateway):
    keys, made, host = gateway
    record, text = made["revoked"]
    with connect(f"ws://{host}/ws") as socket:
        socket.send(json.dumps(make_auth_message(text)))
        assert json.loads(socket.recv(timeout=10))["type"] == "authenticated"
        keys.revoke(record.id)
        assert json.loads(socket.recv(timeout=10)) == {
            "type": "error",
            "status": 401,
            "detail": "the key no longer holds",
        }
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd.code == 4401


def test_a_made_up_key_is_refused(gateway):
    with pytest.raises(AccessError, match="the API key is not valid"):
        first_update(
            f"http://{gateway[2]}", ApiKey("0" * 16, bytes(32)).header_value, "job-0123456789abcdef01234567"
        )
