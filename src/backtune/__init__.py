"""backtune finds trading-strategy parameters that hold up out of sample."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from backtune.data.bars import Bars
    from backtune.data.load import load_bars
    from backtune.errors import BacktuneError
    from backtune.simulation.backtest import backtest, backtest_positions
    from backtune.simulation.simulate import Result
    from backtune.space import Choice, Float, Int, Space
    from backtune.spec import Execution, SweepSpec
    from backtune.strategy.base import BaseStrategy
    from backtune.strategy.registry import StrategyFactory
    from backtune.sweep import SweepResult, run_sweep

# Loaded on first use: `import backtune` must not wait for compilers, frames and clusters.
_HOMES = {
    "BacktuneError": "backtune.errors",
    "Bars": "backtune.data.bars",
    "BaseStrategy": "backtune.strategy.base",
    "Choice": "backtune.space",
    "Execution": "backtune.spec",
    "Float": "backtune.space",
    "Int": "backtune.space",
    "Result": "backtune.simulation.simulate",
    "Space": "backtune.space",
    "StrategyFactory": "backtune.strategy.registry",
    "SweepResult": "backtune.sweep",
    "SweepSpec": "backtune.spec",
    "backtest": "backtune.simulation.backtest",
    "backtest_positions": "backtune.simulation.backtest",
    "load_bars": "backtune.data.load",
    "run_sweep": "backtune.sweep",
}

__all__ = [
    "BacktuneError",
    "Bars",
    "BaseStrategy",
    "Choice",
    "Execution",
    "Float",
    "Int",
    "Result",
    "Space",
    "StrategyFactory",
    "SweepResult",
    "SweepSpec",
    "__version__",
    "backtest",
    "backtest_positions",
    "load_bars",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'backtune' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
