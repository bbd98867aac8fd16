"""Names, files and refs of strategies."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import make_bars

from backtune.data.bars import Bars
from backtune.errors import SpecError, StrategyError
from backtune.space import Int, Space
from backtune.spec import StrategyFile
from backtune.strategy import registry
from backtune.strategy.base import BaseStrategy
from backtune.strategy.registry import BUILT_IN, StrategyFactory, StrategyRef, resolve_strategy

BARS = make_bars([1, 2, 3], [2, 3, 3])


class Always(BaseStrategy):
    name = "Always"

    @classmethod
    def space(cls) -> Space:
        return Space(sign=Int(-1, 1, default=1))

    def positions(self, bars: Bars) -> np.ndarray:
        return np.full(len(bars), float(self.sign))


class PandasLong:
    def get_parameters(self) -> dict[str, Any]:
        return {}

    def generate_signals(self, data: Any) -> Any:
        return data.assign(signal=1)


FILE = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from backtune.space import Int, Space
from backtune.strategy.base import BaseStrategy

LEVEL = 0.5

def level(n):
    return np.full(n, LEVEL)

@dataclass(frozen=True)
class Half(BaseStrategy):
    name: ClassVar[str] = "Half"
    sign: int = 1

    @classmethod
    def space(cls):
        return Space(sign=Int(-1, 1, default=1))

    def positions(self, bars):
        return self.sign * level(len(bars))

class PandasFlat:
    def get_parameters(self):
        return {}

    def generate_signals(self, data):
        return data.assign(signal=0)
"""


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def half(tmp_path: Path) -> Path:
    path = tmp_path / "half.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def entry(path: Path | str, class_name: str = "Half") -> StrategyFile:
    return StrategyFile.model_validate({"file": str(path), "class": class_name})


def test_registered_strategies_are_found() -> None:
    StrategyFactory.register_strategy("always", Always)
    StrategyFactory.register_strategy("long", PandasLong)
    assert StrategyFactory.get("always") is Always
    assert StrategyFactory.get("long")().positions(BARS).tolist() == [1.0, 1.0, 1.0]
    assert StrategyFactory.names() == sorted([*BUILT_IN, "always", "long"])


def test_registering_again_is_harmless_and_another_class_is_refused() -> None:
    StrategyFactory.register_strategy("always", Always)
    StrategyFactory.register_strategy("always", Always)
    with pytest.raises(StrategyError, match=r"'always' is there already \(.*Always\)"):
        StrategyFactory.register_strategy("always", PandasLong)
    assert StrategyFactory.get("always") is Always


def test_a_built_in_name_is_taken() -> None:
    with pytest.raises(StrategyError, match="'MACDStrategy' is there already"):
        StrategyFactory.register_strategy("MACDStrategy", Always)
    StrategyFactory.register_strategy("MACDStrategy", BUILT_IN["MACDStrategy"])


@pytest.mark.parametrize("cls", [int, object(), Always(sign=1), "Always", None])
def test_not_a_strategy_is_refused(cls: Any) -> None:
    with pytest.raises(StrategyError, match="derive it from BaseStrategy, or give it get_parameters"):
        StrategyFactory.register_strategy("mine", cls)
    assert "mine" not in StrategyFactory.names()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("MACDStrateg", "did you mean 'MACDStrategy'"), ("zzz", "allowed: BollingerBandsStrategy, MACD")],
)
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(SpecError, match=rf"grid.strategies: '{name}' is not a strategy.*{hint}") as caught:
        resolve_strategy(name)
    assert caught.value.value == name


def test_ref_of_a_name_survives_pickling() -> None:
    ref = pickle.loads(pickle.dumps(resolve_strategy("RSIStrategy")))  # noqa: S301
    assert ref.load() is BUILT_IN["RSIStrategy"]


def test_ref_of_a_file(half: Path) -> None:
    strategy = resolve_strategy(entry(half)).load()
    assert strategy.name == "Half"
    assert strategy(sign=-1).positions(BARS).tolist() == [-0.5] * 3
    assert resolve_strategy(entry(half, "PandasFlat")).load()().positions(BARS).tolist() == [0.0] * 3


def test_a_file_is_run_once_and_an_edited_file_again(half: Path) -> None:
    before = resolve_strategy(entry(half)).load()
    assert resolve_strategy(entry(half)).load() is before
    half.write_text(FILE.replace("LEVEL = 0.5", "LEVEL = 0.25"), encoding="utf-8")
    assert resolve_strategy(entry(half)).load()().positions(BARS).tolist() == [0.25] * 3
    assert before().positions(BARS).tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("source", "class_name", "error", "fragment"),
    [
        ("1 / 0", "Half", StrategyError, r"half.py: cannot be loaded: ZeroDivisionError: division by zero"),
        ("def f(:", "Half", StrategyError, r"half.py: cannot be loaded: SyntaxError"),
        (
            FILE,
            "Halff",
            SpecError,
            r"half.py has no class 'Halff' \(did you mean 'Half'\?\); allowed: Half, PandasFlat",
        ),
        (FILE, "LEVEL", SpecError, "has no class 'LEVEL'"),
        ("class Half: pass", "Half", StrategyError, "Half: .* is not a strategy"),
    ],
)
def test_unusable_file(
    half: Path, source: str, class_name: str, error: type[Exception], fragment: str
) -> None:
    half.write_text(source, encoding="utf-8")
    with pytest.raises(error, match=fragment):
        resolve_strategy(entry(half, class_name))


def test_a_file_that_raised_is_run_again_once_it_is_asked_for_again(half: Path) -> None:
    half.write_text("raise RuntimeError('now')", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(StrategyError, match="RuntimeError: now"):
            resolve_strategy(entry(half))


@pytest.mark.parametrize(
    ("path", "fragment"),
    [
        ("absent.py", "absent.py: No such file"),
        ("", "Is a directory"),
        ("binary.py", "can't decode byte 0xff"),
    ],
)
def test_unreadable_file(tmp_path: Path, path: str, fragment: str) -> None:
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match=f"grid.strategies: .*{fragment}"):
        resolve_strategy(entry(tmp_path / path))


def test_a_ref_keeps_what_travels_small(half: Path) -> None:
    ref = resolve_strategy(entry(half))
    assert ref == StrategyRef("Half", source=FILE, path=str(half))
