"""Modules beside a strategy's file: which are found, that they travel, and that they count."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from oracles import make_bars

from backtune.client.ray_job import _pack_working_folder
from backtune.errors import StrategyError
from backtune.search.planning.identity import identify_strategy
from backtune.spec import StrategyFile, SweepSpec
from backtune.strategy.registry import StrategyRef, resolve_strategy

BARS = make_bars([1, 2, 3], [2, 3, 3])
STRATEGY = """
{imports}
import numpy as np
from backtune import BaseStrategy, Space

class Mine(BaseStrategy):
    @classmethod
    def space(cls):
        return Space()

    def positions(self, bars):
        {inside}
        return np.full(len(bars), {level})
"""


def strategy(imports: str, level: str, inside: str = "pass") -> str:
    return STRATEGY.format(imports=imports, level=level, inside=inside)


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def ref_of(path: Path) -> StrategyRef:
    return resolve_strategy(StrategyFile.model_validate({"file": str(path), "class": "Mine"}))


def level_of(ref: StrategyRef) -> float:
    return float(ref.load()().positions(BARS)[0])


# Files, the strategy's file, the modules that travel, the position.
FOUND: dict[str, tuple[dict[str, str], str, list[str], float]] = {
    "import": ({"s.py": strategy("import h", "h.L"), "h.py": "L = 0.5", "other.py": "1 / 0"}, "s.py", ["h"], 0.5),
    "from": ({"s.py": strategy("from h import L as M", "M"), "h.py": "L = 0.5"}, "s.py", ["h"], 0.5),
    "star": ({"s.py": strategy("from h import *", "L"), "h.py": "L = 0.5"}, "s.py", ["h"], 0.5),
    "indirect": (
        {"s.py": strategy("from h import L", "L"), "h.py": "from i import L", "i.py": "import j\nL = j.L", "j.py": "L = 0.25"},
        "s.py", ["h", "i", "j"], 0.25,
    ),
    "in a function": ({"s.py": strategy("", "L", "from h import L"), "h.py": "L = 0.5"}, "s.py", ["h"], 0.5),
    "in a helper's function": (
        {"s.py": strategy("import h", "h.f()"), "h.py": "def f():\n    from i import L\n    return L", "i.py": "L = 0.5"},
        "s.py", ["h", "i"], 0.5,
    ),
    "package": (
        {"s.py": strategy("import p.a.b as q", "q.L"), "p/__init__.py": "", "p/a/__init__.py": "", "p/a/b.py": "L = 0.5", "p/c.py": "1 / 0"},
        "s.py", ["p", "p.a", "p.a.b"], 0.5,
    ),
    "package by name": (
        {"s.py": strategy("import p.a", "p.a.L"), "p/__init__.py": "", "p/a.py": "L = 0.5"}, "s.py", ["p", "p.a"], 0.5,
    ),
    "module from a package": (
        {"s.py": strategy("from p import a", "a.L"), "p/__init__.py": "", "p/a.py": "from .b import L", "p/b.py": "L = 0.5"},
        "s.py", ["p", "p.a", "p.b"], 0.5,
    ),
    "star from a package": (
        {"s.py": strategy("from p import *", "a.L"), "p/__init__.py": "__all__ = ['a']", "p/a.py": "L = 0.5", "p/b.py": "1 / 0"},
        "s.py", ["p", "p.a"], 0.5,
    ),
    "absolute within a package": (
        {"s.py": strategy("import p", "p.L"), "p/__init__.py": "from p.a import L", "p/a.py": "from p import b\nL = b.L", "p/b.py": "L = 0.5"},
        "s.py", ["p", "p.a", "p.b"], 0.5,
    ),
    "folder without __init__": (
        {"s.py": strategy("from lib.a import L", "L"), "lib/a.py": "L = 0.5", "lib/b.py": "1 / 0"}, "s.py", ["lib", "lib.a"], 0.5,
    ),
    "relative in a package": (
        {"p/__init__.py": "N = 2", "p/s.py": strategy("from .h import L\nfrom . import N", "L / N"), "p/h.py": "L = 0.5"},
        "p/s.py", ["p", "p.h"], 0.25,
    ),
    "relative, two levels": (
        {"p/__init__.py": "", "p/q/__init__.py": "", "p/q/s.py": strategy("from ..h import L", "L"), "p/h.py": "L = 0.5"},
        "p/q/s.py", ["p", "p.h", "p.q"], 0.5,
    ),
    "relative without a package": ({"s.py": strategy("from .h import L", "L"), "h.py": "L = 0.5"}, "s.py", ["h"], 0.5),
    "plain in a package": (
        {"p/__init__.py": "1 / 0", "p/s.py": strategy("import h", "h.L"), "p/h.py": "L = 0.5"}, "p/s.py", ["h"], 0.5,
    ),
    "the package by name": (
        {"p/__init__.py": "", "p/s.py": strategy("from p.h import L", "L"), "p/h.py": "L = 0.5"}, "p/s.py", ["p", "p.h"], 0.5,
    ),
    "a package that imports the strategy": (
        {"p/__init__.py": "from p.s import Mine", "p/s.py": strategy("from .h import L", "L"), "p/h.py": "L = 0.5"},
        "p/s.py", ["p", "p.h"], 0.5,
    ),
    "circle": (
        {"s.py": strategy("B = 0.5\nimport h", "h.f()"), "h.py": "import s\ndef f():\n    from s import B\n    return s.B * B"},
        "s.py", ["h"], 0.25,
    ),
    "tried": (
        {"s.py": strategy("try:\n    from nowhere import L\nexcept ImportError:\n    from h import L", "L"), "h.py": "L = 0.5"},
        "s.py", ["h"], 0.5,
    ),
    "__import__": ({"s.py": strategy("h = __import__('h')", "h.L"), "h.py": "L = 0.5"}, "s.py", ["h"], 0.5),
    "for type checkers": (
        {"s.py": strategy("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import big", "0.5"), "big.py": "1 / 0"},
        "s.py", [], 0.5,
    ),
    "a script's own part": (
        {"s.py": strategy("if __name__ == '__main__':\n    import big", "0.5"), "big.py": "1 / 0"}, "s.py", [], 0.5,
    ),
    "called as a module of Python's": (
        {"s.py": strategy("from statistics import L", "L"), "statistics.py": "L = 0.5"}, "s.py", ["statistics"], 0.5,
    ),
    "called as what it imports": ({"statistics.py": strategy("import statistics", "statistics.mean([0, 1])")}, "statistics.py", [], 0.5),
    "built in": ({"s.py": strategy("import time", "float(time.time() > 0)"), "time.py": "1 / 0"}, "s.py", [], 1.0),
    "backtune is no file": ({"s.py": strategy("", "0.5"), "backtune.py": "1 / 0"}, "s.py", [], 0.5),
    "a dot in the name": ({"s.v1.py": strategy("import h", "h.L"), "h.py": "L = 0.5"}, "s.v1.py", ["h"], 0.5),
    "annotations and a mark of the byte order": (
        {"s.py": "\ufeff" + strategy("import h", "h.L"), "h.py": "\ufefffrom __future__ import annotations\nL: Later = 0.5"},
        "s.py", ["h"], 0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_modules_that_are_found(tmp_path: Path, name: str) -> None:
    files, file, modules, level = FOUND[name]
    before = set(sys.modules)
    ref = ref_of(written(tmp_path, files) / file)
    assert [module.name for module in ref.modules] == modules
    assert level_of(ref) == level
    new = {one for one in set(sys.modules) - before if not one.startswith("backtune_strategy_")}
    assert not new & {one.partition(".")[0] for one in modules}


ELSEWHERE = """
import pickle, sys
import numpy as np
from backtune.data.bars import Bars
from backtune.spec.timeframe import Timeframe

one = np.ones(3)
bars = Bars(np.arange(3) * 60_000_000, one, one, one, one, one, Timeframe(60), 1.0)
for ref in pickle.load(sys.stdin.buffer):
    print(float(ref.load()().positions(bars)[0]))
"""


def elsewhere(refs: list[StrategyRef], **environment: str) -> list[float]:
    """What another process makes of refs, in which their files are not to be found."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=pickle.dumps(refs), capture_output=True, timeout=120, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return [float(line) for line in done.stdout.split()]


def test_modules_travel_to_a_process_without_the_files(tmp_path: Path) -> None:
    refs = []
    for number, (files, file, _, _) in enumerate(FOUND.values()):
        refs.append(ref_of(written(tmp_path / str(number), files) / file))
    for path in tmp_path.rglob("*.py"):
        path.unlink()
    assert elsewhere(refs) == [level for *_, level in FOUND.values()]


def test_helpers_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / name, {"s.py": strategy("", "h.L", "import h"), "h.py": f"L = {level}"}) / "s.py"
        for name, level in (("one", 0.25), ("other", 0.75))
    ]
    one, other = map(ref_of, paths)
    assert [level_of(one), level_of(other), level_of(one)] == [0.25, 0.75, 0.25]
    (tmp_path / "one" / "h.py").write_text("L = 1.0")
    changed = ref_of(paths[0])
    assert [level_of(one), level_of(changed), level_of(other)] == [0.25, 1.0, 0.75]


def test_what_counts_for_the_identity(tmp_path: Path) -> None:
    files = {
        "s.py": strategy("from p.a import L", "L"),
        "p/__init__.py": "",
        "p/a.py": "L = 0.5",
        "other.py": "X = 1",
    }
    path = written(tmp_path, files) / "s.py"
    before = identify_strategy(ref_of(path))

    def with_change(file: str, text: str) -> str:
        written(tmp_path, {**files, file: text})
        return identify_strategy(ref_of(path))

    assert with_change("p/a.py", "# A remark.\nL = 0.5") == before
    assert with_change("other.py", "X = 2") == before
    assert with_change("secrets.env", "KEY=1") == before
    assert with_change("p/a.py", "L = 0.25") != before
    assert with_change("p/__init__.py", "M = 1") != before
    assert with_change("s.py", files["s.py"].replace("import L", "import L as L")) != before
    elsewhere_too = written(tmp_path / "copy", files) / "s.py"
    assert identify_strategy(ref_of(elsewhere_too)) == before


def test_a_strategy_of_one_file_is_what_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, {"s.py": strategy("", "0.5")}) / "s.py"
    ref = ref_of(path)
    assert (ref.modules, ref.package) == ((), "")
    assert identify_strategy(ref) == identify_strategy(StrategyRef("Mine", source=ref.source))


def test_helpers_of_a_registered_class_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(
        tmp_path,
        {
            "registered_one.py": strategy("import helper_of_one", "helper_of_one.L"),
            "helper_of_one.py": "L = 0.5",
        },
    )
    monkeypatch.syspath_prepend(str(folder))
    cls = __import__("registered_one").Mine
    before = identify_strategy(StrategyRef("Mine", cls=cls))
    (folder / "helper_of_one.py").write_text("L = 0.25")
    identify_strategy.cache_clear()
    assert identify_strategy(StrategyRef("Mine", cls=cls)) != before


@pytest.mark.parametrize(
    ("files", "fragments"),
    [
        (
            {"s.py": "import my_indicators"},
            ("s.py: cannot be loaded: ModuleNotFoundError: No module named 'my_indicators'; modules beside the strategy's file, in ",
             "are found, and installed packages: put my_indicators.py there, or install it wherever the sweep runs"),
        ),
        ({"s.py": "from my_indicators.trend import slope"}, ("No module named 'my_indicators';",)),
        ({"s.py": "from .my_indicators import slope"}, ("No module named 'my_indicators';",)),
        ({"s.py": "import h", "h.py": "import no_such"}, ("No module named 'no_such'; modules beside",)),
        ({"s.py": "import p.a", "p/__init__.py": ""}, ("No module named 'p.a'; modules beside", "put a.py there")),
        ({"s.py": "from p import a", "p/__init__.py": ""}, ("ImportError: cannot import name 'a' from 'p'",)),
        ({"s.py": "import h", "h.py": "1 / 0"}, ("s.py: cannot be loaded: ZeroDivisionError",)),
        ({"s.py": "import h", "h.py": "def f(:"}, ("s.py: cannot be loaded: SyntaxError", "h.py, line 1")),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, files: dict[str, str], fragments: tuple[str, ...]) -> None:
    path = written(tmp_path, files) / "s.py"
    for _ in range(2):
        with pytest.raises(StrategyError) as caught:
            ref_of(path)
        for fragment in fragments:
            assert fragment in str(caught.value)
        assert "backtune_strategy_" not in str(caught.value)


def test_a_module_that_is_missing_only_when_it_is_used_is_named_too(tmp_path: Path) -> None:
    ref = ref_of(written(tmp_path, {"s.py": strategy("", "0.5", "import no_such")}) / "s.py")
    with pytest.raises(
        ModuleNotFoundError, match="No module named 'no_such'; modules beside the strategy's file"
    ):
        level_of(ref)


def test_a_module_that_cannot_be_read(tmp_path: Path) -> None:
    path = written(tmp_path, {"s.py": "import h"}) / "s.py"
    (tmp_path / "h.py").write_bytes(b"\xff")
    with pytest.raises(StrategyError, match=r"h\.py: cannot be read: 'utf-8' codec"):
        ref_of(path)


COMPILED = """
from numba import njit

@njit(cache=True)
def f():
    return {level}
"""


def test_code_that_numba_keeps_is_compiled_anew_where_a_helper_changed(tmp_path: Path) -> None:
    caches = {"XDG_CACHE_HOME": str(tmp_path / "caches")}
    main = strategy(
        "import h\nfrom numba import njit\n@njit(cache=True)\ndef g():\n    return h_f()", "g()"
    ).replace("import h\n", "from h import f as h_f\n")
    path = written(tmp_path, {"s.py": main, "h.py": COMPILED.format(level=0.25)}) / "s.py"
    before = ref_of(path)
    (tmp_path / "h.py").write_text(COMPILED.format(level=0.75))
    after = ref_of(path)
    for file in ("s.py", "h.py"):
        (tmp_path / file).unlink()
    assert elsewhere([before, after], **caches) == [0.25, 0.75]
    kept = list((tmp_path / "caches").rglob("*.nbc"))
    assert len(kept) == 4
    assert elsewhere([before, after], **caches) == [0.25, 0.75]
    assert sorted(tmp_path.rglob("*.nbc")) == sorted(kept)
    assert not list(tmp_path.rglob("*.part"))


def test_what_a_job_takes_along(tmp_path: Path) -> None:
    plain = written(
        tmp_path / "plain",
        {
            "s.py": strategy("from p.a import L", "L"),
            "p/__init__.py": "",
            "p/a.py": "L = 0.5",
            "p/b.py": "",
            ".env": "KEY=1",
        },
    )
    package = written(
        tmp_path / "q", {"__init__.py": "", "t.py": strategy("from .h import L", "L"), "h.py": "L = 0.25"}
    )
    spec = SweepSpec.parse({
        "name": "x",
        "grid": {
            "strategies": [{"file": str(plain / "s.py"), "class": "Mine"}, {"file": str(package / "t.py"), "class": "Other"}],
            "assets": ["A"], "timeframes": ["1h"],
        },
    })  # fmt: skip
    with _pack_working_folder(spec) as folder:
        assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) == [
            "spec.yaml", "strategy_0/p/__init__.py", "strategy_0/p/a.py", "strategy_0/s.py",
            "strategy_1/q/__init__.py", "strategy_1/q/h.py", "strategy_1/q/t.py",
        ]  # fmt: skip
        packed = SweepSpec.load(folder / "spec.yaml")
        assert packed.id == spec.id
        versions = [
            [
                identify_strategy(StrategyRef.of_file("Mine", Path(entry.file)))
                for entry in one.grid.strategies
            ]
            for one in (spec, packed)
        ]  # type: ignore[union-attr]
        assert versions[0] == versions[1]
        assert [level_of(ref_of(Path(entry.file))) for entry in packed.grid.strategies] == [0.5, 0.25]  # type: ignore[union-attr]
