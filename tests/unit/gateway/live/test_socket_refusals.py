"""Keys at a socket: the first message lets in, once, and whose jobs are told."""

import time

import pytest
from secured import API, ROLES, SINGLE, Secured
from starlette.websockets import WebSocketDisconnect

from backtune.wire.api_key import ApiKey
from backtune.wire.signature import SignedContent, make_auth_message


def first_answer(gateway: Secured, message: dict[str, str], path: str = "/ws") -> tuple[str, int]:
    """What is told, and the status it ends with (0: it does not)."""
    with gateway.client.websocket_connect(path) as socket:
        socket.send_json(message)
        told = socket.receive_json()
        if told["type"] == "authenticated":
            return told["role"], 0
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 4000 + told["status"]
        return told["detail"], told["status"]


@pytest.mark.parametrize("path", ["/ws", f"{API}/ws"])
@pytest.mark.parametrize("role", ROLES)
def test_every_role_may_watch(gateway, keys, role, path):
    assert first_answer(gateway, make_auth_message(keys[role]), path) == (role, 0)


def test_who_has_no_key_is_let_in_nowhere(gateway, keys):
    wrong = keys["admin"].header_value[:-4] + "0000"
    before = gateway.audit.verify().n_entries
    for api_key in ("", "x", wrong, keys["admin"].header_value + "." + "0" * 64):
        assert first_answer(gateway, {"type": "auth", "api_key": api_key})[1] == 401
    entries = gateway.audit.read_last(1000)[before:]
    assert [entry["action"] for entry in entries] == ["SOCKET /ws"] * 4
    assert [entry["key_id"] for entry in entries] == ["", "", keys["admin"].key_id, keys["admin"].key_id]


def test_a_key_that_signs_signs_its_first_message_and_it_counts_once(gateway):
    key = gateway.key("viewer", signing="required")
    message = make_auth_message(key)
    assert first_answer(gateway, message) == ("viewer", 0)
    assert first_answer(gateway, message) == ("the nonce was used before", 401)
    unsigned = make_auth_message(ApiKey(key.key_id, key.secret))
    assert first_answer(gateway, unsigned) == ("requests with this API key must be signed", 401)
    for offset, status in ((-290, 0), (290, 0), (-310, 401), (310, 401)):
        assert first_answer(gateway, make_auth_message(key, now=time.time() + offset))[1] == status
    changed = make_auth_message(key) | {"nonce": "n" * 32}
    assert first_answer(gateway, changed) == ("the signature does not fit the request", 401)


def test_a_request_s_signature_lets_no_socket_in(gateway):
    key = gateway.key("viewer", signing="required")
    parts = SignedContent(str(int(time.time())), "n" * 32, "GET", "/ws")
    message = {
        "type": "auth", "api_key": key.header_value, "timestamp": parts.timestamp, "nonce": parts.nonce,
        "signature": parts.sign(key.signing_secret),
    }  # fmt: skip
    assert first_answer(gateway, message)[1] == 401


@pytest.mark.parametrize(
    ("who", "told"),
    [("owner", "subscribed"), ("trader", "error"), ("viewer", "subscribed"), ("admin", "subscribed")],
)
def test_whose_jobs_are_told(gateway, keys, who, told):
    owner = gateway.key("trader")
    job_id = gateway.ask(owner, "POST", f"{API}/optimize/single", json=SINGLE).json()["job_id"]
    with gateway.client.websocket_connect("/ws") as socket:
        socket.send_json(make_auth_message(owner if who == "owner" else keys[who]))
        assert socket.receive_json()["type"] == "authenticated"
        socket.send_json({"type": "subscribe", "job_id": job_id})
        answer = socket.receive_json()
        assert answer["type"] == told
        if told == "error":
            assert (answer["status"], answer["detail"]) == (404, f"there is no job {job_id}")
