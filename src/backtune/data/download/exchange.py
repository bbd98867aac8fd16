"""Exchanges, through ccxt: markets, bars and funding payments as they answer them, with patience for their failures."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final, TypeVar, final
from urllib.parse import urlsplit

from backtune.data.download.markets import Market
from backtune.data.download.retries import RetryPolicy, parse_retry_after
from backtune.data.download.stopping import StopRequest
from backtune.errors import DownloadError, SpecError
from backtune.spec.timeframe import Timeframe

URL_VARIABLE: Final = "BACKTUNE_EXCHANGE_URL"
_INSTALL: Final = "pip install 'backtune[download]'"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_SHOWN_CHARACTERS: Final = 160
_UNKNOWN_TRIES: Final = 3
_N_SUGGESTIONS: Final = 3
# Statuses from 400 to 499 that another try may get past: timeout, too early, too many, and Binance's ban.
_PASSING: Final = frozenset({408, 418, 425, 429})
# What ccxt raises while it takes an answer apart that is not what it expects.
_UNEXPECTED: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# Payments in an answer at most, where more can be asked for than come by themselves.
_PAYMENTS_PER_PAGE: Final = {"binance": 1000, "binanceusdm": 1000, "binancecoinm": 1000}

T = TypeVar("T")


@final
class Exchange:
    """One exchange. No API key is needed, and none is read.

    Attributes:
        name: ccxt's id, such as ``binance``.
        ccxt_version: the version of the library that asks.
        n_requests: answers that came, good or bad.
        has_funding: true if the exchange tells past funding payments.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        retries: RetryPolicy | None = None,
        timeout_seconds: float = 20.0,
        limit_rate: bool = True,
        stop: StopRequest | None = None,
    ) -> None:
        """Take ccxt's class of that name; nothing is asked yet.

        Args:
            url: another server with the same interface, in the place of the exchange's hosts: a mirror, or a server
                for tests; without it ``BACKTUNE_EXCHANGE_URL``, where it is set. ``http://`` is taken on this machine alone.
            timeout_seconds: The longest time without a byte of an answer, in seconds.
            limit_rate: keep to the rate that ccxt knows the exchange to allow.
            stop: ends a request or a pause at once.

        Raises:
            SpecError: ccxt is not installed, or knows no exchange of that name, or the address is none.
        """
        self._ccxt = ccxt = _import_ccxt()
        if name not in ccxt.exchanges:
            close = difflib.get_close_matches(name.lower(), ccxt.exchanges, n=_N_SUGGESTIONS)
            raise SpecError(
                "exchange",
                f"{name!r} is not one that ccxt knows{_did_you_mean(close)}; "
                "https://docs.ccxt.com lists them",
                value=name,
            )
        self._api = getattr(ccxt, name)(
            {
                "timeout": round(timeout_seconds * 1000),
                "enableRateLimit": limit_rate,
                "enableLastResponseHeaders": False,
            }
        )
        self.name = name
        self.ccxt_version: str = ccxt.__version__
        self.n_requests = 0
        self.has_funding: bool = self._api.has.get("fetchFundingRateHistory") is True
        self.on_pause: Callable[[str], None] = lambda _reason: None
        self._retries = retries or RetryPolicy()
        self._stop = stop or StopRequest()
        self._timeout_seconds = timeout_seconds
        self._status: int | None = None
        self._retry_after: str | None = None
        self._clock: tuple[int, float] | None = None
        self._all_kinds: list[str] = []
        self._read_json = self._api.parse_json
        # Methods that ccxt's manual leaves to its users to override.
        self._api.on_rest_response, self._api.parse_json = self._note_answer, self._read_whole_json
        url = url or os.environ.get(URL_VARIABLE)
        if url:
            self._api.urls["api"] = _redirected(self._api.urls["api"], _checked_url(url))
        self._timeframes = _readable(self._api.timeframes or {})

    def close(self) -> None:
        """Close the connections."""
        if self._api.session is not None:
            self._api.session.close()

    def native_timeframe(self, timeframe: Timeframe) -> str:
        """Return the exchange's own name of a timeframe.

        Raises:
            SpecError: it has no such bars.
        """
        if self._api.has.get("fetchOHLCV") is not True:
            raise SpecError("exchange", f"{self.name} tells no bars of the past", value=self.name)
        if timeframe not in self._timeframes:
            raise SpecError(
                "timeframe",
                f"{self.name} has no bars of {timeframe}; take a finer one that divides it, other lengths are built "
                "from it",
                value=str(timeframe),
                allowed=map(str, sorted(self._timeframes)),
            )
        return self._timeframes[timeframe]

    def longer_timeframe(self, than: Timeframe, *, at_most: int) -> Timeframe | None:
        """Return the longest timeframe up to a day and ``at_most`` seconds that is longer than ``than``; None without one."""
        longest = Timeframe(min(at_most, 86_400))
        return max((t for t in self._timeframes if than < t <= longest), default=None)

    def markets(self, symbols: Iterable[str], *, funding: bool) -> list[Market]:
        """Return the markets of symbols, in their order.

        Args:
            funding: true if payments of perpetual futures are wanted of them.

        Raises:
            SpecError: the exchange has no such symbol, or it has no funding.
            DownloadError: the exchange refuses, or does not answer.
        """
        symbols = list(symbols)
        is_more = self._skip_other_kinds(symbols, funding=funding)
        known: Mapping[str, Any] = self._ask(lambda: self._api.load_markets(is_more), check=_some_markets)
        return [self._market(symbol, known, funding=funding) for symbol in symbols]

    def now(self) -> int:
        """Return the exchange's time in microseconds since the epoch, rather too early than too late.

        Raises:
            DownloadError: the exchange does not answer.
        """
        if self._clock is None:
            self._clock = (self._server_time(), time.monotonic())
        told, at = self._clock
        return told + int((time.monotonic() - at) * 1_000_000)

    def bars(self, market: Market, timeframe: Timeframe, since: int, limit: int | None) -> list[list[Any]]:
        """Return bars from a time on as the exchange answers them: milliseconds, open, high, low, close, volume.

        Args:
            since: microseconds since the epoch.

        Raises:
            DownloadError: the exchange refuses, or does not answer.
        """
        native = self.native_timeframe(timeframe)
        answer = self._ask(lambda: self._api.fetch_ohlcv(market.symbol, native, since // 1000, limit))
        return [list(row) for row in answer]

    def payments(self, market: Market, since: int, until: int | None = None) -> list[tuple[Any, Any]]:
        """Return funding payments from a time on as the exchange answers them: milliseconds, rate.

        Args:
            since, until: microseconds since the epoch; not every exchange minds ``until``.

        Raises:
            DownloadError: the exchange refuses, or does not answer.
        """
        extra = {} if until is None else {"until": until // 1000}
        answer = self._ask(
            lambda: self._api.fetch_funding_rate_history(
                market.symbol, since // 1000, market.payments_per_page, extra
            )
        )
        return [(row["timestamp"], row["fundingRate"]) for row in answer]

    def _market(self, symbol: str, known: Mapping[str, Any], *, funding: bool) -> Market:
        found = known.get(symbol)
        if found is None:
            by_id = [other for other, entry in known.items() if entry["id"] == symbol]
            close = by_id or difflib.get_close_matches(symbol.upper(), known, n=_N_SUGGESTIONS)
            raise SpecError("symbol", f"{self.name} has no {symbol!r}{_did_you_mean(close)}", value=symbol)
        if funding and (found["type"] != "swap" or not self.has_funding):
            of_base = [s for s, m in known.items() if m["type"] == "swap" and m["base"] == found["base"]]
            close = difflib.get_close_matches(symbol, of_base, n=_N_SUGGESTIONS, cutoff=0.0)
            why = (
                f"{symbol} is a market of kind {found['type']}, and perpetual futures alone have funding"
                f"{_did_you_mean(close)}"
                if self.has_funding
                else f"{self.name} does not tell past funding payments"
            )
            raise SpecError("funding", why, value=symbol)
        limit = self._api.feature_value(symbol, "fetchOHLCV", "limit") if self._api.features else None
        return Market(
            self.name,
            symbol,
            str(found["type"]),
            str(found["base"]),
            str(found["quote"]),
            found.get("settle"),
            None if limit is None else int(limit),
            _PAYMENTS_PER_PAGE.get(self.name),
        )

    def _skip_other_kinds(self, symbols: Iterable[str], *, funding: bool) -> bool:
        """Leave out lists of markets that cannot hold the symbols, where the exchange keeps several. Returns true if
        there are lists among the others that an earlier call left out.
        """
        options = self._api.options.get("fetchMarkets")
        if not isinstance(options, dict) or not isinstance(options.get("types"), list):
            return False
        wanted = {"spot"}
        for symbol in symbols:
            if ":" in symbol or funding:
                wanted |= {"linear", "inverse"} | ({"option"} if symbol.count("-") > 1 else set())
        self._all_kinds = self._all_kinds or list(options["types"])
        before = options["types"]
        kinds = [kind for kind in self._all_kinds if kind in wanted or (kind in before and self._api.markets)]
        options["types"] = kinds or self._all_kinds
        return bool(self._api.markets) and set(options["types"]) > set(before)

    def _server_time(self) -> int:
        if self._api.has.get("fetchTime") is True:
            try:
                told = self._ask(self._api.fetch_time)
            except DownloadError as error:
                if error.is_transient:
                    raise
            else:
                if isinstance(told, int | float):
                    return int(told) * 1000
        return time.time_ns() // 1000

    def _ask(self, request: Callable[[], T], check: Callable[[T], object] = lambda _answer: None) -> T:
        """Return the answer to a request, which is tried again as long as that may help."""
        n_failed, n_tries = 0, 1
        while True:
            self._status = self._retry_after = None
            try:
                with self._stop.interruptible():
                    answer = request()
                    check(answer)
                    return answer
            except self._ccxt.BaseError as error:
                problem, is_transient = self._described(error), self._is_transient(error)
                # An error that ccxt does not tell the kind of may pass.
                n_tries = _UNKNOWN_TRIES if type(error) is self._ccxt.ExchangeError else 1
            except _UNEXPECTED as error:
                problem, is_transient = (
                    f"an answer that cannot be read ({type(error).__name__}: {error})",
                    True,
                )
            n_failed += 1
            if not is_transient and n_failed >= n_tries:
                raise DownloadError(f"{self.name}: {problem}", is_transient=False)
            asked = parse_retry_after(self._retry_after)
            seconds = self._retries.pause(n_failed, asked)
            if seconds is None:
                wish = f"asks to wait {asked:.0f} s" if asked and asked > 60 else f"after {n_failed} tries"
                raise DownloadError(f"{self.name}: {problem} ({wish})", is_transient=True)
            self.on_pause(
                f"{self.name}: {problem}; try {n_failed + 1} of {self._retries.tries} in {seconds:.1f} s"
            )
            self._stop.wait(seconds)

    def _is_transient(self, error: Exception) -> bool:
        if self._status is not None and self._status >= 400:
            return self._status >= 500 or self._status in _PASSING
        if isinstance(error, self._ccxt.OperationFailed):
            return True
        # No whole answer came, whatever ccxt takes that for.
        return self._status is None and isinstance(error.__cause__, OSError)

    def _described(self, error: Exception) -> str:
        if isinstance(error, self._ccxt.RequestTimeout) and self._status is None:
            return f"no answer within {self._timeout_seconds:g} s"
        if self._status is None and error.__cause__ is not None:
            return f"the connection failed: {_one_line(_root_cause(error))}"
        text = _one_line(str(error).removeprefix(f"{self.name} "))
        if self._status in (None, 200):
            return text
        return f"HTTP {text}" if text.startswith(str(self._status)) else f"HTTP {self._status}: {text}"

    def _note_answer(self, *answer: Any) -> str:
        """Take note of an answer, of which ccxt passes: status, reason, address, method, headers, body, and the request."""
        status, headers, body = answer[0], answer[4], answer[5]
        self.n_requests += 1
        self._status, self._retry_after = int(status), headers.get("Retry-After")
        return str(body).strip()

    def _read_whole_json(self, body: str) -> Any:
        """Read JSON as ccxt does, but refuse text that is none, or not all of it: ccxt takes it for an answer without bars."""
        content = self._read_json(body)
        if content is None and self._status is not None and self._status < 400:
            raise self._ccxt.BadResponse(f"{self.name} an answer that is not whole JSON: {body!r}")
        return content


def _import_ccxt() -> ModuleType:
    try:
        import ccxt
    except ModuleNotFoundError as error:
        raise SpecError("download", f"needs ccxt, which is not installed: {_INSTALL}") from error
    module: ModuleType = ccxt
    return module


def _readable(native: Mapping[str, Any]) -> dict[Timeframe, str]:
    """Return the timeframes of an exchange; ccxt writes months as ``M``. Those that cannot be stored are left out."""
    found: dict[Timeframe, str] = {}
    for name in native:
        try:
            found.setdefault(
                Timeframe.parse(name.removesuffix("M") + "mo" if name.endswith("M") else name), name
            )
        except SpecError:
            continue
    return found


def _some_markets(markets: Mapping[str, Any]) -> None:
    if not markets:
        raise ValueError("no markets in it")


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)):
        return url.rstrip("/")
    raise SpecError(
        "url",
        f"{url!r} is not an address such as https://mirror.example; http:// is for this machine alone",
        value=url,
    )


def _redirected(urls: Any, url: str) -> Any:
    """Return the addresses of an exchange with ``url`` in the place of their hosts."""
    if isinstance(urls, dict):
        return {name: _redirected(entry, url) for name, entry in urls.items()}
    if not isinstance(urls, str):
        return urls
    _, separator, rest = urls.partition("://")
    _, slash, path = rest.partition("/")
    return f"{url}{slash}{path}" if separator else urls


def _root_cause(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 3] + "..."


def _did_you_mean(close: Iterable[str]) -> str:
    names = " or ".join(repr(name) for name in close)
    return f" (did you mean {names}?)" if names else ""
