"""Every backend's every sampler keeps the rules and conditions of a space, and spends no candidate on what breaks them."""

from __future__ import annotations

import re

import pytest

from backtune.errors import SearchError, SpecError
from backtune.search.suggesters.feedback import Feedback
from backtune.space import Choice, Float, Int, Params, Space
from backtune.testing.suggesters import CONDITIONS, RULES, Trials, measure_sum, run_search
from contract.sampler_cases import CASES, every_sampler, suggester

NAMED = Space(exit=Choice(("none", "trail")), width=Int(1, 5, when={"exit": "trail"}))


def keys(trials: Trials) -> list[tuple[tuple[str, object], ...]]:
    return [tuple(params.items()) for params, _ in trials]


@every_sampler
def test_enqueued_candidates_keep_rules_and_conditions(backend: str, sampler: str) -> None:
    search = suggester(backend, sampler, CONDITIONS)
    given: list[Params] = [
        {"exit": 0, "x": 0.25},
        {"exit": 1, "x": 0.5, "trail": 0.02, "window": 30},
        {"exit": 2, "x": 0.75, "window": 3, "depth": 2, "target": 0.1},
    ]
    search.enqueue(given)
    assert [params for params, _ in run_search(search, measure_sum, search.batch_size)][:3] == given
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
    found = keys(run_search(suggester("auto", "grid", space), lambda _: Feedback((0.0,)), 1000))
    assert len(found) == len(set(found)) == 6 * (1 + 5)


@pytest.mark.parametrize(("backend", "sampler"), [case for case in CASES if case[1] in ("cma-es", "nsga2")])
def test_generations_stay_whole_with_rules(backend: str, sampler: str) -> None:
    """Each result of a batch counts, so that each changes the next one."""

    def next_batch(changed: int, value: float) -> list[Params]:
        search = suggester(backend, sampler, RULES)
        run_search(search, measure_sum, search.batch_size)
        results = [measure_sum(params) for params in search.ask(search.batch_size)]
        results[changed] = Feedback((value,), (-1.0,))
        search.tell(results)
        return search.ask(search.batch_size)

    for i in (0, suggester(backend, sampler, RULES).batch_size - 1):
        assert next_batch(i, -1.0) != next_batch(i, 1e9)


@every_sampler
def test_what_rules_leave_empty_is_refused_before_the_search(backend: str, sampler: str) -> None:
    space = Space(a=Float(0, 1), b=Float(0, 1), c=Float(0, 1), rules=["a < b", "b < c", "c < a + 1e-9"])
    with pytest.raises(SpecError, match=r"space.rules: none of 10,000 random candidates keeps \['a < b'"):
        suggester(backend, sampler, space)


@pytest.mark.parametrize(("backend", "sampler"), [case for case in CASES if case[1] != "cma-es"])
def test_a_choice_decides_by_name(backend: str, sampler: str) -> None:
    found = {tuple(params) for params, _ in run_search(suggester(backend, sampler, NAMED), loss_of_names, 40)}
    assert found == {("exit",), ("exit", "width")}


def loss_of_names(params: Params) -> Feedback:
    return Feedback((float(len(params)),))


@pytest.mark.parametrize("sampler", ["tpe", "cma-es", "nsga2", "random"])
def test_where_rules_leave_little_random_candidates_step_in(sampler: str) -> None:
    space = Space(a=Float(0, 100), b=Float(0, 100), rules=["a < b", "b < a + 0.1"])
    trials = run_search(suggester("rustuna", sampler, space), measure_sum, 40)
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
