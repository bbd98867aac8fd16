"""Candidates of a space as the numbers that a backend searches."""

from __future__ import annotations

from collections.abc import Mapping

from backtune.errors import SearchError
from backtune.space import Params, Space, Value


class SpaceEncoding:
    """Candidates of a space as codes on a backend's axes, and back.

    Backends see numbers without steps: a parameter with steps by the index of its level, a choice by its place. So
    every backend hands out the same exact values, and ``1``, ``1.0`` and ``True`` can be told apart. A parameter with
    one possible value has no axis. Codes that differ in inactive parameters alone stand for the same candidate.

    Args:
        space: The space of the user.
        levels_as_real: The number of levels from which on a range with steps is searched as a continuous one.
    """

    def __init__(self, space: Space, levels_as_real: float) -> None:
        self.space = space
        self.axes = Space(
            {
                name: parameter.axis(levels_as_real)
                for name, parameter in space.items()
                if parameter.n_levels > 1
            }
        )
        self._decoders = {name: parameter.decode for name, parameter in space.items()}
        self._fixed = {name: space[name].level(0) for name in space if name not in self.axes}
        self._has_conditions = any(parameter.when for parameter in space.values())

    def decode(self, code: Params) -> Params:
        """Return the candidate that a code stands for, without its inactive parameters."""
        params = {
            name: self._fixed[name] if name in self._fixed else decode(code[name])
            for name, decode in self._decoders.items()
        }
        return self.space.select_active(params) if self._has_conditions else params

    def keeps_rules(self, code: Params) -> bool:
        """Return whether the candidate of a code keeps the rules of the space."""
        return not self.space.rules or self.space.find_broken_rule(self.decode(code)) is None

    def keeps_rules_once(self, code: Params) -> bool:
        """Return whether a code keeps the rules and is the only one of its candidate for which this returns True."""
        return self._is_canonical(code) and self.keeps_rules(code)

    def _is_canonical(self, code: Params) -> bool:
        """Return whether :meth:`encode` gives this code, of all codes that stand for its candidate."""
        if not self._has_conditions:
            return True
        active = self.decode(code)
        return all(name in active or value == self.axes[name].ends()[0] for name, value in code.items())

    def encode(self, params: Mapping[str, Value]) -> Params:
        """Return the code of a candidate.

        Raises:
            SearchError: The candidate is none of the space's; the message names the parameter.
        """
        for name in params:
            if name not in self.space:
                raise SearchError(f"{name} is not a parameter of the space: {', '.join(self.space)}")
        code: Params = {name: axis.ends()[0] for name, axis in self.axes.items()}
        for name, value in params.items():
            number = self.space[name].encode(value, key=name)
            if name in self.axes:
                code[name] = number if self.axes[name].is_whole else float(number)
        self._check_complete(dict(params), code)
        return code

    def _check_complete(self, params: Params, code: Params) -> None:
        complete = self.decode(code)
        for name in self.space:
            if name in complete and name not in params:
                raise SearchError(f"{name} is missing in the candidate {params}")
            if name in params and name not in complete:
                raise SearchError(f"{name} is given, and does not matter in the candidate {params}")
        broken = self.space.find_broken_rule(complete)
        if broken is not None:
            raise SearchError(
                f"{' and '.join(broken.names)}: the candidate {params} breaks the rule '{broken}'"
            )
