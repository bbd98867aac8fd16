"""Every backend's every sampler keeps the rules and conditions of a space, and spends no candidate on what breaks them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from backtune.errors import SearchError, SpecError
from backtune.search.suggesters.feedback import Feedback
from backtune.space import Choice, Float, Int, Params, Space
from contract.suggester_suite import CASES, every_sampler, few, run, suggester

PERIODS = Space(
    fast=Int(2, 60),
    slow=Int(2, 60),
    size=Float(0.1, 1.0, log=True),
    rules=["fast < slow", "slow <= 10 * fast"],
)
NARROW = Space(a=Float(0, 100), b=Float(0, 100), c=Int(1, 3), rules=["a < b", "b < a + 12"])
EXITS = {
    "trail": Float(0.01, 0.1, when={"exit": 1}),
    "window": Int(2, 30, when={"exit": (1, 2)}),
    "depth": Int(1, 3, when={"exit": 2, "window": (2, 3, 4, 5)}),
    "target": Float(0.0, 0.2, step=0.05, when={"exit": 2}),
}
CONDITIONAL = Space({"exit": Int(0, 2), "x": Float(0, 1), **EXITS}, rules=["depth < window"])
NAMED = Space(exit=Choice(("none", "trail")), width=Int(1, 5, when={"exit": "trail"}))


def loss(params: Params) -> Feedback:
    numbers = [float(value) for value in params.values() if not isinstance(value, str)]
    return Feedback((sum(numbers),), (numbers[0] - 50,))


def keys(trials: list[tuple[Params, Feedback]]) -> list[tuple[tuple[str, object], ...]]:
    return [tuple(params.items()) for params, _ in trials]


@every_sampler
@pytest.mark.parametrize("space", [PERIODS, NARROW])
def test_no_candidate_breaks_a_rule(backend: str, sampler: str, space: Space) -> None:
    search = suggester(backend, sampler, space)
    trials = run(search, loss, few(sampler, 60))
    assert all(space.find_broken_rule(params) is None for params, _ in trials)
    assert len(set(keys(trials))) > len(trials) / 3


@every_sampler
@pytest.mark.parametrize("space", [PERIODS, NARROW, CONDITIONAL])
def test_rules_and_conditions_are_replayed(backend: str, sampler: str, space: Space) -> None:
    one, other = (keys(run(suggester(backend, sampler, space), loss, few(sampler, 60))) for _ in range(2))
    assert one == other


@every_sampler
def test_inactive_parameters_are_left_out(backend: str, sampler: str) -> None:
    trials = run(suggester(backend, sampler, CONDITIONAL), loss, few(sampler, 120))
    names = Counter(tuple(params) for params, _ in trials)
    expected = {("exit", "x"), ("exit", "x", "trail", "window"), ("exit", "x", "window", "target")}
    assert names.keys() <= {*expected, ("exit", "x", "window", "depth", "target")}
    assert names.keys() >= expected
    for params, _ in trials:
        assert CONDITIONAL.select_active(params) == params
        assert ("depth" in params) == (params["exit"] == 2 and params.get("window", 9) in (2, 3, 4, 5))
        assert all(value in CONDITIONAL[name] for name, value in params.items())


@every_sampler
def test_enqueued_candidates_keep_rules_and_conditions(backend: str, sampler: str) -> None:
    search = suggester(backend, sampler, CONDITIONAL)
    given: list[Params] = [
        {"exit": 0, "x": 0.25},
        {"exit": 1, "x": 0.5, "trail": 0.02, "window": 30},
        {"exit": 2, "x": 0.75, "window": 3, "depth": 2, "target": 0.1},
    ]
    search.enqueue(given)
    assert [params for params, _ in run(search, loss, search.batch_size)][:3] == given
    refused: list[tuple[Params, str]] = [
        ({"exit": 0, "x": 0.25, "trail": 0.02}, "trail is given, and does not matter"),
        ({"exit": 1, "x": 0.5, "trail": 0.02}, "window is missing"),
        ({"exit": 2, "x": 0.75, "window": 3, "depth": 3, "target": 0.1}, "breaks the rule 'depth < window'"),
    ]
    for params, message in refused:
        with pytest.raises(SearchError, match=re.escape(message)):
            search.enqueue([params])


def test_the_grid_meets_each_candidate_that_keeps_the_rules_once() -> None:
    space = Space(
        exit=Choice(("none", "trail")), fast=Int(1, 4), slow=Int(1, 4), width=Int(1, 5, when={"exit": "trail"}),
        rules=["fast < slow"],
    )  # fmt: skip
    found = keys(run(suggester("auto", "grid", space), lambda _: Feedback((0.0,)), 1000))
    assert len(found) == len(set(found)) == 6 * (1 + 5)


@pytest.mark.parametrize(("backend", "sampler"), [case for case in CASES if case[1] in ("cma-es", "nsga2")])
def test_generations_stay_whole_with_rules(backend: str, sampler: str) -> None:
    """Each result of a batch counts, so that each changes the next one."""

    def next_batch(changed: int, value: float) -> list[Params]:
        search = suggester(backend, sampler, PERIODS)
        run(search, loss, search.batch_size)
        results = [loss(params) for params in search.ask(search.batch_size)]
        results[changed] = Feedback((value,), (-1.0,))
        search.tell(results)
        return search.ask(search.batch_size)

    for i in (0, suggester(backend, sampler, PERIODS).batch_size - 1):
        assert next_batch(i, -1.0) != next_batch(i, 1e9)


@every_sampler
def test_what_rules_leave_empty_is_refused_before_the_search(backend: str, sampler: str) -> None:
    space = Space(a=Float(0, 1), b=Float(0, 1), c=Float(0, 1), rules=["a < b", "b < c", "c < a + 1e-9"])
    with pytest.raises(SpecError, match=r"space.rules: none of 10,000 random candidates keeps \['a < b'"):
        suggester(backend, sampler, space)


@pytest.mark.parametrize(("backend", "sampler"), [case for case in CASES if case[1] != "cma-es"])
def test_a_choice_decides_by_name(backend: str, sampler: str) -> None:
    found = {tuple(params) for params, _ in run(suggester(backend, sampler, NAMED), loss_of_names, 40)}
    assert found == {("exit",), ("exit", "width")}


def loss_of_names(params: Params) -> Feedback:
    return Feedback((float(len(params)),))


@pytest.mark.parametrize("sampler", ["tpe", "cma-es", "nsga2", "random"])
def test_where_rules_leave_little_random_candidates_step_in(sampler: str) -> None:
    space = Space(a=Float(0, 100), b=Float(0, 100), rules=["a < b", "b < a + 0.1"])
    trials = run(suggester("rustuna", sampler, space), loss, 40)
    assert all(0 < float(params["b"]) - float(params["a"]) < 0.1 for params, _ in trials)
    assert len(set(keys(trials))) > 20
    assert max(float(params["a"]) for params, _ in trials[:24]) > 60


def test_a_grid_that_rules_leave_empty_is_refused_although_its_space_is_not() -> None:
    space = Space(a=Float(0, 100), b=Float(0, 100), rules=["a < b", "b < a + 2"])
    with pytest.raises(SpecError, match="none of 10,000"):
        suggester("auto", "grid", space)
    assert suggester("rustuna", "random", space).ask(1)


@every_sampler
def test_what_is_a_level_but_for_rounding_is_that_level(backend: str, sampler: str) -> None:
    search = suggester(backend, sampler, Space(x=Float(0.0, 0.3, step=0.05), y=Float(0, 1)))
    search.enqueue([{"x": 0.15, "y": 0.5}, {"x": 0.1 * 3, "y": 0.25}])
    assert search.ask(2) == [{"x": 3 * 0.05, "y": 0.5}, {"x": 0.3, "y": 0.25}]
