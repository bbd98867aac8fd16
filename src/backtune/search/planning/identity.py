"""The identity of a study: the version of its strategy and its seed."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from backtune.search.planning.results_version import strategy_results_version
from backtune.spec import hash_content
from backtune.strategy.modules import StrategyModule, find_modules_beside
from backtune.strategy.registry import BUILT_IN, StrategyRef


@cache
def identify_strategy(ref: StrategyRef) -> str:
    """Return a text that identifies the code of a strategy.

    A built-in strategy has a results version. A user's strategy is a hash of the source of its file, or of the module that
    defines its class, and of the modules beside it that it imports; comments, docstrings and layout do not count.
    """
    if ref.name in BUILT_IN and ref.cls is BUILT_IN[ref.name]:
        return f"{ref.name} {strategy_results_version(ref.name)}"
    if ref.source is not None:
        return _with_modules(_structure(ref.source), ref.modules)
    assert ref.cls is not None  # noqa: S101
    try:
        module = inspect.getmodule(ref.cls)
        own = _structure(inspect.getsource(module if module and module.__name__ != "__main__" else ref.cls))
        return _with_modules(own, _modules_of(module))
    except (OSError, TypeError):
        # Typed into a prompt: nothing but the name tells it apart.
        return ref.cls.__qualname__


def _with_modules(own: str, modules: Sequence[StrategyModule]) -> str:
    if not modules:
        return own
    return hash_content([own, *([one.name, _structure(one.source)] for one in modules)])


def _modules_of(module: ModuleType | None) -> tuple[StrategyModule, ...]:
    """Return the modules beside that of a registered class."""
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return ()
    return find_modules_beside(Path(file).resolve(), inspect.getsource(module))


def derive_study_seed(seed: int, *cell: str) -> int:
    """Return the 32-bit seed of one study of a sweep. It is the same wherever and whenever the study runs."""
    return int(hash_content([seed, *cell])[:8], 16)


def _structure(source: str) -> str:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # Imported where a failure is expected.
        return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node):
            node.body = node.body[1:]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
