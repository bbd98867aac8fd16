"""An S3 server that now and then is too busy: a proxy before a real one, which refuses a share of the requests."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_BUSY = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"
# They belong to one connection, and are set by each side for its own.
_OF_A_CONNECTION = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "date",
    "expect",
    "server",
}


@dataclass
class BusyS3:
    """A proxy that refuses requests.

    Attributes:
        server: ``host:port`` that the other requests go to.
        refusals: for each request in the order of their coming, whether it is answered with 503.
        n_refused, n_passed: requests so far.
    """

    server: str
    refusals: Iterator[bool]
    n_refused: int = 0
    n_passed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refuses(self) -> bool:
        """Whether the next request is refused."""
        with self.lock:
            refused = next(self.refusals)
            self.n_refused += refused
            self.n_passed += not refused
            return refused

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on a free port, whose address is given."""
        with ThreadingHTTPServer(("127.0.0.1", 0), _requests_to(self)) as proxy:
            proxy.daemon_threads = True
            thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield f"http://127.0.0.1:{proxy.server_port}"
            finally:
                proxy.shutdown()
                thread.join()


def a_share(share: float, seed: int) -> Iterator[bool]:
    """Refuse a share of all requests, by chance."""
    chance = random.Random(seed)  # noqa: S311
    while True:
        yield chance.random() < share


def _requests_to(s3: BusyS3) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

        def _answer(self) -> None:
            body = self._body()
            if s3.refuses():
                self._send(503, {"Content-Type": "application/xml"}, _BUSY, len(_BUSY))
                return
            server = http.client.HTTPConnection(s3.server, timeout=10)
            try:
                server.request(self.command, self.path, body, self._headers(len(body)))
                answer = server.getresponse()
                content = answer.read()
                length = int(answer.headers.get("Content-Length") or len(content))
                self._send(answer.status, dict(answer.headers), content, length)
            finally:
                server.close()

        def _body(self) -> bytes:
            """What Arrow writes comes in pieces, their lengths in hexadecimal before them."""
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pieces = []
            while length := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def _headers(self, length: int) -> dict[str, str]:
            others = {
                name: value for name, value in self.headers.items() if name.lower() not in _OF_A_CONNECTION
            }
            return {**others, "Content-Length": str(length)}

        def _send(self, status: int, headers: dict[str, str], content: bytes, length: int) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in _OF_A_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

    return Request
