"""What concerns exchanges before any of them is asked."""

import sys

import pytest

from backtune.data.download.exchange import Exchange
from backtune.data.download.markets import Market
from backtune.data.download.retries import RetryPolicy
from backtune.data.download.stopping import StopRequest
from backtune.errors import SpecError
from backtune.spec.timeframe import Timeframe


@pytest.mark.parametrize(
    ("symbol", "kind", "settle", "asset"),
    [
        ("BTC/USDT", "spot", None, "BTCUSDT"),
        ("BTC/USDT:USDT", "swap", "USDT", "BTCUSDT.P"),
        ("BTC/USD:BTC", "swap", "BTC", "BTCUSD.P-BTC"),
        ("BTC/USD:USDC", "swap", "USDC", "BTCUSD.P-USDC"),
        ("BTC/USDT:USDT-241227", "future", "USDT", "BTCUSDT-241227"),
        ("BTC/USD:BTC-241227", "future", "BTC", "BTCUSD-BTC-241227"),
        ("BTC/USD:BTC-241227-60000-C", "option", "BTC", "BTCUSD-BTC-241227-60000-C"),
    ],
)
def test_no_two_markets_share_a_name(symbol, kind, settle, asset):
    base, quote = symbol.partition(":")[0].split("/")
    assert Market("x", symbol, kind, base, quote, settle, None, None).asset == asset


@pytest.mark.parametrize(
    ("n_failed", "asked", "least", "most"),
    [(1, None, 0.5, 1), (2, None, 1, 2), (7, None, 30, 60), (1, 30, 30.1, 30.3), (3, 0, 0.5, 1), (8, None, None, None),
     (1, 301, None, None)],
)  # fmt: skip
def test_pauses_double_and_honour_what_is_asked_for(n_failed, asked, least, most):
    pauses = [RetryPolicy().pause(n_failed, asked) for _ in range(50)]
    if least is None:
        assert set(pauses) == {None}
    else:
        assert all(least <= pause <= most for pause in pauses)
        assert len(set(pauses)) > 1


def test_a_stop_interrupts_waiting_and_nothing_else():
    stop = StopRequest()
    stop.request()
    assert stop.is_requested
    with pytest.raises(KeyboardInterrupt):
        stop.wait(60)


def test_without_ccxt_there_is_a_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(SpecError, match=r"pip install 'backtune\[download\]'"):
        Exchange("binance")


class TestWithCcxt:
    @pytest.fixture(autouse=True)
    def _ccxt(self):
        pytest.importorskip("ccxt", reason="ccxt is not installed: pip install 'backtune[download]'")

    def test_an_unknown_exchange_is_refused_with_close_names(self):
        with pytest.raises(SpecError, match=r"'binanc' is not one that ccxt knows \(did you mean 'binance'"):
            Exchange("binanc")

    @pytest.mark.parametrize(
        "url",
        ["http://mirror.example", "ftp://127.0.0.1", "127.0.0.1:80", "https://", "http://127.0.0.1:x"],
    )
    def test_addresses_that_are_refused(self, url):
        with pytest.raises(SpecError, match="is not an address such as https://mirror"):
            Exchange("binance", url=url)

    def test_another_server_takes_the_place_of_all_hosts(self):
        exchange = Exchange("binance", url="http://127.0.0.1:1/")
        assert exchange._api.urls["api"]["fapiPublic"] == "http://127.0.0.1:1/fapi/v1"
        assert Exchange("bybit", url="https://x.example")._api.urls["api"]["public"] == "https://x.example"

    def test_no_key_is_read(self, monkeypatch):
        monkeypatch.setenv("BINANCE_APIKEY", "key")
        exchange = Exchange("binance")
        assert not exchange._api.apiKey
        assert not exchange._api.secret

    def test_months_are_the_exchanges_own(self):
        exchange = Exchange("binance")
        try:
            month = Timeframe.parse("1mo")
        except SpecError:
            pytest.skip("no timeframe of a month yet")
        assert exchange.native_timeframe(month) == "1M"

    def test_timeframes_that_an_exchange_lacks(self):
        with pytest.raises(SpecError, match=r"kraken has no bars of 2h; .*allowed: 1m, 5m, 15m"):
            Exchange("kraken").native_timeframe(Timeframe.parse("2h"))
        assert Exchange("kraken").native_timeframe(Timeframe.parse("60m")) == "1h"
