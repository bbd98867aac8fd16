"""The results version: one number for each component that decides the rows of a sweep.

Stored rows are found again by a content id that holds these numbers. Whoever changes what a component computes raises its
number by hand; ``tests/golden`` fails where rows changed and the number did not. A refactoring changes neither.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from backtune.strategy.registry import BUILT_IN

COMPONENT_VERSIONS: Final = {
    "data": 1,  # stored and built bars, their annualisation and funding
    "simulation": 1,  # execution rules, costs and metrics
    "suggesters": 1,  # candidates of every sampler and backend
    "study_loop": 1,  # folds, objectives, early stopping, islands, and what a sampler is told
}
# Built-in strategies that are not named here are at version 1.
_STRATEGY_VERSIONS: Final[dict[str, int]] = {}


def results_versions() -> dict[str, int]:
    """Return the results version of every component, and that of every built-in strategy by its name."""
    return {**COMPONENT_VERSIONS, **{name: strategy_results_version(name) for name in BUILT_IN}}


def strategy_results_version(name: str) -> int:
    """Return the results version of a built-in strategy."""
    return _STRATEGY_VERSIONS.get(name, 1)


def shared_results_version() -> str:
    """Return a text that identifies what all studies have in common: the components, numpy and numba.

    Compiled code may differ in the last digit between releases of the compiler.
    """
    components = [f"{name} {number}" for name, number in COMPONENT_VERSIONS.items()]
    return ", ".join([*components, *(f"{package} {version(package)}" for package in ("numpy", "numba"))])
