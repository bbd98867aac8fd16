"""The strategies that a spec may name: built-in, from entry points, registered, or in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from backtune.errors import SpecError, StrategyError
from backtune.spec import StrategyFile
from backtune.strategy.base import BaseStrategy
from backtune.strategy.bollinger_bands import BollingerBandsStrategy
from backtune.strategy.loading import load_module, strip_namespace
from backtune.strategy.macd import MACDStrategy
from backtune.strategy.modules import StrategyModule, find_modules_beside, find_package, name_module
from backtune.strategy.moving_average_crossover import MovingAverageCrossover
from backtune.strategy.pandas_form import adapt_pandas_form, is_pandas_form
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
    """The strategies by name: the built-in ones, those of entry points, and those registered here."""

    @staticmethod
    def register_strategy(name: str, cls: type) -> None:
        """Make ``cls``, a :class:`BaseStrategy` or a class in the pandas form, known as ``name``.

        Raises:
            StrategyError: The class is neither, or the name is taken by another class.
        """
        to_strategy_class(name, cls)
        taken = _registered.get(name, BUILT_IN.get(name))
        if taken is not None and taken is not cls:
            raise StrategyError(
                f"a strategy {name!r} is there already ({taken.__module__}.{taken.__qualname__})"
            )
        _registered[name] = cls

    @staticmethod
    def names() -> list[str]:
        """Return all names, sorted."""
        return sorted({*BUILT_IN, *_registered, *(point.name for point in entry_points(group=ENTRY_POINTS))})

    @staticmethod
    def get(name: str) -> type[BaseStrategy]:
        """Return the strategy of that name.

        Raises:
            SpecError: There is none; the error lists those there are.
        """
        return to_strategy_class(name, _find_class(name))


@dataclass(frozen=True)
class StrategyRef:
    """A strategy that can be sent to another machine and found there.

    Attributes:
        name: Name that results show.
        cls: Class itself, where it can be imported or pickled.
        source: Text of the user's file, which travels with the reference; the class is built from it.
        path: Path that the file had, for messages and tracebacks.
        package: Dotted name of the package of its folder; empty where the folder is no package.
        modules: Modules beside the file that it imports, which travel too.
    """

    name: str
    cls: type | None = None
    source: str | None = None
    path: str = ""
    package: str = ""
    modules: tuple[StrategyModule, ...] = ()

    @classmethod
    def of_file(cls, class_name: str, path: Path) -> StrategyRef:
        """Read a class's file, and the modules beside it that it imports.

        Raises:
            OSError: The file cannot be read.
            UnicodeDecodeError: The file is not UTF-8.
            StrategyError: A module that it imports cannot be read.
        """
        source = path.read_text(encoding="utf-8-sig")
        resolved = path.resolve()
        modules = find_modules_beside(resolved, source)
        return cls(
            class_name, source=source, path=str(resolved), package=find_package(resolved), modules=modules
        )

    def load(self) -> type[BaseStrategy]:
        """Return the strategy class.

        Raises:
            StrategyError: The user's file cannot be run or has no such class.
        """
        cls = self.cls if self.cls is not None else _load_class(self)
        return to_strategy_class(self.name, cls)


def resolve_strategy(entry: str | StrategyFile) -> StrategyRef:
    """Look up an entry of the spec's ``grid.strategies``.

    Raises:
        SpecError: There is no such name, or no such file.
        StrategyError: The file cannot be run or has no such class.
    """
    if isinstance(entry, str):
        return StrategyRef(entry, cls=_find_class(entry))
    ref = read_strategy_file(entry)
    ref.load()
    return ref


def read_strategy_file(entry: StrategyFile) -> StrategyRef:
    """Read a strategy's file and the modules that it imports; its code is not run.

    Raises:
        SpecError: There is no such file.
        StrategyError: A module that it imports cannot be read.
    """
    try:
        return StrategyRef.of_file(entry.class_name, Path(entry.file))
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or error
        raise SpecError("grid.strategies", f"{entry.file}: {problem}", value=entry.file) from None


def to_strategy_class(name: str, cls: object) -> type[BaseStrategy]:
    """Return ``cls`` itself if it is a :class:`BaseStrategy`, or its adapter if it is in the pandas form.

    Raises:
        StrategyError: The class is neither.
    """
    if isinstance(cls, type) and issubclass(cls, BaseStrategy):
        return cls
    if isinstance(cls, type) and is_pandas_form(cls):
        return adapt_pandas_form(name, cls)
    raise StrategyError(
        f"{name}: {cls!r} is not a strategy; derive it from BaseStrategy, or give it get_parameters() and "
        "generate_signals(data)"
    )


def _find_class(name: str) -> type:
    known: dict[str, type] = {**BUILT_IN, **_registered}
    if name in known:
        return known[name]
    point = next((point for point in entry_points(group=ENTRY_POINTS) if point.name == name), None)
    if point is None:
        raise SpecError(
            "grid.strategies", f"{name!r} is not a strategy", value=name, allowed=StrategyFactory.names()
        )
    cls: type = _call_user_code(name, point.load)
    return cls


def _load_class(ref: StrategyRef) -> type:
    name = name_module(ref.path, ref.package)
    main = StrategyModule(name, ref.source or "", is_package=False, path=ref.path)
    module = _call_user_code(ref.path, lambda: load_module(main, ref.modules))
    cls = getattr(module, ref.name, None)
    if not isinstance(cls, type):
        own = module.__name__
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == own]
        raise SpecError(
            "grid.strategies", f"{ref.path} has no class {ref.name!r}", value=ref.name, allowed=classes
        )
    return cls


def _call_user_code(what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:
        problem = strip_namespace(f"{type(error).__name__}: {error}")
        raise StrategyError(f"{what}: cannot be loaded: {problem}") from error
