"""What may vary: ranges, grids, defaults, overrides and their written form."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.errors import SpecError
from backtune.space import Choice, Float, Int, Parameter, Space, parse_parameter

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("parameter", "levels"),
    [
        (Int(3, 6), (3, 4, 5, 6)),
        (Int(3, 10, step=3), (3, 6, 9)),
        (Int(5, 5), (5,)),
        (Int(-2, 1), (-2, -1, 0, 1)),
        (Float(0, 1, step=0.25), (0, 0.25, 0.5, 0.75, 1)),
        (Float(0, 1, step=0.4), (0, 0.4, 0.8)),
        (Float(2, 2, step=0.5), (2,)),
        (Choice(("a", 2, True)), ("a", 2, True)),
    ],
)
def test_levels(parameter: Parameter, levels: tuple[object, ...]) -> None:
    assert parameter.levels() == levels
    assert not parameter.is_continuous
    assert parameter.scale is None or parameter.scale.levels().tolist() == list(levels)
    assert all(value in parameter for value in levels)


@pytest.mark.parametrize(("low", "high", "step", "n"), [(0.1, 0.3, 0.1, 3), (0, 1, 0.1, 11), (1, 4, 0.3, 11)])
def test_rounding_neither_drops_nor_oversteps_the_end(low: float, high: float, step: float, n: int) -> None:
    parameter = Float(low, high, step=step)
    levels = parameter.levels()
    assert len(levels) == n
    assert levels[-1] == high
    assert all(value in parameter for value in levels)


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        (Int(1, 9), 5),
        (Int(1, 10), 5),
        (Int(1, 9, default=2), 2),
        (Int(0, 10, step=5), 5),
        (Int(1, 10**15), (1 + 10**15) // 2),
        (Float(0, 1), 0.5),
        (Float(0, 1, default=0.0), 0.0),
        (Float(1, 100, log=True), 10),
        (Float(0, 1, step=0.5), 0.5),
        (Float(0, 1e12, step=1e-3), 0.5e12),
        (Choice(("a", "b")), "a"),
        (Choice(("a", "b"), "b"), "b"),
        (Choice((True, False), default=False), False),
    ],
)
def test_default(parameter: Parameter, default: object) -> None:
    value = Space(x=parameter).defaults()["x"]
    assert value == pytest.approx(default) if isinstance(default, float) else value == default
    assert value in parameter


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (Int(1, 5), [1, 5, 3.0], [0, 6, 2.5, "3", True, NAN, None]),
        (Float(1, 5), [1, 5.0, 2.5], [0.999, 5.001, "3", True, NAN, INF, None]),
        (Choice(("a", 2)), ["a", 2], ["b", 3, None]),
    ],
)
def test_membership(parameter: Parameter, inside: list[object], outside: list[object]) -> None:
    assert [value in parameter for value in inside] == [True] * len(inside)
    assert [value in parameter for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Int(5, 1), "low: 5 is above high 1"),
        (lambda: Float(5, 1), "low: 5 is above high 1"),
        (lambda: Float(NAN, 1), "low: nan is not a finite number"),
        (lambda: Float(0, INF), "high: inf is not a finite number"),
        (lambda: Float(0, 1, default=NAN), "default: nan is not a finite number"),
        (lambda: Float("0", 1), "low: '0' is not a finite number"),  # type: ignore[arg-type]
        (lambda: Int(True, 2), "low: True is not a finite number"),
        (lambda: Int(1.5, 2), "low: 1.5 is not a whole number"),  # type: ignore[arg-type]
        (lambda: Int(1, 9, step=0), "step: 0 must be above 0"),
        (lambda: Float(1, 9, step=-0.5), "step: -0.5 must be above 0"),
        (lambda: Float(0, 1, log=True), "low: 0 must be above 0 on a log scale"),
        (lambda: Int(1, 9, log=True, step=2), "step: a log scale takes no step"),
        (lambda: Float(1, 9, log="yes"), "log: 'yes' is neither true nor false"),  # type: ignore[arg-type]
        (lambda: Int(1, 9, default=10), r"default: 10 is outside \[1, 9\]"),
        (lambda: Choice(()), "choices: an empty list leaves nothing to choose"),
        (lambda: Choice(("a",), default="b"), r"default: 'b' is not one of the choices \['a'\]"),
        (lambda: Choice((1, NAN)), "choices: nan is not a finite number"),
        (lambda: Choice((None,)), "choices: None is not a finite number"),  # type: ignore[arg-type]
        (lambda: Choice(([1],)), r"choices: \[1\] is not a finite number"),  # type: ignore[arg-type]
    ],
)
def test_impossible_ranges(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SpecError, match=f"^{message}"):
        make()


def test_whole_bounds_are_kept_as_int() -> None:
    parameter = Int(1.0, 9.0, default=3.0)  # type: ignore[arg-type]
    assert [type(n) for n in (parameter.low, parameter.high, parameter.default)] == [int, int, int]


SPACE = Space(period=Int(3, 40, default=10), level=Float(0, 1), kind=Choice(("sma", "ema")))


def test_override_replaces_and_keeps_the_order() -> None:
    ours = SPACE.override({"kind": Choice(("ema",)), "period": Int(5, 6)})
    assert ours == Space(period=Int(5, 6), level=Float(0, 1), kind=Choice(("ema",)))
    assert list(ours) == ["period", "level", "kind"]
    assert SPACE["period"] == Int(3, 40, default=10)
    assert SPACE.override({}) == SPACE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"perod": Int(1, 2)}, r"space\.S\.perod: .*did you mean 'period'\?\); allowed: period, level, kind"),
        ({"period": Float(1, 2)}, r"space\.S\.period: takes whole numbers: use type int, not Float"),
        ({"period": Choice((1, 2.5))}, r"space\.S\.period: takes whole numbers"),
        ({"period": Choice(("ten",))}, r"space\.S\.period: takes whole numbers"),
    ],
)
def test_override_refuses(changes: dict[str, Parameter], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        SPACE.override(changes, key="space.S")


def test_override_with_a_list_of_whole_numbers() -> None:
    assert SPACE.override({"period": Choice((5, 10, 20)), "level": Int(0, 1)})["period"].levels() == (
        5,
        10,
        20,
    )


def test_complete() -> None:
    assert SPACE.complete({}) == {"period": 10, "level": 0.5, "kind": "sma"}
    assert SPACE.complete({"period": 999, "level": -1}) == {"period": 999, "level": -1, "kind": "sma"}
    assert repr(SPACE.complete({"period": 12.0})["period"]) == "12"
    with pytest.raises(SpecError, match=r"params\.lvl: is not a parameter"):
        SPACE.complete({"lvl": 1})


@pytest.mark.parametrize(
    ("definition", "parameter"),
    [
        ({"type": "int", "low": 1, "high": 9}, Int(1, 9)),
        ({"type": "integer", "range": [1, 9], "step": 2}, Int(1, 9, step=2)),
        ({"type": "float", "range": (0.5, 2), "default": 1}, Float(0.5, 2, default=1)),
        ({"low": 0.5, "high": 2}, Float(0.5, 2)),
        ({"low": 1, "high": 9, "step": None, "default": None}, Float(1, 9)),
        ({"type": "float", "low": "1e-3", "high": "1e3", "log": True}, Float(0.001, 1000, log=True)),
        ({"type": "int", "low": "1e1", "high": 100}, Int(10, 100)),
        ({"type": "choice", "choices": ["a", "b"]}, Choice(("a", "b"))),
        ({"choices": [1, 2], "default": 2}, Choice((1, 2), 2)),
        ({"type": "categorical", "choices": ["1e-3"]}, Choice(("1e-3",))),
        (5, Choice((5,))),
        ("ema", Choice(("ema",))),
        (True, Choice((True,))),
    ],
)
def test_parse(definition: object, parameter: Parameter) -> None:
    assert parse_parameter(definition, key="p") == parameter


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ([1, 2], r"p: \[1, 2\] is not a range"),
        (None, "p: None is not a range"),
        (NAN, r"p\.choices: nan is not a finite number"),
        ({"type": "int", "low": 9, "high": 1}, r"p\.low: 9 is above high 1"),
        ({"type": "int", "low": 1}, r"p\.high: is missing"),
        ({"type": "int"}, r"p\.low: is missing"),
        ({"type": "int", "range": [1]}, r"p\.range: \[1\] is not a pair \[min, max\]"),
        ({"type": "int", "range": "1-9"}, r"p\.range: '1-9' is not a pair"),
        (
            {"type": "itn", "low": 1, "high": 2},
            r"p\.type: unknown type 'itn' \(did you mean 'int'\?\); allowed: float, int",
        ),
        (
            {"low": 1, "high": 2, "stp": 1},
            r"p\.stp: unknown key \(did you mean 'step'\?\); allowed: type, low",
        ),
        ({"low": "one", "high": 2}, r"p\.low: 'one' is not a finite number"),
        ({"low": 1, "high": "nan"}, r"p\.high: nan is not a finite number"),
        ({"type": "int", "low": 1.5, "high": 2}, r"p\.low: 1.5 is not a whole number"),
        ({"choices": "abc"}, r"p\.choices: 'abc' is not a list"),
        ({"type": "choice"}, r"p\.choices: None is not a list"),
        ({"choices": []}, r"p\.choices: an empty list"),
        ({"choices": ["a"], "low": 1}, r"p\.low: unknown key"),
        ({"choices": ["a"], "default": "b"}, r"p\.default: 'b' is not one of"),
    ],
)
def test_parse_refuses(definition: Any, message: str) -> None:
    with pytest.raises(SpecError, match=f"^{message}"):
        parse_parameter(definition, key="p")


@st.composite
def parameters(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(["int", "float", "choice"]))
    if kind == "choice":
        choices = draw(
            st.lists(st.integers() | st.text("ab1-é", max_size=3) | st.booleans(), min_size=1, max_size=4)
        )
        return Choice(tuple(choices), draw(st.sampled_from([None, choices[0]])))
    log = draw(st.booleans())
    if kind == "int":
        low, high = sorted(draw(st.tuples(*[st.integers(1, 10**6)] * 2)))
        return Int(
            low, high, draw(st.none() | st.integers(low, high)), log, 1 if log else draw(st.integers(1, 50))
        )
    low, high = sorted(draw(st.tuples(*[st.floats(1e-6, 1e6)] * 2)))
    step = None if log else draw(st.none() | st.floats(0.1, 10))
    return Float(low, high, draw(st.none() | st.floats(low, high)), log, step)


TYPED = Space(
    period=Int(5, 50, default=14),
    level=Float(0.0, 1.0, default=0.5),
    kind=Choice(("sma", "ema", "off")),
    weight=Choice((0.5, 1.0)),
    days=Choice((5, 10)),
    flag=Choice((False, True)),
    mixed=Choice(("auto", 3)),
)


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("period", 14, 14), ("period", 14.0, 14), ("period", 900, 900), ("period", -3, -3),
        ("period", np.int64(14), 14), ("period", np.float64(14), 14),
        ("level", 0.25, 0.25), ("level", 2, 2), ("level", np.float32(0.5), 0.5), ("level", np.int32(3), 3),
        ("kind", "ema", "ema"), ("weight", 0.5, 0.5), ("weight", 0.25, 0.25), ("weight", 1, 1.0),
        ("days", 10.0, 10), ("days", 7, 7), ("flag", True, True), ("mixed", 3.0, 3), ("mixed", "auto", "auto"),
    ],
)  # fmt: skip
def test_values_of_a_parameters_type(name: str, given: object, read: object) -> None:
    value = TYPED.complete({name: given})[name]
    assert (value, type(value)) == (read, type(read))


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("period", 14.9, "14.9 is not a whole number"),
        ("period", True, "True is not a number"),
        ("period", "14", "'14' is not a number"),
        ("period", None, "None is not a number"),
        ("period", math.nan, "nan is not a finite number"),
        ("period", math.inf, "inf is not a finite number"),
        ("period", np.True_, "np.True_ is not a number"),
        ("period", [14], "[14] is not a number"),
        ("level", "0.5", "'0.5' is not a number"),
        ("level", False, "False is not a number"),
        ("level", math.nan, "nan is not a finite number"),
        ("level", -math.inf, "-inf is not a finite number"),
        ("level", 10**400, "000 is not a finite number"),
        ("kind", "wma", "'wma' is not one of the choices; allowed: 'sma', 'ema', 'off'"),
        ("kind", "smaa", "'smaa' is not one of the choices (did you mean"),
        ("kind", False, "False is not one of the choices; quote words such as on and no, which YAML reads as true and false; allowed"),
        ("kind", 3, "3 is not one of the choices; quote"),
        ("kind", np.array([1, 2]), "array([1, 2]) is not one of the choices"),
        ("weight", "0.5", "'0.5' is not a number"),
        ("weight", True, "True is not a number"),
        ("days", 7.5, "7.5 is not a whole number"),
        ("flag", 1, "1 is not one of the choices; allowed: False, True"),
        ("flag", "true", "'true' is not one of the choices"),
        ("mixed", 4, "4 is not one of the choices"),
    ],
)  # fmt: skip
def test_values_of_another_type(name: str, given: object, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        TYPED.complete({name: given})
    assert str(caught.value).startswith(f"params.{name}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("name", "definition", "values"),
    [
        ("period", 20, (20,)), ("period", 20.0, (20,)), ("period", "2e1", (20,)), ("period", "1_000", (1000,)),
        ("period", {"type": "int", "low": "1e1", "high": 12.0}, (10, 11, 12)), ("period", {"choices": [5, "7", 9.0]}, (5, 7, 9)),
        ("level", "1e-3", (0.001,)), ("level", {"choices": ["1e-3", "5E-2", ".5"]}, (0.001, 0.05, 0.5)),
        ("level", {"low": "1e-3", "high": ".5", "step": "0.499"}, (0.001, 0.5)),
        ("kind", "off", ("off",)), ("kind", {"choices": ["ema", "sma"]}, ("ema", "sma")),
        ("days", {"type": "int", "low": 3, "high": 4}, (3, 4)), ("weight", {"choices": ["1e-1", 2]}, (0.1, 2)),
    ],
)  # fmt: skip
def test_changes_take_the_type_of_the_strategys_own(
    name: str, definition: object, values: tuple[object, ...]
) -> None:
    changed = TYPED.override({name: parse_parameter(definition, key="x")})[name].levels()
    assert changed == pytest.approx(values) if name == "level" else changed == values
    assert [type(value) for value in changed] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("name", "definition", "problem"),
    [
        ("period", 14.5, "takes whole numbers: 14.5 is not a whole number"),
        ("period", True, "takes whole numbers: True is not a number"),
        ("period", "fast", "takes whole numbers: 'fast' is not a number"),
        ("level", "high", "takes numbers: 'high' is not a number"),
        ("level", True, "takes numbers: True is not a number"),
        ("level", "nan", "takes numbers: 'nan' is not a number"),
        ("kind", "wma", "'wma' is not one of the choices; allowed: 'sma'"),
        ("kind", True, "True is not one of the choices; quote words such as on and no"),
        ("kind", {"low": 1, "high": 2}, "1 is not one of the choices"),
        ("days", {"low": 1, "high": 2}, "takes whole numbers: use type int"),
        ("flag", 1, "1 is not one of the choices"),
    ],
)
def test_changes_of_another_type(name: str, definition: object, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        TYPED.override({name: parse_parameter(definition, key="x")}, key="space.S")
    assert str(caught.value).startswith(f"space.S.{name}: {problem}")


@given(parameters())
def test_written_and_read_back(parameter: Parameter) -> None:
    written = json.loads(json.dumps(parameter.to_json()))
    read = parse_parameter(written, key="p")
    assert read == parameter
    assert Space(x=read).to_json() == {"x": written}


@given(parameters())
def test_defaults_and_levels_are_members(parameter: Parameter) -> None:
    assert Space(x=parameter).defaults()["x"] in parameter
    if not (isinstance(parameter, Int) and parameter.high > 1000) and not isinstance(parameter, Float):
        assert all(value in parameter for value in parameter.levels())
