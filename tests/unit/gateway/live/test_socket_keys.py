"""Clients with keys at a real server: over HTTP and over the socket, signed and not."""

import asyncio
import json

import pytest
from gateways import listening
from secured import NOWHERE
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from backtune.client import AsyncHyperOptClient, HyperOptClient, RealTimeMonitor, RetryLimits
from backtune.gateway.app import create_app
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.settings import Limits, Settings, SocketLimits
from backtune.wire.signature import make_auth_message

QUICK = RetryLimits(tries=2, first_seconds=0.01)
SPEC = {"name": "k", "grid": {"strategies": ["RSIStrategy"], "assets": ["AAA"], "timeframes": ["1h"]}}


@pytest.fixture(scope="module")
def gateway(aaa_market, tmp_path_factory):
    """Its keys, some made before it knows them, and its address."""
    limits = Limits(socket=SocketLimits(check_seconds=0.2), active_jobs=0)
    settings = Settings(
        runs=tmp_path_factory.mktemp("runs"), data_root=aaa_market, address=NOWHERE, limits=limits
    )
    app = create_app(settings, NOWHERE)
    keys = KeyService(KeyRecords(app.state.services.database), GatewaySecret.open(settings.own_folder))
    made = {signing: keys.create("trader", signing=signing) for signing in ("off", "optional", "required")}
    made["revoked"] = keys.create("viewer")
    with listening(app, settings) as host:
        yield keys, made, host


@pytest.fixture(params=["off", "optional", "required"])
def key(request, gateway):
    return gateway[1][request.param][1]


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
    update = next(RealTimeMonitor(url, key.full_text, retries=QUICK).updates(job_id))
    assert update["status"] == "queued"


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
