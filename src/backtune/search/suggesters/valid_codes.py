"""The part of a space that its rules leave: whether a candidate is in it, and random ones from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backtune.errors import SearchError, SpecError
from backtune.search.suggesters.coding import Coding
from backtune.search.suggesters.grid import CONTINUOUS_LEVELS, level, n_levels
from backtune.space import Choice, Float, Parameter, Params, Value

if TYPE_CHECKING:
    import numpy as np

# Random candidates that a space gets to show one that keeps its rules, before a search; and in one, where rare
# bad luck should not end it.
_DRAWS_TO_PLAN, _DRAWS_TO_SEARCH = 10_000, 1_000_000


class ValidCodes:
    """Codes whose candidates keep the rules of the space.

    Args:
        seed: of the random ones.
        on_levels: whether they are taken from the levels of a grid, which cut a continuous range too.
    """

    def __init__(self, coding: Coding, seed: int, *, on_levels: bool = False) -> None:
        self._coding = coding
        self._seed = seed
        self._on_levels = on_levels
        self._random: np.random.Generator | None = None

    def check(self, *, key: str) -> None:
        """Refuse a space that rules leave empty, or all but.

        Raises:
            SpecError: none of many random candidates keeps the rules.
        """
        rules = [str(rule) for rule in self._coding.space.rules]
        if rules and self._with_seed(0)._drawn(_DRAWS_TO_PLAN) is None:
            raise SpecError(
                f"{key}.rules", f"none of {_DRAWS_TO_PLAN:,} random candidates keeps {rules}; widen the ranges",
                value=rules,
            )  # fmt: skip

    def accepts(self, code: Params) -> bool:
        """Whether its candidate keeps the rules."""
        return self._coding.accepts(code)

    def accepts_once(self, code: Params) -> bool:
        """The same, for one code of each candidate only."""
        return self._coding.is_canonical(code) and self._coding.accepts(code)

    def draw(self) -> Params:
        """A random code, uniform on the axes among those that keep the rules.

        Raises:
            SearchError: none was found.
        """
        code = self._drawn(_DRAWS_TO_SEARCH)
        if code is None:
            raise SearchError("no candidate was found that keeps the rules of the space; widen its ranges")
        return code

    def _with_seed(self, seed: int) -> ValidCodes:
        return ValidCodes(self._coding, seed, on_levels=self._on_levels)

    def _drawn(self, n: int) -> Params | None:
        if self._random is None:
            import numpy as np

            self._random = np.random.default_rng(self._seed)
        for _ in range(n):
            drawn = _drawn_level if self._on_levels else _drawn
            code = {name: drawn(axis, self._random) for name, axis in self._coding.axes.items()}
            if self._coding.accepts(code):
                return code
        return None


def _drawn_level(axis: Parameter, random: np.random.Generator) -> Value:
    return level(axis, int(random.integers(n_levels(axis) or CONTINUOUS_LEVELS)))


def _drawn(axis: Parameter, random: np.random.Generator) -> Value:
    if isinstance(axis, Choice):
        return axis.choices[int(random.integers(len(axis.choices)))]
    share = float(random.random())
    low, high = (
        (float(axis.low), float(axis.high)) if isinstance(axis, Float) else (axis.low - 0.5, axis.high + 0.5)
    )
    value = low * (high / low) ** share if axis.log else low + (high - low) * share
    return min(value, high) if isinstance(axis, Float) else min(max(round(value), axis.low), axis.high)
