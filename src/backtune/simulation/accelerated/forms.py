"""The batched forms of built-in strategies, which the search evaluates in place of their definitions."""

from __future__ import annotations

from backtune.simulation.accelerated.batches import BatchedForm
from backtune.simulation.accelerated.bollinger_bands import decide_bollinger_bands
from backtune.simulation.accelerated.macd import decide_macd
from backtune.simulation.accelerated.moving_average_crossover import decide_moving_average_crossover
from backtune.simulation.accelerated.rsi import decide_rsi
from backtune.strategy.base import BaseStrategy
from backtune.strategy.bollinger_bands import BollingerBandsStrategy
from backtune.strategy.macd import MACDStrategy
from backtune.strategy.moving_average_crossover import MovingAverageCrossover
from backtune.strategy.rsi import RSIStrategy

# Each decides, bar by bar, exactly as the definition: the same operations in the same order wherever rounding can matter.
BATCHED_FORMS: dict[type[BaseStrategy], BatchedForm] = {
    MovingAverageCrossover: decide_moving_average_crossover,
    RSIStrategy: decide_rsi,
    MACDStrategy: decide_macd,
    BollingerBandsStrategy: decide_bollinger_bands,
}
