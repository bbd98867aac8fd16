"""Random candidates of a space with rules, drawn until one keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backtune.errors import SearchError, SpecError
from backtune.search.suggesters.space_encoding import SpaceEncoding
from backtune.space import Params

if TYPE_CHECKING:
    import numpy as np

# The number of draws in which a space must show a candidate that keeps its rules before a search starts; and within a
# search, which rare bad luck should not end.
_DRAWS_TO_PLAN, _DRAWS_TO_SEARCH = 10_000, 1_000_000


class RejectionSampler:
    """Random codes whose candidates keep the rules of the space.

    Args:
        encoding: The encoding of the space.
        seed: The seed of the random codes.
        on_levels: True to draw from the levels of a grid search, which cuts a continuous range too.
    """

    def __init__(self, encoding: SpaceEncoding, seed: int, *, on_levels: bool = False) -> None:
        self._encoding = encoding
        self._seed = seed
        self._on_levels = on_levels
        self._random: np.random.Generator | None = None

    def draw(self) -> Params:
        """Return a random code, uniform on the axes among those that keep the rules.

        Raises:
            SearchError: Not one of many random candidates keeps the rules.
        """
        code = self.try_draw(_DRAWS_TO_SEARCH)
        if code is None:
            raise SearchError("no candidate was found that keeps the rules of the space; widen its ranges")
        return code

    def try_draw(self, n_draws: int) -> Params | None:
        """Return the first of ``n_draws`` random codes that keeps the rules; None where none does."""
        if self._random is None:
            import numpy as np

            self._random = np.random.default_rng(self._seed)
        for _ in range(n_draws):
            code = {
                name: axis.level(int(self._random.integers(axis.n_levels)))
                if self._on_levels
                else axis.draw(self._random)
                for name, axis in self._encoding.axes.items()
            }
            if self._encoding.keeps_rules(code):
                return code
        return None


def check_rules(encoding: SpaceEncoding, *, key: str, on_levels: bool) -> None:
    """Refuse a space that its rules leave empty, or nearly so.

    Raises:
        SpecError: None of many random candidates keeps the rules.
    """
    rules = [str(rule) for rule in encoding.space.rules]
    if rules and RejectionSampler(encoding, 0, on_levels=on_levels).try_draw(_DRAWS_TO_PLAN) is None:
        raise SpecError(
            f"{key}.rules",
            f"none of {_DRAWS_TO_PLAN:,} random candidates keeps {rules}; widen the ranges",
            value=rules,
        )
