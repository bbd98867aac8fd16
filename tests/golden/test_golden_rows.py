"""Rows of sweeps are what they were when their results version was last raised."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import backtune
from backtune.search.planning.results_version import results_versions
from backtune.sweep import Options
from golden import store
from golden.components import COMPONENTS, build_market
from golden.sweeps import documents, sweep_rows

# Names do not depend on where the market lies.
_SWEEPS = list(documents(Path("market")))
_ON_RAY = ("tpe of rustuna - holdout", "tpe of rustuna - walk_forward", "islands", "strategies of a user")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_market(tmp_path_factory.mktemp("golden") / "market")


def test_every_component_has_golden_rows() -> None:
    assert set(results_versions()) == {*COMPONENTS, store.STUDY_LOOP}


@pytest.mark.parametrize("component", COMPONENTS)
def test_rows_of_a_component(component: str, market: Path) -> None:
    assert store.explain_difference(component, COMPONENTS[component](market)) == ""


@pytest.mark.parametrize("name", _SWEEPS)
def test_rows_of_a_sweep(name: str, market: Path, tmp_path: Path) -> None:
    rows = sweep_rows(documents(market)[name], tmp_path)
    assert store.explain_difference(store.STUDY_LOOP, {name: rows}) == ""


@pytest.mark.ray
@pytest.mark.parametrize(
    "name", [name if name in _ON_RAY else pytest.param(name, marks=pytest.mark.slow) for name in _SWEEPS]
)
def test_rows_of_a_sweep_on_ray(name: str, market: Path, tmp_path: Path) -> None:
    rows = sweep_rows(documents(market)[name], tmp_path, Options(executor="ray", workers=2, tracking=False))
    assert store.explain_difference(store.STUDY_LOOP, {name: rows}) == ""


@pytest.mark.parametrize(
    ("file", "line", "planted", "component"),
    [
        (
            "simulation/metrics.py",
            "/ o.deviation * math.sqrt",
            "/ o.deviation * 1.0000000000000002 * math.sqrt",
            "simulation",
        ),
        pytest.param(
            "simulation/orders.py",
            "traded += quantity * price",
            "traded += quantity * price * 1.0000001",
            "simulation",
            marks=pytest.mark.slow,
        ),
        ("data/load.py", "resample(frame, target", "resample(frame[1:], target", "data"),
        ("strategy/rsi.py", "self.oversold * whole", "(self.oversold + 1) * whole", "RSIStrategy"),
        ("search/suggesters/samplers.py", "lambda _: 24", "lambda _: 25", "suggesters"),
    ],
)
def test_a_planted_change_is_found(
    file: str, line: str, planted: str, component: str, market: Path, tmp_path: Path
) -> None:
    package = Path(shutil.copytree(Path(backtune.__file__).parent, tmp_path / "backtune"))
    source = (package / file).read_text(encoding="utf-8")
    assert line in source
    (package / file).write_text(source.replace(line, planted), encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from golden import store, components\n"
        "print(store.explain_difference(sys.argv[1], components.COMPONENTS[sys.argv[1]](Path(sys.argv[2]))))"
    )
    tests = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", program, component, str(market)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, tests, tests / "support")))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"raise the results version of {component} from 1 to 2" in run.stdout
