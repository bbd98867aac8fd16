"""The built-in strategies' targets with pandas, for peers that take signals."""

import numpy as np
import pandas as pd

EQUAL = 1e-12


def targets(strategy: str, close: pd.Series, params: dict) -> np.ndarray:
    """(n,) targets in {-1, 0, 1}, decided at each bar's close."""
    return STRATEGIES[strategy](close, **params)


def moving_average_crossover(close: pd.Series, fast_period: int, slow_period: int) -> np.ndarray:
    fast, slow = close.rolling(fast_period).mean(), close.rolling(slow_period).mean()
    return side((fast - slow).to_numpy(), close.to_numpy())


def rsi(close: pd.Series, period: int, oversold: float, overbought: float) -> np.ndarray:
    change = close.diff()
    gain = _smoothed(change.clip(lower=0.0), period, 1.0 / period, 1).to_numpy()
    loss = _smoothed(-change.clip(upper=0.0), period, 1.0 / period, 1).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = np.where(
            loss > 0.0, 100.0 - 100.0 / (1.0 + gain / loss), np.where(gain > 0.0, 100.0, 50.0)
        )
    strength[np.isnan(gain)] = np.nan
    return held(np.where(strength < oversold, 1.0, np.where(strength > overbought, -1.0, np.nan)))


def macd(close: pd.Series, fast_period: int, slow_period: int, signal_period: int) -> np.ndarray:
    fast = _smoothed(close, fast_period, 2.0 / (fast_period + 1.0))
    slow = _smoothed(close, slow_period, 2.0 / (slow_period + 1.0))
    line = fast - slow
    signal = _smoothed(line, signal_period, 2.0 / (signal_period + 1.0), max(fast_period, slow_period) - 1)
    return side((line - signal).to_numpy(), close.to_numpy())


def bollinger_bands(close: pd.Series, period: int, num_std: float) -> np.ndarray:
    # Relative to the first close, which pandas' rolling deviation needs to stay precise.
    offset = close - close.iloc[0]
    window = offset.rolling(period)
    distance = (offset - window.mean()).to_numpy()
    slack = EQUAL * close.to_numpy()
    width = num_std * window.std(ddof=0).to_numpy() + slack
    long = held(np.where(distance < -width, 1.0, np.where(distance >= -slack, 0.0, np.nan)))
    short = held(np.where(distance > width, -1.0, np.where(distance <= slack, 0.0, np.nan)))
    return long + short


def side(difference: np.ndarray, price: np.ndarray) -> np.ndarray:
    """+1 above and -1 below zero, holding the last side while equal; (n,) or (n, columns)."""
    slack = EQUAL * price
    return held(np.where(difference > slack, 1.0, np.where(difference < -slack, -1.0, np.nan)))


def held(events: np.ndarray) -> np.ndarray:
    """The last event that is not NaN, 0 before the first; (n,) or (n, columns)."""
    return np.nan_to_num(pd.DataFrame(events).ffill().to_numpy().reshape(events.shape))


def _smoothed(series: pd.Series, period: int, weight: float, start: int = 0) -> pd.Series:
    """Exponential average that starts with the mean of the first ``period`` values from ``start``."""
    seeded = series.copy()
    first = start + period - 1
    seeded.iloc[first] = series.iloc[start : first + 1].mean()
    seeded.iloc[:first] = np.nan
    return seeded.ewm(alpha=weight, adjust=False).mean()


STRATEGIES = {
    "MovingAverageCrossover": moving_average_crossover,
    "RSIStrategy": rsi,
    "MACDStrategy": macd,
    "BollingerBandsStrategy": bollinger_bands,
}
