"""Which backend runs a search, what is refused before it starts, what backends are told; the order of a grid."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

from backtune.errors import SpecError
from backtune.search.suggesters import samplers
from backtune.search.suggesters.feedback import Feedback, rank_batch, replace_failures
from backtune.search.suggesters.grid import GridSuggester
from backtune.search.suggesters.samplers import describe_backend, make_suggester
from backtune.space import Choice, Float, Int, Parameter, Space, Value
from backtune.spec import Search

SPACE = Space(fast=Int(2, 50), slow=Int(10, 200, step=10), size=Float(0.1, 1.0), fixed=Choice((1,)))
RUSTUNA, OPTUNA, CMAES, SCIPY = (
    f"{name} {version(name)}" for name in ("rustuna", "optuna", "cmaes", "scipy")
)


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    def installed(name: str) -> str:
        if name in missing:
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(samplers, "_version", installed)


@pytest.mark.parametrize(
    ("sampler", "backend", "missing", "expected"),
    [
        ("tpe", "auto", (), RUSTUNA),
        ("tpe", "optuna", (), OPTUNA),
        ("tpe", "rustuna", (), RUSTUNA),
        ("tpe", "auto", ("rustuna",), OPTUNA),
        ("nsga2", "auto", (), RUSTUNA),
        ("random", "auto", (), RUSTUNA),
        ("cma-es", "auto", (), f"{RUSTUNA}, {CMAES}"),
        ("cma-es", "optuna", (), f"{OPTUNA}, {CMAES}"),
        ("qmc", "auto", (), f"{OPTUNA}, {SCIPY}"),
        ("grid", "auto", (), "backtune grid"),
        ("grid", "auto", ("rustuna", "optuna", "backtune"), "backtune grid"),
    ],
)
def test_the_backend_of_a_search(
    monkeypatch: pytest.MonkeyPatch, sampler: str, backend: str, missing: tuple[str, ...], expected: str
) -> None:
    without(monkeypatch, *missing)
    assert describe_backend(Search(sampler=sampler, backend=backend)) == expected


@pytest.mark.parametrize(
    ("sampler", "backend", "missing", "message", "allowed"),
    [
        (
            "tpe",
            "rustuna",
            ("rustuna",),
            "'rustuna' needs rustuna, which is not installed",
            ("auto", "optuna"),
        ),
        ("tpe", "auto", ("rustuna", "optuna"), "'auto' needs rustuna or optuna, which is not", ("auto",)),
        ("grid", "rustuna", (), "'rustuna' does not run the sampler 'grid'", ("auto",)),
        ("grid", "optuna", (), "'optuna' does not run the sampler 'grid'", ("auto",)),
    ],
)
def test_an_backend_that_cannot_serve_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    backend: str,
    missing: tuple[str, ...],
    message: str,
    allowed: tuple[str, ...],
) -> None:
    without(monkeypatch, *missing)
    search = Search(sampler=sampler, backend=backend)
    for refused in (lambda: describe_backend(search), lambda: make_suggester(search, SPACE, 0)):
        with pytest.raises(SpecError, match=re.escape(message)) as raised:
            refused()
        assert (raised.value.key, raised.value.value, raised.value.allowed) == (
            "search.backend",
            backend,
            allowed,
        )


@pytest.mark.parametrize(
    ("sampler", "missing", "message"),
    [
        ("gp", ("torch",), "'gp' needs torch, which is not installed; pip install 'backtune[gp]'"),
        (
            "gp",
            ("scipy", "torch"),
            "'gp' needs scipy and torch, which is not installed; pip install 'backtune[gp]'",
        ),
        ("qmc", ("scipy",), "'qmc' needs scipy, which is not installed; pip install scipy"),
        ("cma-es", ("cmaes",), "'cma-es' needs cmaes, which is not installed; pip install cmaes"),
    ],
)
def test_a_sampler_without_what_it_needs_is_refused(
    monkeypatch: pytest.MonkeyPatch, sampler: str, missing: tuple[str, ...], message: str
) -> None:
    without(monkeypatch, *missing)
    for refused in (describe_backend, lambda search: make_suggester(search, SPACE, 0)):
        with pytest.raises(SpecError, match=re.escape(message)) as raised:
            refused(Search(sampler=sampler))
        assert (raised.value.key, raised.value.value) == ("search.sampler", sampler)


@pytest.mark.parametrize("backend", ["rustuna", "optuna"])
def test_cma_es_is_refused_what_it_cannot_search(backend: str) -> None:
    one = Search(sampler="cma-es", backend=backend)
    with pytest.raises(SpecError, match="cannot search the choices of 'kind'") as raised:
        make_suggester(one, Space(SPACE, kind=Choice(("sma", "ema"))), 0)
    assert (raised.value.key, raised.value.allowed) == (
        "search.sampler",
        ("tpe", "nsga2", "random", "qmc", "gp", "grid"),
    )
    two = Search(sampler="cma-es", backend=backend, objectives=("sharpe_ratio", "-max_drawdown"))
    with pytest.raises(SpecError, match="'cma-es' takes 1 objective, not 2"):
        make_suggester(two, SPACE, 0)


def test_naming_the_backend_imports_none() -> None:
    code = (
        "import sys; from backtune.search.suggesters.samplers import describe_backend; from backtune.spec import Search\n"
        "[describe_backend(Search(sampler=s)) for s in ('tpe', 'cma-es', 'nsga2', 'random', 'qmc', 'grid')]\n"
        "assert not {'optuna', 'rustuna', 'cmaes', 'numpy', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize(
    ("sampler", "n_free", "batch_size"),
    [("tpe", 3, 4), ("nsga2", 3, 24), ("random", 3, 64), ("qmc", 3, 64), ("grid", 3, 64)]
    + [("cma-es", n, size) for n, size in ((1, 4), (2, 6), (3, 7), (5, 8), (10, 10))],
)
def test_batch_sizes(sampler: str, n_free: int, batch_size: int) -> None:
    space = Space({f"x{i}": Int(0, 9) for i in range(n_free)}, fixed=Choice(("a",)), also=Float(3.0, 3.0))
    for trials in (1, 10_000):
        assert make_suggester(Search(sampler=sampler, trials=trials), space, 0).batch_size == batch_size


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Choice(("a", True, 1)), ["a", True, 1]),
        (Int(3, 9, step=4), [3, 7]),
        (Int(1, 3, log=True), [1, 2, 3]),
        (Int(5, 5), [5]),
        (Float(0, 0.3, step=0.1), [0.0, 0.1, 0.2, 0.3]),
        (Float(-1, 1, step=0.75), [-1.0, -0.25, 0.5]),
        (Float(2, 2), [2.0]),
        (Float(2, 3, step=5), [2.0]),
    ],
)
def test_levels(parameter: Parameter, values: list[Value]) -> None:
    assert parameter.n_levels == len(values)
    found = [parameter.level(k) for k in range(len(values))]
    assert [(type(value), value) for value in found] == [(type(value), value) for value in values]
    assert all(value in parameter for value in found)


def test_continuous_levels_are_even_and_end_at_the_bounds() -> None:
    assert Float(0, 9).is_continuous
    assert [Float(0, 9).level(k) for k in range(10)] == pytest.approx(range(10))
    decades = Float(1e-9, 1.0, log=True)
    found = [decades.level(k) for k in range(10)]
    assert found == pytest.approx([10.0**k for k in range(-9, 1)])
    assert (found[0], found[-1]) == (1e-9, 1.0)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 100, 1000])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**64 - 1])
def test_the_order_of_a_grid_is_a_permutation(size: int, seed: int) -> None:
    grid = GridSuggester(Space(x=Int(0, size - 1)), seed=seed, batch_size=7)
    assert grid.size == size
    order = [params["x"] for _ in range(size) for params in grid.ask(7)]
    assert sorted(int(x) for x in order) == list(range(size))
    assert size < 100 or order != sorted(order)  # type: ignore[type-var]


def test_a_huge_grid_costs_nothing_until_it_is_visited() -> None:
    grid = GridSuggester(Space({f"x{i}": Int(0, 10**9) for i in range(20)}), seed=0, batch_size=64)
    assert grid.size == (10**9 + 1) ** 20
    batch = grid.ask(64)
    assert len({tuple(params.values()) for params in batch}) == 64


FINE, WORSE = Feedback((1.0,), (-1.0,)), Feedback((2.0,), (0.0,))
NEAR, FAR, FAILED = Feedback((9.0,), (0.5, -9.0)), Feedback((8.0,), (0.4, 0.2)), Feedback(None, (1.0,))


@pytest.mark.parametrize(
    ("batch", "minimize", "told"),
    [
        ([WORSE, FINE], True, [2.0, 1.0]),
        ([WORSE, FINE], False, [2.0, 1.0]),
        ([FAILED, FAR, WORSE, NEAR, FINE], True, [4.0, 3.0, 1.0, 2.0, 0.0]),
        ([FAILED, FAR, WORSE, NEAR, FINE], False, [-4.0, -3.0, 0.0, -2.0, -1.0]),
        ([FAILED, FAILED], True, [0.0, 1.0]),
        ([], True, []),
    ],
)
def test_rank_batch(batch: list[Feedback], minimize: bool, told: list[float]) -> None:
    assert rank_batch(batch, minimize=minimize) == [Feedback((value,)) for value in told]


def test_replace_failures() -> None:
    told = replace_failures([FINE, FAILED, FAR])
    assert [told[0], told[2]] == [FINE, FAR]
    assert told[1].values == (0.0,)
    assert told[1].total_violation > 1e300
    assert replace_failures([FAILED, FAILED]) == [FAILED, FAILED]


def test_a_total_violation_is_the_sum_of_what_is_violated() -> None:
    assert Feedback((0.0,), (0.5, -3.0, 0.25)).total_violation == 0.75
    assert Feedback((0.0,)).total_violation == 0.0
    assert [told.is_feasible for told in (FINE, WORSE, NEAR, FAILED)] == [True, True, False, False]
