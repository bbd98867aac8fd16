"""The strategies that a spec may name."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from backtune.errors import SpecError, StrategyError
from backtune.spec import StrategyFile, content_hash
from backtune.strategy.base import BaseStrategy
from backtune.strategy.bollinger_bands import BollingerBandsStrategy
from backtune.strategy.macd import MACDStrategy
from backtune.strategy.moving_average_crossover import MovingAverageCrossover
from backtune.strategy.pandas_form import adapt, is_pandas_form
from backtune.strategy.rsi import RSIStrategy

BUILT_IN: dict[str, type[BaseStrategy]] = {
    "MovingAverageCrossover": MovingAverageCrossover,
    "RSIStrategy": RSIStrategy,
    "MACDStrategy": MACDStrategy,
    "BollingerBandsStrategy": BollingerBandsStrategy,
}
ENTRY_POINTS = "backtune.strategies"

_registered: dict[str, type] = {}


class StrategyFactory:
    """Names to strategies: the built-in ones, those of entry points, and those registered here."""

    @staticmethod
    def register_strategy(name: str, cls: type) -> None:
        """Make ``cls``, a :class:`BaseStrategy` or a class in the pandas form, known as ``name``.

        Raises:
            StrategyError: the class is neither, or the name is taken by another class.
        """
        as_strategy(name, cls)
        taken = _registered.get(name, BUILT_IN.get(name))
        if taken is not None and taken is not cls:
            raise StrategyError(
                f"a strategy {name!r} is there already ({taken.__module__}.{taken.__qualname__})"
            )
        _registered[name] = cls

    @staticmethod
    def names() -> list[str]:
        """All names, sorted."""
        return sorted({*BUILT_IN, *_registered, *(point.name for point in entry_points(group=ENTRY_POINTS))})

    @staticmethod
    def get(name: str) -> type[BaseStrategy]:
        """The strategy of that name.

        Raises:
            SpecError: there is none; lists those there are.
        """
        return as_strategy(name, _class_of(name))


@dataclass(frozen=True)
class StrategyRef:
    """A strategy that can be sent to another machine and found there.

    Attributes:
        name: as shown in results.
        cls: the class itself, where it can be imported or pickled.
        source: text of the user's file, which travels with the ref; the class is built from it.
        path: where that file was, for messages and tracebacks.
    """

    name: str
    cls: type | None = None
    source: str | None = None
    path: str = ""

    def load(self) -> type[BaseStrategy]:
        """The strategy class.

        Raises:
            StrategyError: the user's file cannot be run or has no such class.
        """
        cls = self.cls if self.cls is not None else _class_from_source(self)
        return as_strategy(self.name, cls)


def strategy_ref(entry: str | StrategyFile) -> StrategyRef:
    """Look up an entry of the spec's ``grid.strategies``.

    Raises:
        SpecError: no such name, or no such file.
        StrategyError: the file cannot be run or has no such class.
    """
    if isinstance(entry, str):
        return StrategyRef(entry, cls=_class_of(entry))
    path = Path(entry.file)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or error
        raise SpecError("grid.strategies", f"{entry.file}: {problem}", value=entry.file) from None
    ref = StrategyRef(entry.class_name, source=source, path=str(path.resolve()))
    ref.load()
    return ref


def as_strategy(name: str, cls: object) -> type[BaseStrategy]:
    """``cls`` itself if it is a :class:`BaseStrategy`, or its adapter if it is in the pandas form.

    Raises:
        StrategyError: it is neither.
    """
    if isinstance(cls, type) and issubclass(cls, BaseStrategy):
        return cls
    if isinstance(cls, type) and is_pandas_form(cls):
        return adapt(name, cls)
    raise StrategyError(
        f"{name}: {cls!r} is not a strategy; derive it from BaseStrategy, or give it get_parameters() and "
        "generate_signals(data)"
    )


def _class_of(name: str) -> type:
    known: dict[str, type] = {**BUILT_IN, **_registered}
    if name in known:
        return known[name]
    point = next((point for point in entry_points(group=ENTRY_POINTS) if point.name == name), None)
    if point is None:
        raise SpecError(
            "grid.strategies", f"{name!r} is not a strategy", value=name, allowed=StrategyFactory.names()
        )
    cls: type = _guarded(name, point.load)
    return cls


def _class_from_source(ref: StrategyRef) -> type:
    # Named by content: two files of one name in one process do not mix, and a repeat is not run again.
    module_name = f"backtune_strategy_{content_hash([ref.path, ref.source])[:16]}"
    module = sys.modules.get(module_name)
    if module is None:
        module = types.ModuleType(module_name)
        module.__file__ = ref.path
        sys.modules[module_name] = module
        try:
            _guarded(ref.path, lambda: exec(compile(ref.source or "", ref.path, "exec"), module.__dict__))  # noqa: S102
        except StrategyError:
            del sys.modules[module_name]
            raise
    cls = getattr(module, ref.name, None)
    if not isinstance(cls, type):
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module_name]
        raise SpecError(
            "grid.strategies", f"{ref.path} has no class {ref.name!r}", value=ref.name, allowed=classes
        )
    return cls


def _guarded(what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:
        raise StrategyError(f"{what}: cannot be loaded: {type(error).__name__}: {error}") from error
