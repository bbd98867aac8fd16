"""A local HTTP server that speaks the dialects of three exchanges, with the faults that a test wants.

Binance (spot and USDT-margined futures): milliseconds; up to 1,000 bars from the first one at or after ``startTime``;
errors as ``{"code", "msg"}`` with a status. Bybit: milliseconds as text, newest first, of the window from ``start`` on;
payments of a window, the newest 200 of it; errors as ``retCode`` with status 200. Kraken: seconds; bars after ``since``,
of the latest 720; errors in a list with status 200.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOUR = 3_600
DAY = 86_400
PAIRS = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT")}
_UNITS = {"s": 1, "m": 60, "h": HOUR, "d": DAY, "w": 7 * DAY}

Row = tuple[int, str, str, str, str, str]  # seconds, open, high, low, close, volume


def seconds(text: str) -> int:
    """Seconds since the epoch of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@dataclass
class Fault:
    """A disturbance of one answer.

    Attributes:
        status, headers, body: those of an answer in its place, where a status is given.
        cut: ``reset`` closes the connection in the middle of the body, ``truncated`` ends the body early as if it were whole.
        seconds: waited before the answer.
        until: an event that the answer waits for.
        edit: changes the rows of a page.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = "{}"
    cut: str | None = None
    seconds: float = 0.0
    until: threading.Event | None = None
    edit: Callable[[list[Row]], list[Row]] | None = None


@dataclass
class Exchange:
    """The state of the server; tests change it while it serves.

    Attributes:
        listed: seconds; there are no bars before.
        now: the exchange's clock in seconds.
        gaps: [start, end) without trades.
        values: bars with other values than the made ones, by seconds.
        faults: taken one by one by requests for bars and payments; None is no fault.
        market_faults: as ``faults``, by requests for markets and the time.
        seconds: that each page takes.
        payment_hours: between two payments.
        requests: paths with their queries, in the order they came.
    """

    listed: int = seconds("2023-01-01")
    now: float = seconds("2024-06-01")
    gaps: list[tuple[int, int]] = field(default_factory=list)
    values: dict[int, Row] = field(default_factory=dict)
    faults: list[Fault | None] = field(default_factory=list)
    market_faults: list[Fault | None] = field(default_factory=list)
    seconds: float = 0.0
    payment_hours: int = 8
    page_cap: int = 1_000
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def rows(self, pair: str, length: int, start: int, end: int, *, most: int = 10**9) -> list[Row]:
        """The first bars that open in [start, end), the last of them unfinished."""
        rows: list[Row] = []
        opens = -(-max(start, self.listed) // length) * length
        while opens < min(end, int(self.now) + 1) and len(rows) < most:
            gap = next((b for a, b in self.gaps if a <= opens and opens + length <= b), None)
            if gap is None:
                rows.append(self.values.get(opens) or made_bar(pair, length, opens, self.now))
                opens += length
            else:
                opens = gap // length * length
        return rows

    def payments(self, start: int, end: int) -> list[tuple[int, str]]:
        """Milliseconds and rates of the payments in [start, end) in seconds; stamped a little late."""
        step = self.payment_hours * HOUR
        first = -(-max(start, self.listed) // step) * step
        moments = range(first, min(end, int(self.now)), step)
        return [(t * 1000 + t // step % 3 * 4, f"{(t // step % 41 - 20) / 100_000:.5f}") for t in moments]

    def pages(self) -> list[dict[str, str]]:
        """The queries of requests for bars and payments."""
        return [
            query
            for path, query in self.requests
            if path.endswith(("klines", "kline", "OHLC", "fundingRate", "history"))
        ]


def made_bar(pair: str, length: int, opens: int, now: float) -> Row:
    """A bar whose values follow from its time; an unfinished one has traded in part."""
    k = (opens // 60 * 7919 + length + len(pair) * ord(pair[0])) % 9_973
    low = 100 + k / 8
    share = min(1.0, (now - opens) / length)
    prices = (low + 1.5, low + 2 * share + 1.5, low, low + 0.25 + share)
    return (opens, *(f"{price:.4f}" for price in prices), f"{(k % 100 + 1) * share:.6f}")  # type: ignore[return-value]


@contextmanager
def serving() -> Iterator[Exchange]:
    """A server on the loopback address; its ``url`` is the address."""
    exchange = Exchange()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(exchange))
    server.daemon_threads = True
    exchange.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield exchange
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Refusal(Exception):  # noqa: N818
    def __init__(self, status: int, content: Any) -> None:
        self.status, self.content = status, content


def _handler(exchange: Exchange) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            page = _PAGES.get(parts.path)
            with lock:
                exchange.requests.append((parts.path, query))
                queue = exchange.faults if page else exchange.market_faults
                fault = (queue.pop(0) if queue else None) or Fault()
            time.sleep(fault.seconds + (exchange.seconds if page else 0))
            if fault.until is not None:
                fault.until.wait(60)
            status, body = 200, ""
            try:
                if fault.status is not None:
                    status, body = fault.status, fault.body
                elif page is not None:
                    body = json.dumps(page(exchange, query, fault.edit or (lambda rows: rows)))
                else:
                    body = json.dumps(_OTHERS[parts.path](exchange, query))
            except _Refusal as refusal:
                status, body = refusal.status, json.dumps(refusal.content)
            except KeyError:
                status, body = 404, "<html>no such page</html>"
            try:
                self._answer(status, body.encode(), fault)
            except OSError:
                self.close_connection = True  # the client did not wait

        def _answer(self, status: int, body: bytes, fault: Fault) -> None:
            if fault.cut == "truncated":
                body = body[: len(body) * 2 // 3]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if fault.cut == "reset":
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(body)

    return Handler


Edit = Callable[[list[Row]], list[Row]]


def _binance_klines(exchange: Exchange, query: dict[str, str], edit: Edit) -> Any:
    if query["symbol"] not in PAIRS:
        raise _Refusal(400, {"code": -1121, "msg": "Invalid symbol."})
    most = min(int(query.get("limit", 500)), exchange.page_cap)
    length = int(query["interval"][:-1]) * _UNITS[query["interval"][-1]]
    start = -(-int(query["startTime"]) // 1000)
    rows = edit(exchange.rows(query["symbol"], length, start, int(exchange.now) + 1, most=most))
    return [
        [t * 1000, o, h, low, c, v, (t + length) * 1000 - 1, "0", 1, "0", "0", "0"]
        for t, o, h, low, c, v in rows
    ]


def _binance_markets(kind: str) -> Callable[[Exchange, dict[str, str]], Any]:
    extra = {"contractType": "PERPETUAL", "marginAsset": "USDT"} if kind == "linear" else {}
    symbols = [
        {"symbol": pair, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": [], **extra}
        for pair, (base, quote) in PAIRS.items()
    ]
    return lambda _exchange, _query: {"symbols": symbols if kind != "inverse" else []}


def _binance_funding(exchange: Exchange, query: dict[str, str], _edit: Edit) -> Any:
    start, most = int(query["startTime"]), min(int(query.get("limit", 100)), exchange.page_cap)
    end = int(query.get("endTime", 10**15))
    rows = exchange.payments(start // 1000 - DAY, int(exchange.now) + 1)
    return [
        {"symbol": query["symbol"], "fundingTime": t, "fundingRate": rate}
        for t, rate in rows
        if start <= t <= end
    ][:most]


def _bybit(result: dict[str, Any], exchange: Exchange) -> Any:
    return {
        "retCode": 0,
        "retMsg": "OK",
        "result": result,
        "retExtInfo": {},
        "time": int(exchange.now * 1000),
    }


def _bybit_klines(exchange: Exchange, query: dict[str, str], edit: Edit) -> Any:
    if query["symbol"] not in PAIRS:
        raise _Refusal(200, {"retCode": 10001, "retMsg": "params error: symbol invalid", "result": {}})
    text = query["interval"]
    length = {"D": DAY, "W": 7 * DAY}.get(text) or int(text) * 60
    asked = min(int(query["limit"]), 1_000)
    start = int(query["start"]) // 1000
    end = start + asked * length
    rows = edit(exchange.rows(query["symbol"], length, start, end))[-min(asked, exchange.page_cap) :]
    listed = [[str(t * 1000), o, h, low, c, v, "0"] for t, o, h, low, c, v in reversed(rows)]
    return _bybit({"symbol": query["symbol"], "category": query["category"], "list": listed}, exchange)


def _bybit_funding(exchange: Exchange, query: dict[str, str], _edit: Edit) -> Any:
    start, end = int(query["startTime"]), int(query["endTime"])
    rows = [row for row in exchange.payments(start // 1000 - DAY, end // 1000 + 1) if start <= row[0] <= end]
    listed = [
        {"symbol": query["symbol"], "fundingRate": rate, "fundingRateTimestamp": str(t)} for t, rate in rows
    ][::-1][: min(int(query["limit"]), 200)]
    return _bybit({"category": query["category"], "list": listed}, exchange)


def _bybit_markets(exchange: Exchange, query: dict[str, str]) -> Any:
    contract = {
        "linear": {"contractType": "LinearPerpetual", "settleCoin": "USDT", "fundingInterval": 480},
        "spot": {},
    }.get(query["category"])
    listed = [
        {"symbol": pair, "baseCoin": base, "quoteCoin": quote, "status": "Trading", **contract}
        for pair, (base, quote) in PAIRS.items()
        if contract is not None and "status" not in query
    ]  # fmt: skip
    return _bybit({"category": query["category"], "list": listed, "nextPageCursor": None}, exchange)


def _kraken(result: Any) -> Any:
    return {"error": [], "result": result}


def _kraken_ohlc(exchange: Exchange, query: dict[str, str], edit: Edit) -> Any:
    if query["pair"] not in PAIRS:
        raise _Refusal(200, {"error": ["EQuery:Unknown asset pair"]})
    length = int(query["interval"]) * 60
    rows = exchange.rows(query["pair"], length, int(exchange.now) - 721 * length, int(exchange.now) + 1)[
        -720:
    ]
    rows = edit([row for row in rows if row[0] > int(query["since"])])
    listed = [[t, o, h, low, c, o, v, 7] for t, o, h, low, c, v in rows]
    return _kraken({query["pair"]: listed, "last": rows[-1][0] if rows else int(query["since"])})


def _kraken_markets(_exchange: Exchange, _query: dict[str, str]) -> Any:
    return _kraken({
        pair: {"altname": pair, "wsname": f"{base}/{quote}", "base": base, "quote": quote, "pair_decimals": 4,
               "lot_decimals": 8, "leverage_buy": [], "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]], "status": "online"}
        for pair, (base, quote) in PAIRS.items()
    })  # fmt: skip


_PAGES: dict[str, Callable[[Exchange, dict[str, str], Edit], Any]] = {
    "/api/v3/klines": _binance_klines,
    "/fapi/v1/klines": _binance_klines,
    "/fapi/v1/fundingRate": _binance_funding,
    "/v5/market/kline": _bybit_klines,
    "/v5/market/funding/history": _bybit_funding,
    "/0/public/OHLC": _kraken_ohlc,
}
_OTHERS: dict[str, Callable[[Exchange, dict[str, str]], Any]] = {
    "/api/v3/exchangeInfo": _binance_markets("spot"),
    "/fapi/v1/exchangeInfo": _binance_markets("linear"),
    "/dapi/v1/exchangeInfo": _binance_markets("inverse"),
    "/api/v3/time": lambda exchange, _: {"serverTime": int(exchange.now * 1000)},
    "/v5/market/instruments-info": _bybit_markets,
    "/v5/market/time": lambda exchange, _: _bybit({}, exchange),
    "/0/public/AssetPairs": _kraken_markets,
    "/0/public/Assets": lambda _exchange, _query: _kraken({}),
    "/0/public/Time": lambda exchange, _: _kraken({"unixtime": int(exchange.now), "rfc1123": ""}),
}
