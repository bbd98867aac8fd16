"""Strategies written in the usual pandas idiom, run as a :class:`BaseStrategy`.

Such a class has ``get_parameters() -> {name: {type, low, high, default}}`` and
``generate_signals(data) -> frame with a 'signal' column in {-1, 0, 1}``, may list rules such as ``"fast < slow"``
under ``rules`` among its parameters, and may have
``calculate_position_size(signal, portfolio_value)``, the amount of money to commit.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.errors import StrategyError
from backtune.space import Space, parse_space
from backtune.strategy.base import BaseStrategy, describe_nan


def is_pandas_form(cls: type) -> bool:
    """Return whether a class has the two methods of the pandas form."""
    return all(callable(getattr(cls, method, None)) for method in ("get_parameters", "generate_signals"))


def adapt_pandas_form(name: str, user_class: type) -> type[BaseStrategy]:
    """Return a :class:`BaseStrategy` that runs ``user_class``.

    The user's object is built with the parameters as keywords where its ``__init__`` takes them, else without;
    either way they are set as attributes and as ``parameters``. The frame passed to ``generate_signals`` has the
    columns open, high, low, close, volume and the open times as its index, and is the user's own copy.
    """

    class Adapted(BaseStrategy):
        source: ClassVar[type] = user_class

        @classmethod
        def space(cls) -> Space:
            return _read_space(name, user_class)

        def positions(self, bars: Bars) -> np.ndarray:
            user = _build_instance(user_class, vars(self))
            signal = _check_signal(name, user.generate_signals(_build_frame(bars)), bars)
            positions: np.ndarray = signal * _measure_fractions(name, user, signal)
            return positions

    Adapted.name = name
    Adapted.__name__ = Adapted.__qualname__ = user_class.__name__
    Adapted.__doc__ = user_class.__doc__
    return Adapted


def _read_space(name: str, user_class: type) -> Space:
    definitions = _find_parameters_owner(user_class).get_parameters()
    if not isinstance(definitions, dict):
        raise StrategyError(
            f"{name}: get_parameters() returned {definitions!r}, expected a mapping of ranges"
        )
    return parse_space(definitions, key=name)


def _find_parameters_owner(user_class: type) -> Any:
    """Return the class or an instance of it, on which ``get_parameters`` can be called before there are parameters."""
    kind = inspect.getattr_static(user_class, "get_parameters")
    if isinstance(kind, classmethod | staticmethod):
        return user_class
    try:
        return user_class()
    except TypeError as error:
        raise StrategyError(
            f"{user_class.__name__}: cannot be built without arguments to ask for its parameters ({error}); give "
            "__init__ defaults, or make get_parameters a static method"
        ) from error


def _build_instance(user_class: type, params: dict[str, Any]) -> Any:
    accepted = inspect.signature(user_class).parameters.values()
    takes_keywords = any(p.kind is p.VAR_KEYWORD for p in accepted) or set(params) <= {
        p.name for p in accepted
    }
    user = user_class(**params) if takes_keywords else user_class()
    for parameter, value in params.items():
        setattr(user, parameter, value)
    user.parameters = dict(params)
    return user


def _build_frame(bars: Bars) -> Any:
    import pandas as pd

    index = pd.DatetimeIndex(bars.timestamp.astype("datetime64[us]"), name="timestamp").tz_localize("UTC")
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=index)


def _check_signal(name: str, frame: Any, bars: Bars) -> np.ndarray:
    if "signal" not in getattr(frame, "columns", ()):
        raise StrategyError(f"{name}: generate_signals() returned no frame with a 'signal' column")
    try:
        signal = np.asarray(frame["signal"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StrategyError(f"{name}: the 'signal' column does not hold numbers: {error}") from error
    if len(signal) != len(bars):
        raise StrategyError(f"{name}: generate_signals() returned {len(signal)} rows for {len(bars)} bars")
    if np.isnan(signal).any():
        problem = describe_nan(signal, bars.timestamp, "data['signal'].fillna(0)")
        raise StrategyError(f"{name}: the 'signal' column is {problem}")
    broken = ~np.isin(signal, (-1.0, 0.0, 1.0))
    if broken.any():
        row = int(np.argmax(broken))
        raise StrategyError(f"{name}: signal {signal[row]} at bar {row} is not -1, 0 or 1")
    return signal


def _measure_fractions(name: str, user: Any, signal: np.ndarray) -> np.ndarray:
    """Return the share of equity that each signal commits; the user's amount of money must be proportional to the portfolio."""
    size = getattr(user, "calculate_position_size", None)
    fractions = np.ones(len(signal))
    if size is None:
        return fractions
    for value in (-1.0, 1.0):
        small, large = abs(float(size(value, 1.0))), abs(float(size(value, 1e6)))
        if abs(large - small * 1e6) > 1e-9 * max(large, 1.0):
            raise StrategyError(
                f"{name}: calculate_position_size({value:g}, portfolio_value) must be proportional to "
                f"portfolio_value; it gave {small:g} for 1 and {large:g} for 1,000,000"
            )
        fractions[signal == value] = small
    return fractions
