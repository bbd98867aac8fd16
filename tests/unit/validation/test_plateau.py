"""Stability and plateau centres on functions whose shape is known, and the unit cube that they are measured in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtune.space import Choice, Float, Int, Parameter, Params, Space
from backtune.validation.plateau import Plateau, measure_plateau, propose_probes
from backtune.validation.unit_cube import UnitCube

LINE = Space(x=Int(0, 100))
X = np.arange(101)
ALL = {"x": X}


def found(space: Space, columns: dict[str, Any], values: Any, **options: Any) -> Plateau:
    result = measure_plateau(space, columns, np.array(values, dtype=np.float64), **options)
    assert result is not None
    return result


def needle(at: int, height: float = 1.0) -> np.ndarray:
    return np.where(at == X, height, 0.0)


def hill(at: int, width: float, height: float = 1.0) -> np.ndarray:
    return np.asarray(height * np.maximum(0.0, 1.0 - np.abs(X - at) / width))


def mesa(at: int, width: int) -> np.ndarray:
    return np.where(np.abs(X - at) <= width, 1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "best", "neighbourhood", "elsewhere", "stability", "centre"),
    [
        (needle(50), 50, 0.0, 0.0, 0.0, 50),
        # Neighbours are 1 to 10 away, in cells of -10..-4, -3..3 and 4..10. Elsewhere 0..39 and 61..100, in cells of 20 from
        # 0 on: medians of 0.2, 0.6, 0.6, 0.2 and the value of 100.
        (hill(50, 50), 50, 0.9, 0.3, 6 / 7, 50),
        # The first of equal ones stands on the edge: all above it are as good, all below are nothing.
        (mesa(50, 10), 40, 0.5, 0.0, 0.5, 50),
        (mesa(50, 30) + needle(50, 1e-9), 50, 1.0, 0.0, 1.0, 50),
        # A sharp tip on the left, a broad hill on the right.
        (2 * hill(20, 5) + hill(70, 40), 20, 0.0, 0.25, -1 / 7, 70),
        (needle(10, 2.0) + hill(70, 40), 10, 0.0, 0.375, -3 / 13, 70),
    ],
    ids=["needle", "hill", "edge of a mesa", "mesa", "tip and hill", "needle and hill"],
)
def test_shapes(
    values: np.ndarray, best: int, neighbourhood: float, elsewhere: float, stability: float, centre: int
) -> None:
    result = found(LINE, ALL, values)
    assert (result.best, result.probes) == (best, ())
    assert result.neighbourhood == pytest.approx(neighbourhood)
    assert result.elsewhere == pytest.approx(elsewhere)
    assert result.stability == pytest.approx(stability, abs=1e-6)
    assert result.centre == centre


def test_units_of_the_objective_do_not_matter() -> None:
    values = hill(45, 40) + 0.1 * np.sin(X)
    one, other = found(LINE, ALL, values), found(LINE, ALL, 30 * values - 7)
    assert one.stability == pytest.approx(other.stability)
    assert (one.best, one.centre) == (other.best, other.centre)


def test_where_trials_crowd_does_not_matter() -> None:
    """A search that has settled: two hundred trials within a hundredth of the tip of a needle, and nine around it."""
    space = Space(x=Float(0.0, 1.0))
    crowd = 0.5 + np.linspace(-0.01, 0.01, 200)
    around = np.array([0.41, 0.43, 0.45, 0.46, 0.54, 0.55, 0.56, 0.58, 0.6])
    x = np.concatenate([[0.5], crowd, around, np.linspace(0.0, 0.3, 9)])
    result = found(space, {"x": x}, 1.0 - np.minimum(1.0, 40 * np.abs(x - 0.5)))
    assert result.n_neighbours == 209
    # Two of the three cells are worth nothing.
    assert result.neighbourhood == 0.0
    assert result.stability == 0.0


def test_infeasible_neighbours_count_as_the_worst() -> None:
    values = mesa(50, 30) + needle(50, 0.5) - 0.25
    values[41:47] = math.nan
    whole = found(LINE, ALL, values)
    values[40:61] = np.where(X[40:61] == 50, values[50], math.nan)
    cliff = found(LINE, ALL, values)
    assert whole.neighbourhood == pytest.approx(0.75)
    assert (cliff.neighbourhood, cliff.n_neighbours) == (-0.25, 20)
    assert cliff.stability == 0.0


@pytest.mark.parametrize(
    ("space", "columns", "values"),
    [
        (LINE, ALL, np.full(101, math.nan)),
        (LINE, {"x": []}, []),
        (Space(x=Int(3, 3), y=Choice(("a", "b"))), {"x": [3, 3], "y": ["a", "b"]}, [1.0, 2.0]),
    ],
    ids=["none feasible", "no trial", "nothing varies"],
)
def test_none(space: Space, columns: dict[str, Any], values: Any) -> None:
    assert measure_plateau(space, columns, np.array(values, dtype=np.float64)) is None


def test_nothing_elsewhere() -> None:
    result = found(Space(x=Int(1, 3)), {"x": [1, 2, 3]}, [0.0, 2.0, 1.0])
    assert (result.neighbourhood, result.elsewhere, result.stability) == (0.5, None, None)


def test_choices_separate() -> None:
    space = Space(x=Int(0, 10), kind=Choice(("a", "b")), fixed=Choice((7,)))
    columns = {"x": [4, 5, 6] * 2, "kind": ["a"] * 3 + ["b"] * 3, "fixed": [7] * 6}
    result = found(space, columns, [1.0, 9.0, 2.0, 3.0, 3.0, 3.0])
    # Steps are as wide as the radius: the neighbours of 5 are 4 and 6, of the same kind.
    assert (result.n_neighbours, result.neighbourhood, result.elsewhere) == (2, 1.5, 3.0)
    assert result.stability == pytest.approx(-0.25)


def test_probes_of_a_lonely_best() -> None:
    space = Space(a=Int(0, 10), b=Float(1.0, 100.0, log=True), kind=Choice(("p", "q")))
    result = found(space, {"a": [5], "b": [10.0], "kind": ["q"]}, [1.0])
    assert (result.neighbourhood, result.stability, result.centre) == (None, None, None)
    first = [(p["a"], p["b"]) for p in result.probes[:4]]
    # Three quarters of the way: one step of a, and of a tenth of two decades of b.
    expected = [(4, 10.0), (6, 10.0), (5, 10 * 100**-0.075), (5, 10 * 100**0.075)]
    assert np.array(first) == pytest.approx(np.array(expected))
    assert len(result.probes) == 8
    assert all(p["kind"] == "q" and isinstance(p["a"], int) for p in result.probes)
    assert all(4 <= p["a"] <= 6 and 6.3 <= float(p["b"]) <= 15.9 for p in result.probes)  # type: ignore[operator]


def test_probes_are_seeded_and_leave_out_what_is_known() -> None:
    space = Space(a=Float(0.0, 1.0), b=Float(0.0, 1.0))
    columns = {"a": [0.5, 0.57], "b": [0.5, 0.5]}
    one, again, other = (found(space, columns, [1.0, 0.5], seed=seed).probes for seed in (1, 1, 2))
    assert one == again != other
    assert len(one) == 7
    assert {"a": pytest.approx(0.575), "b": 0.5} not in one


def test_probes_keep_the_rules() -> None:
    space = Space(fast=Int(3, 40), slow=Int(10, 60), rules=["fast < slow"])
    best: Params = {"fast": 30, "slow": 31}
    result = found(space, {"fast": [30], "slow": [31]}, [1.0])
    # More of fast, or less of slow, would cross the diagonal.
    assert result.probes[:2] == ({"fast": 28, "slow": 31}, {"fast": 30, "slow": 35})
    assert all(space.find_broken_rule(probe) is None for probe in result.probes)
    columns = {name: [best[name], *(probe[name] for probe in result.probes)] for name in space}
    again = found(space, columns, [1.0] + [0.5] * len(result.probes))
    assert (again.probes, again.neighbourhood) == ((), 0.5)
    # A corner of few candidates: 4 < 5 leaves (3, 4), (3, 5) and the best.
    corner = Space(fast=Int(3, 5), slow=Int(3, 5), rules=["fast < slow"])
    assert {tuple(p.values()) for p in found(corner, {"fast": [4], "slow": [5]}, [1.0]).probes} == {
        (3, 4),
        (3, 5),
    }


def test_peaks_outside_of_each_other_are_probed() -> None:
    space = Space(x=Float(0.0, 1.0))
    places, values = [0.2, 0.21, 0.5, 0.5, 0.9], np.array([4.0, 3.9, 3.0, 3.0, 2.0])
    best = propose_probes(space, {"x": places}, values, most=0)
    assert all(0.1 - 1e-9 <= float(p["x"]) <= 0.3 + 1e-9 for p in best)
    assert best == measure_plateau(space, {"x": places}, values).probes
    # 0.21 is no peak of its own, and what was tried twice is one.
    more = propose_probes(space, {"x": places}, values, most=100)
    assert more[: len(best)] == best
    near = [sum(abs(float(p["x"]) - peak) <= 0.1 + 1e-9 for p in more) for peak in (0.2, 0.5, 0.9)]
    assert near == [7, 8, 8]
    assert sum(near) == len(more)
    assert len(propose_probes(space, {"x": places}, values, most=15)) == 15
    assert len(propose_probes(space, {"x": places}, values, most=14)) == 7
    assert len(propose_probes(space, {"x": places}, values, most=100, n_centres=1)) == 7
    assert propose_probes(space, {"x": [0.5]}, np.array([np.nan]), most=9) == ()


def test_the_best_may_be_named() -> None:
    places = [k / 40 for k in range(41)]
    values = [1.0 - abs(x - 0.5) for x in places]
    values[30] = 9.0
    columns = {"x": places}
    found_best = measure_plateau(Space(x=Float(0.0, 1.0)), columns, np.array(values))
    assert found_best.best == 30
    named = measure_plateau(Space(x=Float(0.0, 1.0)), columns, np.array(values), best=20)
    assert (named.best, named.centre) == (20, found_best.centre)
    assert named.stability > 0.5
    # The needle is 9: of what it has over the others, the hill's centre has little.
    assert found_best.stability < found_best.centre_stability < 0.1
    assert named.centre_stability == pytest.approx(
        (named.centre_neighbourhood - named.elsewhere) / (values[20] - named.elsewhere)
    )


def test_inactive_parameters() -> None:
    space = Space(
        period=Int(0, 20), exit=Choice(("none", "trail")), trail=Float(0.01, 0.1, when={"exit": "trail"})
    )
    columns = {
        "period": [9, 10, 11, 9, 10, 11, 0],
        "exit": ["none"] * 3 + ["trail"] * 3 + ["none"],
        "trail": [None, None, None, 0.05, 0.051, 0.052, math.nan],
    }
    result = found(space, columns, [1.0, 2.0, 1.5, 0.0, 0.0, 0.0, 0.5])
    # Without a trail there is one axis, whose steps are half as wide as the radius: 8 and 12 are asked for.
    assert (result.best, result.n_neighbours) == (1, 2)
    assert sorted(result.probes, key=lambda p: p["period"]) == [
        {"period": 8, "exit": "none"},
        {"period": 12, "exit": "none"},
    ]
    trailing = found(space, columns, [0.0, 0.0, 0.0, 1.0, 2.0, 1.5, 0.5])
    assert trailing.best == 4
    assert all(0.042 - 1e-9 <= float(p["trail"]) <= 0.06 + 1e-9 for p in trailing.probes)


def parameters() -> st.SearchStrategy[Parameter]:
    numbers = st.tuples(st.integers(1, 50), st.integers(1, 60), st.integers(1, 9), st.booleans())
    return numbers.flatmap(
        lambda n: st.sampled_from(
            [
                Int(n[0], n[0] + n[1], step=1 if n[3] else n[2], log=n[3]),
                Float(n[0], n[0] + n[1], step=None if n[3] else n[2] / 3.0),
                Float(n[0], n[0] + n[1], log=n[3]),
                Choice(("a", "b")),
            ]
        )
    )


@settings(max_examples=150)
@given(st.lists(parameters(), min_size=1, max_size=4), st.integers(0, 99), st.data())
def test_probes_make_any_neighbourhood_dense(kinds: list[Parameter], seed: int, data: st.DataObject) -> None:
    space = Space({f"p{i}": kind for i, kind in enumerate(kinds)})
    cube = UnitCube(space)
    point = np.array([data.draw(st.floats(0, 1)) for _ in cube.axes])
    best = cube.params(point, space.defaults())
    assert all(best[name] in parameter for name, parameter in space.items())
    trials: list[Params] = [best]
    values = [1.0]
    result = measure_plateau(space, {name: [best[name]] for name in space}, np.array(values))
    if result is None:
        assert not cube.axes
        return
    trials += result.probes
    values += [math.nan if i % 3 == 0 else 0.5 for i in range(len(result.probes))]
    assert all(probe[name] in parameter for probe in trials for name, parameter in space.items())
    columns = {name: [trial[name] for trial in trials] for name in space}
    again = found(space, columns, values, seed=seed)
    assert again.probes == ()
    assert again.neighbourhood is not None
    assert again.n_neighbours == len(result.probes)


@pytest.mark.parametrize(
    ("parameter", "values", "expected"),
    [
        (Int(3, 40), [3, 40, 21.5], [0.0, 1.0, 0.5]),
        (Int(1, 100, log=True), [1, 10, 100], [0.0, 0.5, 1.0]),
        # 7 is the last value reached.
        (Int(1, 9, step=3), [1, 4, 7], [0.0, 0.5, 1.0]),
        (Float(0.0, 1.0, step=0.3), [0.0, 0.3, 0.9], [0.0, 1 / 3, 1.0]),
        (Float(0.01, 1.0, log=True), [0.01, 0.1, 1.0], [0.0, 0.5, 1.0]),
    ],
)
def test_unit_cube(parameter: Parameter, values: list[float], expected: list[float]) -> None:
    cube = UnitCube(Space(p=parameter, q=Choice(("only",))))
    points = cube.points({"p": values, "q": ["only"] * len(values)})
    assert points[:, 0] == pytest.approx(expected)
    assert cube.choices == ()
    for value, point in zip(values, points, strict=True):
        if value in parameter:
            assert cube.params(point, {"p": values[0], "q": "only"}) == {
                "p": pytest.approx(value),
                "q": "only",
            }
            # A parameter that is left out stays out.
            assert cube.params(point, {"q": "only"}) == {"q": "only"}
