"""Rules between parameters and conditions on them: how they are written, what is refused, what a space says of them."""

from __future__ import annotations

import copy
import re

import pytest

from backtune.errors import SpecError
from backtune.space import Choice, Float, Int, Parameter, Params, Rule, Space, parse_space

NUMBERS: dict[str, Parameter] = {
    "fast": Int(2, 50),
    "slow": Float(2, 200),
    "kind": Choice(("sma", "ema")),
    "n": Choice((1, 2.5)),
}


@pytest.mark.parametrize(
    ("text", "written", "fast", "slow", "holds"),
    [
        ("fast < slow", "fast < slow", 10, 10.5, True),
        ("fast < slow", "fast < slow", 10, 10.0, False),
        ("fast<=slow", "fast <= slow", 10, 10.0, True),
        (" fast  >slow ", "fast > slow", 10, 9.0, True),
        ("slow >= 2*fast", "slow >= 2 * fast", 10, 20.0, True),
        ("slow >= 2*fast", "slow >= 2 * fast", 10, 19.9, False),
        ("fast + 5 < slow", "fast + 5 < slow", 10, 15.0, False),
        ("fast+5 <= slow - 1.50", "fast + 5 <= slow - 1.5", 10, 16.5, True),
        (".5 * slow - 1e1 < fast", "0.5 * slow - 10 < fast", 10, 39.0, True),
    ],
)
def test_a_rule_says_what_it_says(text: str, written: str, fast: int, slow: float, holds: bool) -> None:
    rule = Rule.parse(text, key="k")
    assert str(rule) == written
    assert rule == Rule.parse(written, key="k")
    assert rule.holds({"fast": fast, "slow": slow}) is holds
    assert rule.holds({"fast": fast})
    assert rule.holds({"slow": slow})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("fast slow", "'fast slow' is not a rule; write 'fast < slow'"),
        ("fast < slow < 3", "is not a rule"),
        ("fast < 3", "is not a rule"),
        ("fast == slow", "is not a rule"),
        ("fast < slow * 2", "is not a rule"),
        ("fast < -slow", "is not a rule"),
        ("__import__('os') < slow", "is not a rule"),
        ("", "is not a rule"),
        ("fast < fast + 1", "compares 'fast' with itself"),
        ("fast < slo", "'fast < slo': 'slo' is not a parameter (did you mean 'slow'?); allowed: fast, slow"),
        ("fast < kind", "'fast < kind': 'kind' is not a number"),
        ("fast > slow + 48", "'fast > slow + 48' can never hold: fast is 2 to 50 and slow is 2 to 200"),
        ("n > fast + 1", "can never hold: n is one of [1, 2.5] and fast is 2 to 50"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as raised:
        Space(NUMBERS, rules=[rule])
    assert raised.value.key == "rules"


def test_a_space_keeps_its_rules() -> None:
    space = Space(NUMBERS, rules=["fast < slow"])
    for kept in (
        space, Space(space, more=Int(1, 2)), space.extend({"stop": Float(0, 1)}, key="k"), copy.deepcopy(space),
        space.override({"fast": Int(2, 300)}), parse_space(space.to_json(), key="k"), space.with_rules(["fast<slow"], key="k"),
    ):  # fmt: skip
        assert [str(rule) for rule in kept.rules] == ["fast < slow"]
    assert str(space.find_broken_rule({"fast": 5, "slow": 5.0})) == "fast < slow"
    assert space.find_broken_rule({"fast": 5, "slow": 5.5}) is None
    more = space.with_rules(["slow <= 10 * fast"], key="k")
    assert more.to_json()["rules"] == ["fast < slow", "slow <= 10 * fast"]
    assert "rules" not in Space(NUMBERS).to_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fast": Int(40, 50), "slow": Float(2, 30)},
            "space.X.rules: 'fast < slow' can never hold: fast is 40 to 50",
        ),
        (
            {"fast": Int(9, 9), "slow": Choice((3, 9))},
            "'fast < slow' can never hold: fast is 9 and slow is one of [3, 9]",
        ),
    ],
)
def test_ranges_that_break_a_rule_are_refused(changes: dict[str, Parameter], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        Space(NUMBERS, rules=["fast < slow"]).override(changes, key="space.X")


TREE = Space(
    exit=Choice(("none", "trail", "both")),
    trail=Float(0.01, 0.1, when={"exit": ["trail", "both"]}),
    steps=Int(1, 5, when={"exit": "both"}),
    pace=Choice(("slow", "quick"), when={"steps": (2, 3)}),
)


@pytest.mark.parametrize(
    ("params", "active"),
    [
        ({"exit": "none", "trail": 0.05, "steps": 2, "pace": "slow"}, ["exit"]),
        ({"exit": "trail", "trail": 0.05, "steps": 2, "pace": "slow"}, ["exit", "trail"]),
        ({"exit": "both", "trail": 0.05, "steps": 1, "pace": "slow"}, ["exit", "trail", "steps"]),
        ({"exit": "both", "trail": 0.05, "steps": 3, "pace": "slow"}, ["exit", "trail", "steps", "pace"]),
        ({"exit": "both"}, ["exit"]),
        ({}, []),
    ],
)
def test_which_parameters_matter(params: Params, active: list[str]) -> None:
    assert list(TREE.select_active(params)) == active


def test_a_condition_tells_1_from_true() -> None:
    space = Space(
        mode=Choice((1, True, 2.0)), a=Int(0, 1, when={"mode": 1}), b=Int(0, 1, when={"mode": [True, 2]})
    )
    found = [list(space.select_active({"mode": mode, "a": 0, "b": 0})) for mode in (1, True, 2.0)]
    assert found == [["mode", "a"], ["mode", "b"], ["mode", "b"]]


def test_conditions_are_written_and_read_back() -> None:
    read = parse_space(TREE.to_json(), key="k")
    assert dict(read) == dict(TREE)
    assert read["trail"].when == {"exit": ("trail", "both")}
    assert "when" not in TREE.to_json()["exit"]
    assert copy.deepcopy(TREE)["pace"].when == {"steps": (2, 3)}
    assert hash(TREE["steps"]) == hash(read["steps"])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"a": Int(0, 1, when={"b": 1}), "b": Int(0, 1)}, "a.when.b: 'b' is not a parameter named before it"),
        ({"a": Int(0, 1, when={"a": 1})}, "a.when.a: 'a' is not a parameter named before it"),
        ({"a": Float(0, 1), "b": Int(0, 1, when={"a": 0.5})}, "b.when.a: 'a' is a real number"),
        (
            {"a": Int(0, 1), "b": Int(0, 1, when={"a": [2, 3]})},
            "b.when.a: [2, 3] is not among the values of 'a'",
        ),
        ({"a": Choice(("x", "y")), "b": Int(0, 1, when={"a": "z"})}, "allowed: 'x', 'y'"),
        ({"rules": Int(0, 1)}, "rules: is no name for a parameter"),
    ],
)
def test_impossible_conditions_are_refused(named: dict[str, Parameter], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        Space(named)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (("exit",), "when: ('exit',) is not a mapping"),
        ({"a": []}, "when.a: [] is neither"),
        ({"a": None}, "when.a: None is"),
    ],
)
def test_unreadable_conditions_are_refused(when: object, message: str) -> None:
    for build in (lambda: Int(0, 1, when=when), lambda: Choice((1, 2), when=when)):  # type: ignore[arg-type]
        with pytest.raises(SpecError, match=re.escape(message)):
            build()


def test_an_override_keeps_conditions_and_leaves_out_what_cannot_matter() -> None:
    ruled = TREE.with_rules(["steps < 100 * trail"], key="k")
    wider = ruled.override({"steps": Int(1, 9)})
    assert wider["steps"].when == {"exit": ("both",)}
    fewer = ruled.override({"exit": Choice(("none", "trail"))})
    assert list(fewer) == ["exit", "trail"]
    assert fewer.rules == ()
    assert list(ruled.override({"steps": Choice((1, 4))})) == ["exit", "trail", "steps"]
    assert list(TREE.override({"exit": Choice(("both",))})) == list(TREE)
