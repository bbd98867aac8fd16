"""Bytes that are no HTTP, or HTTP that no client sends, at a real server: refused, and the server goes on."""

import json
import socket
import time

import pytest
from gateways import listening
from hostile import TOLD
from secured import NOWHERE, SINGLE

from backtune.gateway.app import create_app
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.settings import Limits, RequestLimits, Settings

BODY = json.dumps(SINGLE).encode()


@pytest.fixture(scope="module")
def server(aaa_market, tmp_path_factory):
    """Its port, and a key."""
    settings = Settings(
        runs=tmp_path_factory.mktemp("runs"), data_root=aaa_market, address=NOWHERE,
        request_limits=RequestLimits(body_seconds=0.5, failure_rate="100000/second"), limits=Limits(body_bytes=20_000),
    )  # fmt: skip
    app = create_app(settings, NOWHERE)
    keys = KeyService(KeyRecords(app.state.services.database), GatewaySecret.open(settings.own_folder))
    key = keys.create("trader")[1].header_value
    with listening(app, settings) as host:
        yield int(host.rpartition(":")[2]), key.encode()


def answered(port: int, *parts: bytes, seconds: float = 5) -> bytes:
    """All that comes until the server ends the connection or says nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        for part in parts:
            line.sendall(part)
            time.sleep(0.005)
        received = b""
        line.settimeout(seconds)
        try:
            while chunk := line.recv(65536):
                received += chunk
                if _is_whole(received):
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return received


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(found) and length.isdigit() and len(body) >= int(length)


def post(headers: bytes, body: bytes = BODY, path: bytes = b"/api/v1/optimize/single") -> bytes:
    return (
        b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: KEY\r\nContent-Type: application/json\r\n"
        + headers + b"\r\n\r\n" + body
    )  # fmt: skip


def get(target: bytes, headers: bytes = b"Host: 127.0.0.1\r\n") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nX-API-Key: KEY\r\n" + headers + b"\r\n"


# What is sent, and which statuses are right; 0 for a connection that is closed without an answer.
RAW = [
    ("nothing that is a request", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n", {400}),
    ("a line without a version", b"GET /health\r\n\r\n", {400}),
    ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", {400}),
    ("a version that is not", b"GET /health HTTP/9.9\r\n\r\n", {200, 400, 505}),
    ("an unknown method", b"PWN /health HTTP/1.1\r\nHost: x\r\n\r\n", {400, 401, 405}),
    ("a header without a colon", get(b"/health", b"Host: x\r\nnonsense\r\n"), {400}),
    ("a null in a header", get(b"/health", b"Host: x\r\nX-A: a\0b\r\n"), {200, 400}),
    ("a line end within a header", get(b"/health", b"Host: x\r\nX-A: a\rX-Injected: yes\r\n"), {200, 400}),
    ("a header of 100 KB", get(b"/health", b"X-A: " + b"a" * 100_000 + b"\r\n"), {400, 431}),
    ("five thousand headers", get(b"/health", b"X-A: a\r\n" * 5_000), {400, 431}),
    ("a path of 60 KB", get(b"/" + b"a" * 60_000), {400, 414}),
    ("a path that is no text", get(b"/api/v1/jobs/\xff\xfe\x80"), {400, 404, 422}),
    ("percent signs without numbers", get(b"/api/v1/jobs/%zz%"), {400, 404, 422}),
    ("a path that climbs", get(b"/api/v1/../../../../etc/passwd"), {400, 404}),
    ("a whole address", get(b"http://169.254.169.254/latest/meta-data"), {400, 404}),
    ("a query that is no text", get(b"/api/v1/jobs?status=%ff%fe"), {422}),
    ("two lengths", post(b"Content-Length: 5\r\nContent-Length: 90"), {400}),
    ("a length below zero", post(b"Content-Length: -5"), {400}),
    ("a length that is none", post(b"Content-Length: five"), {400}),
    ("a length beyond all numbers", post(b"Content-Length: " + b"9" * 30), {400, 413}),
    ("a length over the limit", post(b"Content-Length: 20001"), {413}),
    ("a length and chunks", post(b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"), {400, 422}),
    ("chunks of no size", post(b"Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n"), {400, 0}),
    ("a chunk of every size", post(b"Transfer-Encoding: chunked", b"f" * 16 + b"\r\n{}"), {400, 408, 413, 0}),
    ("an encoding that is none", post(b"Transfer-Encoding: xchunked", b"{}"), {400, 422}),
    ("a body that is said to be packed", post(b"Content-Encoding: gzip\r\nContent-Length: 10", b"\x1f\x8b" + b"\x00" * 8), {400, 422}),
    ("half a body", post(b"Content-Length: 200", BODY), {408}),
    ("half a head", b"POST /api/v1/optimize/single HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A", {0}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "sent", "statuses"), RAW, ids=[what for what, *_ in RAW])
def test_what_is_no_request(server, what, sent, statuses):
    port, key = server
    received = answered(port, sent.replace(b"KEY", key), seconds=0.3 if statuses == {0} else 5)
    status = int(received.split(b" ", 2)[1]) if received else 0
    assert status in statuses, received[:300]
    assert not [told for told in TOLD if told.encode() in received]
    assert b"\r\nx-injected" not in received.lower()
    assert answered(port, get(b"/health")).startswith(b"HTTP/1.1 200 ")


def test_of_two_requests_in_one_each_needs_a_key(server):
    port, key = server
    first = get(b"/api/v1/strategies").replace(b"KEY", key)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(
            first + b"GET /api/v1/strategies HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        received = b"".join(iter(lambda: line.recv(65536), b""))
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"401"]


def test_a_hundred_connections_that_say_nothing_keep_nobody_out(server):
    port, _ = server
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    try:
        for line in silent[::2]:
            line.sendall(b"GET /health HTTP/1.1\r\nHost:")
        assert answered(port, get(b"/health")).startswith(b"HTTP/1.1 200 ")
    finally:
        for line in silent:
            line.close()
