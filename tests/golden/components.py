"""Rows of each component that decides the results of a sweep, taken alone, so that a change can be laid at its door."""

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sweeps import add_funding

from backtune import backtest_positions, load_bars
from backtune.data.bars import Bars
from backtune.data.synthetic import make_market
from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.samplers import make_suggester
from backtune.space import Choice, Float, Int, Space
from backtune.spec import Search
from backtune.strategy.registry import StrategyFactory

METRICS = (
    "total_return", "annual_return", "volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "max_drawdown",
    "ulcer_index", "burke_ratio", "total_trades", "win_rate", "profit_factor", "average_win", "average_loss",
    "largest_win", "largest_loss", "average_trade_hours", "trades_per_month", "exposure", "turnover",
)  # fmt: skip
STRATEGIES = ("BollingerBandsStrategy", "MACDStrategy", "MovingAverageCrossover", "RSIStrategy")
SAMPLERS = (
    ("tpe", "rustuna"), ("tpe", "optuna"), ("cma-es", "rustuna"), ("cma-es", "optuna"), ("nsga2", "rustuna"),
    ("nsga2", "optuna"), ("random", "rustuna"), ("random", "optuna"), ("qmc", "optuna"), ("gp", "optuna"),
    ("grid", "auto"),
)  # fmt: skip
HAS_TORCH = find_spec("torch") is not None

Table = dict[str, Any]


def build_market(root: Path) -> Path:
    """Write half a year of hourly bars of one asset, with funding."""
    make_market(str(root), assets=["AAA"], timeframe="1h", start="2021-01-01", end="2021-07-01", seed=3)
    add_funding(root, "AAA")
    return root


def digest(values: Iterable[Any]) -> str:
    """Return a hash of numbers, texts and arrays that tells every bit of a float and 1 from 1.0."""
    sha = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            sha.update(value.tobytes())
        elif isinstance(value, float):
            sha.update(struct.pack("<d", value))
        else:
            sha.update(f"{type(value).__name__} {value!r};".encode())
    return sha.hexdigest()[:16]


def in_order(metrics: Mapping[str, Any]) -> list[Any]:
    return [metrics[name] for name in METRICS]


def data_rows(market: Path) -> Table:
    """Bars as they are stored, built, cut and annualised."""
    requests: dict[str, dict[str, Any]] = {
        "1h": {"timeframe": "1h"},
        "1h of two months": {"timeframe": "1h", "start": "2021-02-03", "end": "2021-04-05T06:00:00"},
        "2h": {"timeframe": "2h"},
        "4h with funding": {"timeframe": "4h", "funding": True},
        "1d": {"timeframe": "1d"},
        "1d from nine in Karachi": {"timeframe": "1d", "origin": "09:00 Asia/Karachi"},
        "1w of sessions": {"timeframe": "1w", "calendar": "sessions-252"},
    }
    return {name: _bars_row(load_bars(str(market), "AAA", **request)) for name, request in requests.items()}


def _bars_row(bars: Bars) -> Table:
    columns = [bars.timestamp, bars.open, bars.high, bars.low, bars.close, bars.volume]
    return {
        "bars": len(bars),
        "bars_per_year": bars.bars_per_year,
        "last_close": float(bars.close[-1]),
        "digest": digest([*columns, *([] if bars.funding is None else [bars.funding])]),
    }


def simulation_rows(market: Path) -> Table:
    """Metrics, equity and trades of random targets under every execution rule."""
    bars = load_bars(str(market), "AAA", "1h", funding=True)
    random = np.random.default_rng(11)
    sides = np.repeat(random.integers(-1, 2, len(bars) // 12), 12).astype(np.float64)
    targets = {"sides": sides, "sizes": sides * np.repeat(random.random(len(bars) // 24), 24)}
    executions: dict[str, dict[str, Any]] = {
        "free": {"fee_bps": 0, "slippage_bps": 0},
        "costs": {"fee_bps": 10, "slippage_bps": 2},
        "long only": {"fee_bps": 10, "allow_short": False},
        "stops": {"fee_bps": 5, "stop_loss": 0.01, "take_profit": 0.02, "trailing_stop": 0.015},
        "maker": {"fee_bps": 10, "maker_fee_bps": 2, "take_profit": 0.01},
        "leverage until ruin": {"size": 5, "leverage": 5, "fee_bps": 200},
        "lots, ticks and fees in money": {
            "lot_size": 0.5, "tick_size": 0.01, "fee_per_order": 0.1, "fee_per_share": 0.001, "minimum_fee": 0.2, "stop_loss": 0.02,
        },
    }  # fmt: skip
    rows = {}
    for shape, positions in targets.items():
        for name, execution in executions.items():
            result = backtest_positions(positions, bars[: len(positions)], execution)
            trades = [
                result.trades[column].to_numpy()
                for column in ("quantity", "entry_price", "exit_price", "pnl")
            ]
            rows[f"{shape}, {name}"] = {
                "total_return": result.metrics["total_return"],
                "trades": result.metrics["total_trades"],
                "digest": digest([*in_order(result.metrics), result.equity, *trades]),
            }
    return rows


def strategy_rows(market: Path, name: str) -> Table:
    """Positions of a built-in strategy at its defaults and at random candidates."""
    bars = load_bars(str(market), "AAA", "1h")
    strategy = StrategyFactory.get(name)
    space = strategy.space()
    random = np.random.default_rng(5)
    candidates = [space.defaults()]
    while len(candidates) < 6:
        low_high = {key: parameter.ends() for key, parameter in space.items()}
        drawn = {
            key: int(random.integers(low, high + 1)) if type(low) is int else float(random.uniform(low, high))
            for key, (low, high) in low_high.items()
        }
        if space.defaults() != drawn:
            candidates.append(drawn)
    return {
        ", ".join(f"{key} {value}" for key, value in params.items()): {
            "bars_long": int((positions > 0).sum()),
            "bars_short": int((positions < 0).sum()),
            "digest": digest([positions]),
        }
        for params in candidates
        for positions in [strategy(**params).positions(bars)]
    }


def suggester_rows(_market: Path) -> Table:
    """What every sampler of every backend proposes on a made-up objective, and what it makes of failures and constraints."""
    rows = {}
    for sampler, backend in SAMPLERS:
        if sampler == "gp" and not HAS_TORCH:
            continue
        for name, space in _spaces(takes_choices=sampler != "cma-es").items():
            asked = _asked(sampler, backend, space)
            rows[f"{sampler} of {backend}, {name}"] = {"last": asked[-1], "digest": digest(_flat(asked))}
    return rows


def _spaces(*, takes_choices: bool) -> dict[str, Space]:
    numbers = Space(
        real=Float(-2.0, 3.0), log=Float(0.001, 10.0, log=True), step=Float(0.0, 1.0, step=0.05), whole=Int(2, 200), even=Int(4, 40, step=4)
    )  # fmt: skip
    ordered = Space(fast=Int(2, 30), slow=Int(5, 60)).with_rules(["fast < slow"], key="space")
    return {
        "numbers": numbers,
        "rules": ordered,
        **({"choices": Space({**numbers, "kind": Choice(("sma", "ema", "wma"))})} if takes_choices else {}),
    }


def _asked(sampler: str, backend: str, space: Space) -> list[dict[str, Any]]:
    suggester = make_suggester(
        Search(backend=backend, sampler=sampler, objectives=["sharpe_ratio"]), space, 7
    )
    asked: list[dict[str, Any]] = []
    while len(asked) < (16 if sampler == "gp" else 60):
        batch = suggester.ask(suggester.batch_size)
        if not batch:
            break
        suggester.tell([_outcome(params, len(asked) + k) for k, params in enumerate(batch)])
        asked += batch
    return asked


def _outcome(params: Mapping[str, Any], number: int) -> Feedback:
    if number % 9 == 8:
        return Feedback(None)
    sizes = [float(value) if not isinstance(value, str) else float(len(value)) for value in params.values()]
    value = -sum((size - 1.5) * (size - 1.5) for size in sizes)
    return Feedback((value,), (1.0 if number % 7 == 6 else 0.0,))


def _flat(asked: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [item for params in asked for pair in sorted(params.items()) for item in pair]


COMPONENTS: dict[str, Callable[[Path], Table]] = {
    "data": data_rows,
    "simulation": simulation_rows,
    "suggesters": suggester_rows,
    **{name: lambda market, name=name: strategy_rows(market, name) for name in STRATEGIES},
}
