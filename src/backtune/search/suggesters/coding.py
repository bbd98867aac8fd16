"""How a user's space is put to a backend, and a backend's candidates to the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from backtune.errors import SearchError
from backtune.search.suggesters.grid import level, n_levels
from backtune.space import Choice, Float, Int, Parameter, Params, Space, Value


class Coding:
    """Candidates of a space as codes on a backend's axes, and back.

    Backends see numbers without steps: a stepped parameter by the index of its level, a choice by its place. So
    every backend hands out the same exact values, and ``1``, ``1.0`` and ``True`` can be told apart. A parameter with
    one possible value has no axis. Codes that differ in inactive parameters alone stand for the same candidate.

    Args:
        levels_as_real: from how many levels on a stepped range is searched as a continuous one, and rounded.
    """

    def __init__(self, space: Space, levels_as_real: float) -> None:
        free = {name: parameter for name, parameter in space.items() if n_levels(parameter) != 1}
        self.space = space
        self._has_conditions = any(parameter.when for parameter in space.values())
        self.axes = Space({name: _axis(parameter, levels_as_real) for name, parameter in free.items()})
        self._readers = {name: _reader(parameter) for name, parameter in space.items()}

    def decoded(self, code: Params) -> Params:
        """The candidate that a code stands for, without its inactive parameters."""
        params = {name: read(code.get(name)) for name, read in self._readers.items()}
        return self.space.active(params) if self._has_conditions else params

    def accepts(self, code: Params) -> bool:
        """Whether the candidate of a code keeps the rules of the space."""
        return not self.space.rules or self.space.broken_rule(self.decoded(code)) is None

    def is_canonical(self, code: Params) -> bool:
        """Whether a code is the one of all that stand for its candidate which :meth:`encoded` gives."""
        if not self._has_conditions:
            return True
        active = self.decoded(code)
        return all(name in active or value == self.axes[name].ends()[0] for name, value in code.items())

    def encoded(self, params: Mapping[str, Value]) -> Params:
        """The code of a candidate.

        Raises:
            SearchError: it is not one of the space's; names the parameter.
        """
        for name in params:
            if name not in self.space:
                raise SearchError(f"{name} is not a parameter of the space: {', '.join(self.space)}")
        code: Params = {name: axis.ends()[0] for name, axis in self.axes.items()}
        for name, value in params.items():
            place = _code(name, self.space[name], value)
            if name in self.axes:
                code[name] = float(place) if isinstance(self.axes[name], Float) else place
        self._check_whole(dict(params), code)
        return code

    def _check_whole(self, params: Params, code: Params) -> None:
        whole = self.decoded(code)
        for name in self.space:
            if name in whole and name not in params:
                raise SearchError(f"{name} is missing in the candidate {params}")
            if name in params and name not in whole:
                raise SearchError(f"{name} is given, and does not matter in the candidate {params}")
        broken = self.space.broken_rule(whole)
        if broken is not None:
            raise SearchError(
                f"{' and '.join(broken.names)}: the candidate {params} breaks the rule '{broken}'"
            )


def _axis(parameter: Parameter, levels_as_real: float) -> Parameter:
    """What a backend searches for a parameter: a range, or the index of a level."""
    if isinstance(parameter, Choice):
        return Choice(tuple(range(len(parameter.choices))))
    levels = n_levels(parameter)
    if levels is None:
        return replace(parameter, when={})
    low, high = (int(parameter.low), int(parameter.high)) if parameter.log else (0, levels - 1)
    if levels >= levels_as_real:
        return Float(low - 0.5, high + 0.5, log=parameter.log)
    return Int(low, high, log=parameter.log)


def _reader(parameter: Parameter) -> Callable[[Value | None], Value]:
    """From a backend's code to a parameter's value; its only value where the backend was not asked."""
    levels, first = n_levels(parameter), level(parameter, 0)
    if isinstance(parameter, Choice):
        return lambda code: first if code is None else level(parameter, int(code))
    if levels is None:
        low, high = float(parameter.low), float(parameter.high)
        return lambda code: first if code is None else min(max(float(code), low), high)
    offset, last = int(parameter.low) if parameter.log else 0, levels - 1
    return lambda code: (
        first if code is None else level(parameter, min(max(round(float(code)) - offset, 0), last))
    )


def _code(name: str, parameter: Parameter, value: Value) -> int | float:
    """The backend's code for a parameter's value."""
    if isinstance(parameter, Choice):
        kinds = [(type(choice), choice) for choice in parameter.choices]
        if (type(value), value) not in kinds:
            raise SearchError(f"{name}: {value!r} is not one of the choices {list(parameter.choices)}")
        return kinds.index((type(value), value))
    levels = n_levels(parameter)
    if isinstance(value, bool | str) or (levels is None and value not in parameter):
        raise SearchError(f"{name}: {value!r} is outside of [{parameter.low}, {parameter.high}]")
    if levels is None:
        return float(value)
    step = parameter.step or 1.0
    k = round((value - parameter.low) / step)
    # What a user writes as 0.15 is 0.15000000000000002 on the grid.
    if not 0 <= k < levels or abs(float(level(parameter, k)) - value) > 1e-9 * step:
        problem = f"is outside of [{parameter.low}, {parameter.high}]"
        if value in parameter:
            problem = f"is not {parameter.low} plus a whole number of steps of {step}"
        raise SearchError(f"{name}: {value!r} {problem}")
    return k + (int(parameter.low) if parameter.log else 0)
