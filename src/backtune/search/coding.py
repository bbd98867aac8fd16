"""How a user's space is put to an engine, and an engine's candidates to the user."""

from __future__ import annotations

from collections.abc import Mapping

from backtune.errors import SearchError
from backtune.search.grid import level, n_levels
from backtune.space import Choice, Float, Int, Parameter, Params, Space, Value


class Coding:
    """Candidates of a space as codes on an engine's axes, and back.

    Engines see numbers without steps: a stepped parameter by the index of its level, a choice by its place. So
    every engine hands out the same exact values, and ``1``, ``1.0`` and ``True`` can be told apart. A parameter with
    one possible value has no axis.

    Args:
        levels_as_real: from how many levels on a stepped range is searched as a continuous one, and rounded.
    """

    def __init__(self, space: Space, levels_as_real: float) -> None:
        free = {name: parameter for name, parameter in space.items() if n_levels(parameter) != 1}
        self._space = space
        self.axes = Space({name: _axis(parameter, levels_as_real) for name, parameter in free.items()})

    def decoded(self, code: Params) -> Params:
        """The candidate that a code stands for."""
        return {name: _value(parameter, code.get(name)) for name, parameter in self._space.items()}

    def encoded(self, params: Mapping[str, Value]) -> Params:
        """The code of a candidate.

        Raises:
            SearchError: it is not one of the space's; names the parameter.
        """
        for name in params:
            if name not in self._space:
                raise SearchError(f"{name} is not a parameter of the space: {', '.join(self._space)}")
        code: Params = {}
        for name, parameter in self._space.items():
            if name not in params:
                raise SearchError(f"{name} is missing in the candidate {dict(params)}")
            place = _code(name, parameter, params[name])
            if name in self.axes:
                code[name] = place if isinstance(self.axes[name], Choice | Int) else float(place)
        return code


def _axis(parameter: Parameter, levels_as_real: float) -> Parameter:
    """What an engine searches for a parameter: a range, or the index of a level."""
    if isinstance(parameter, Choice):
        return Choice(tuple(range(len(parameter.choices))))
    levels = n_levels(parameter)
    if levels is None:
        return parameter
    low, high = (int(parameter.low), int(parameter.high)) if parameter.log else (0, levels - 1)
    if levels >= levels_as_real:
        return Float(low - 0.5, high + 0.5, log=parameter.log)
    return Int(low, high, log=parameter.log)


def _value(parameter: Parameter, code: Value | None) -> Value:
    """A parameter's value for an engine's code; its only value where the engine was not asked."""
    if code is None:
        return level(parameter, 0)
    if isinstance(parameter, Choice):
        return level(parameter, int(code))
    levels = n_levels(parameter)
    if levels is None:
        return min(max(float(code), float(parameter.low)), float(parameter.high))
    k = round(float(code)) - (int(parameter.low) if parameter.log else 0)
    return level(parameter, min(max(k, 0), levels - 1))


def _code(name: str, parameter: Parameter, value: Value) -> int | float:
    """The engine's code for a parameter's value."""
    if isinstance(parameter, Choice):
        kinds = [(type(choice), choice) for choice in parameter.choices]
        if (type(value), value) not in kinds:
            raise SearchError(f"{name}: {value!r} is not one of the choices {list(parameter.choices)}")
        return kinds.index((type(value), value))
    if value not in parameter:
        raise SearchError(f"{name}: {value!r} is outside of [{parameter.low}, {parameter.high}]")
    levels = n_levels(parameter)
    if levels is None:
        return float(value)
    k = round((float(value) - parameter.low) / parameter.step) if parameter.step and levels > 1 else 0
    if level(parameter, k) != value:
        raise SearchError(
            f"{name}: {value!r} is not {parameter.low} plus a whole number of steps of {parameter.step}"
        )
    return k + (int(parameter.low) if parameter.log else 0)
