"""What makes a study this study: its content id and its seed."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from backtune.spec import content_hash
from backtune.strategy.modules import StrategyModule, modules_beside
from backtune.strategy.registry import StrategyRef

# Whatever decides a trial's parameters or values. Reports, commands and the cluster are not among them.
_DECIDING = (
    "space", "timeframe.py", "origin.py", "spec/sections.py", "objective.py", "engine", "strategy", "data/bars.py", "data/calendar.py", "data/schema.py", "data/load.py", "data/window.py", "data/funding.py",
    "data/bar_grid.py", "data/resample.py", "validation/folds.py", "validation/parts.py", "search/suggest.py", "search/optuna.py", "search/rustuna.py",
    "search/coding.py", "search/whole_space.py", "search/valid_codes.py", "search/grid.py", "search/samplers.py", "search/rungs.py",
    "search/islands.py", "search/study.py",
)  # fmt: skip


@cache
def code_version() -> str:
    """Hash of the code that decides results; comments, docstrings and layout do not count."""
    root = Path(__file__).parents[1]
    files = [file for name in _DECIDING for file in sorted((root / name).rglob("*.py")) or [root / name]]
    code = {str(file.relative_to(root)): _structure(file.read_text(encoding="utf-8")) for file in files}
    # Compiled code may differ in the last digit between compilers.
    return content_hash([code, version("numba"), version("numpy")])[:16]


@cache
def strategy_version(ref: StrategyRef) -> str:
    """Hash of a strategy's own code: the user's file, or the module that defines its class, and the modules beside it that it
    imports."""
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
    return content_hash([own, *([one.name, _structure(one.source)] for one in modules)])


def _modules_of(module: ModuleType | None) -> tuple[StrategyModule, ...]:
    """The modules beside that of a registered class; those of backtune count in :func:`code_version`."""
    file = getattr(module, "__file__", None)
    if module is None or file is None or module.__name__.partition(".")[0] == "backtune":
        return ()
    return modules_beside(Path(file).resolve(), inspect.getsource(module))


def study_seed(seed: int, *cell: str) -> int:
    """A seed of 32 bits for one study of a sweep, the same wherever and whenever it runs."""
    return int(content_hash([seed, *cell])[:8], 16)


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
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
