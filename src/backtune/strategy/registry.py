"""The strategies that a spec may name."""

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
from backtune.strategy.loading import load_module, without_namespace
from backtune.strategy.macd import MACDStrategy
from backtune.strategy.modules import StrategyModule, module_name, modules_beside, package_of
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
        package: dotted name of the package that its folder is; empty where it is none.
        modules: the modules beside the file that it imports, which travel too.
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
            OSError, UnicodeDecodeError: the file cannot be read.
            StrategyError: a module that it imports cannot be read.
        """
        source = path.read_text(encoding="utf-8-sig")
        place = path.resolve()
        modules = modules_beside(place, source)
        return cls(class_name, source=source, path=str(place), package=package_of(place), modules=modules)

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
    ref = file_ref(entry)
    ref.load()
    return ref


def file_ref(entry: StrategyFile) -> StrategyRef:
    """Read a strategy's file and the modules that it imports; its code is not run.

    Raises:
        SpecError: there is no such file.
        StrategyError: a module that it imports cannot be read.
    """
    try:
        return StrategyRef.of_file(entry.class_name, Path(entry.file))
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or error
        raise SpecError("grid.strategies", f"{entry.file}: {problem}", value=entry.file) from None


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
    name = module_name(ref.path, ref.package)
    main = StrategyModule(name, ref.source or "", is_package=False, path=ref.path)
    module = _guarded(ref.path, lambda: load_module(main, ref.modules))
    cls = getattr(module, ref.name, None)
    if not isinstance(cls, type):
        own = module.__name__
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == own]
        raise SpecError(
            "grid.strategies", f"{ref.path} has no class {ref.name!r}", value=ref.name, allowed=classes
        )
    return cls


def _guarded(what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:
        problem = without_namespace(f"{type(error).__name__}: {error}")
        raise StrategyError(f"{what}: cannot be loaded: {problem}") from error
