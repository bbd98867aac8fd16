"""Backtests under rates alone have the digits that they had before fees in money, lots and ticks were known.

The prices are whole cents from whole-number draws, so that no machine's exponential function is in the digits.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
import pytest
from oracles import make_bars

from backtune.data.bars import Bars
from backtune.simulation.backtest import backtest, backtest_positions
from backtune.simulation.simulate import Result

N_BARS = 3_000
STOPS = {"stop_loss": 0.04, "take_profit": 0.07, "trailing_stop": 0.05, "maker_fee_bps": 1}
LEVERED = {"size": 2.5, "leverage": 3, "fee_bps": 4.5, "slippage_bps": 0.7}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "free": {"fee_bps": 0, "slippage_bps": 0},
    "stops": STOPS,
    "long only, half": {"allow_short": False, "size": 0.5, "slippage_bps": 3.3},
    "leverage": LEVERED,
    "leverage and stops": STOPS | LEVERED,
}
SUMS = ("total_return", "max_drawdown", "ulcer_index", "profit_factor", "average_win", "exposure", "turnover")
SOURCES = ("MovingAverageCrossover", "RSIStrategy", "BollingerBandsStrategy", "sized targets")


def bars_of_cents(*, funded: bool) -> Bars:
    random = np.random.default_rng(42)
    cents = 10_000 + np.cumsum(random.integers(-90, 92, 2 * N_BARS))
    opens, closes = np.maximum(cents[0::2], 500), np.maximum(cents[1::2], 500)
    up, down = random.integers(0, 60, (2, N_BARS))
    return make_bars(
        opens / 100,
        closes / 100,
        high=(np.maximum(opens, closes) + up) / 100,
        low=(np.minimum(opens, closes) - down) / 100,
        funding=random.integers(-20, 30, N_BARS) / 65_536 if funded else None,
    )


def result_of(source: str, bars: Bars, options: dict[str, Any]) -> Result:
    if source != "sized targets":
        return backtest(source, None, bars, options)
    levels = np.random.default_rng(7).integers(-4, 5, N_BARS) / 4
    return backtest_positions(np.repeat(levels, 6)[:N_BARS], bars, options)


def digest(result: Result) -> str:
    """Of every digit of equity and trades, and of metrics that are sums over either."""
    times = result.trades.select(pl.col("entry_time", "exit_time").cast(pl.Int64))
    columns = [*times, *result.trades.select("quantity", "entry_price", "exit_price", "pnl", "return")]
    parts = [result.equity.tobytes(), *(column.to_numpy().tobytes() for column in columns)]
    parts.append(repr([result.metrics[name] for name in SUMS]).encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


# (source, options, with funding): closed trades, last equity, digest.
ROWS: dict[tuple[str, str, bool], tuple[int, float, str]] = {
    ("MovingAverageCrossover", "defaults", False): (74, 11089.146780289033, "9a1cc5c11e95"),
    ("MovingAverageCrossover", "defaults", True): (74, 10886.169045377948, "01d9aac722b1"),
    ("MovingAverageCrossover", "free", False): (74, 13257.324486966674, "b0cb9ddd18ef"),
    ("MovingAverageCrossover", "free", True): (74, 13015.019734372472, "51fad1c31bb3"),
    ("MovingAverageCrossover", "stops", False): (74, 12348.37353577921, "2140d0e8d891"),
    ("MovingAverageCrossover", "stops", True): (74, 12247.28679408253, "adfc56fed94e"),
    ("MovingAverageCrossover", "long only, half", False): (37, 10671.632456571959, "c7b527df2c90"),
    ("MovingAverageCrossover", "long only, half", True): (37, 10146.181877244018, "33ea6478c5a4"),
    ("MovingAverageCrossover", "leverage", False): (74, 14251.98272207901, "7376c23b825a"),
    ("MovingAverageCrossover", "leverage", True): (74, 13649.317078307886, "dc65edabe52c"),
    ("MovingAverageCrossover", "leverage and stops", False): (74, 17686.34720441453, "bb6451f8f594"),
    ("MovingAverageCrossover", "leverage and stops", True): (74, 17343.80367340445, "38324239c21d"),
    ("RSIStrategy", "defaults", False): (19, 10370.862307645348, "4974cf4ad1f1"),
    ("RSIStrategy", "defaults", True): (19, 10538.630447240172, "9d1f0dad30f4"),
    ("RSIStrategy", "free", False): (19, 10869.521908316363, "6c84edeecc68"),
    ("RSIStrategy", "free", True): (19, 11043.975888820096, "7554f9d98e6b"),
    ("RSIStrategy", "stops", False): (20, 7998.079948095788, "ad889dc34e58"),
    ("RSIStrategy", "stops", True): (20, 7985.111255907305, "9974dcb78bea"),
    ("RSIStrategy", "long only, half", False): (9, 10509.824296964023, "015bebb3c711"),
    ("RSIStrategy", "long only, half", True): (9, 10060.769389050281, "3dce8e7b5638"),
    ("RSIStrategy", "leverage", False): (19, 10429.408070383633, "f72ab67232b8"),
    ("RSIStrategy", "leverage", True): (19, 10909.615286174743, "0cb696f80d4d"),
    ("RSIStrategy", "leverage and stops", False): (20, 5819.436781541814, "7d92f81cd4b7"),
    ("RSIStrategy", "leverage and stops", True): (20, 5807.185051094231, "bed37ac81b5d"),
    ("BollingerBandsStrategy", "defaults", False): (114, 7728.616799503115, "61524f4a3d1a"),
    ("BollingerBandsStrategy", "defaults", True): (114, 7683.643292978723, "295e5169e011"),
    ("BollingerBandsStrategy", "free", False): (114, 10174.262155103937, "23454c315b86"),
    ("BollingerBandsStrategy", "free", True): (114, 10114.982256047497, "c807fa645de9"),
    ("BollingerBandsStrategy", "stops", False): (114, 6645.665746304778, "8941a8560ed7"),
    ("BollingerBandsStrategy", "stops", True): (114, 6638.159505701229, "2e95124b2968"),
    ("BollingerBandsStrategy", "long only, half", False): (53, 9080.821507885961, "cebb84d725c6"),
    ("BollingerBandsStrategy", "long only, half", True): (53, 8838.002266245461, "e1188e7ee914"),
    ("BollingerBandsStrategy", "leverage", False): (114, 7060.003688670717, "b0b662ce6c2f"),
    ("BollingerBandsStrategy", "leverage", True): (114, 6951.62503719105, "4445c8749019"),
    ("BollingerBandsStrategy", "leverage and stops", False): (114, 4785.955743488417, "b49882a3e6b3"),
    ("BollingerBandsStrategy", "leverage and stops", True): (114, 4769.581767288482, "1f833020c1c1"),
    ("sized targets", "defaults", False): (242, 8481.808134900231, "b6b91bb44831"),
    ("sized targets", "defaults", True): (242, 8403.290027980705, "93f658a29b03"),
    ("sized targets", "free", False): (242, 13074.624234634508, "a0609a10e127"),
    ("sized targets", "free", True): (242, 12953.35041160279, "e52339c7a9a4"),
    ("sized targets", "stops", False): (248, 8996.994106732192, "8296b15cec75"),
    ("sized targets", "stops", True): (248, 8932.96774312639, "b54e7f59de76"),
    ("sized targets", "long only, half", False): (125, 9654.007886531592, "e275afeb6709"),
    ("sized targets", "long only, half", True): (125, 9365.577577771903, "d377834e4ebc"),
    ("sized targets", "leverage", False): (242, 11014.173028465577, "1b06b0129c48"),
    ("sized targets", "leverage", True): (242, 10753.008318559758, "0be9aa928426"),
    ("sized targets", "leverage and stops", False): (248, 12951.103586636213, "cfd43791545d"),
    ("sized targets", "leverage and stops", True): (248, 12710.487226554225, "4cd56f7e24c5"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "options", "funded"), ROWS)
def test_rates_alone_give_the_same_digits(source: str, options: str, *, funded: bool) -> None:
    result = result_of(source, bars_of_cents(funded=funded), OPTIONS[options])
    assert (len(result.trades), result.equity[-1], digest(result)) == ROWS[source, options, funded]
