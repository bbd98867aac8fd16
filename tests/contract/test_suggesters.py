"""Every backend's every sampler keeps the contract of ``Suggester``."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from backtune.errors import SearchError
from backtune.search.suggesters.feedback import Feedback
from backtune.space import Choice, Float, Int, Params, Space, Value
from contract.suggester_suite import (
    BACKENDS,
    BOWL,
    CUBE,
    PLANE,
    eventful,
    every_backend,
    every_sampler,
    few,
    front_area,
    nook,
    run,
    space_for,
    sphere,
    suggester,
    traces,
    zdt1,
)


def candidates(backend: str, sampler: str, n: int, seed: int = 3) -> list[Params]:
    return [
        params
        for params, _ in run(suggester(backend, sampler, space_for(sampler), seed), eventful, few(sampler, n))
    ]


def exactly(batch: list[Params]) -> list[list[tuple[str, str, str]]]:
    """Candidates with the types of their values, which ``==`` does not tell apart."""
    return [[(name, type(value).__name__, repr(value)) for name, value in params.items()] for params in batch]


@every_sampler
def test_candidates_are_plain_values_inside_the_space(backend: str, sampler: str) -> None:
    space = space_for(sampler)
    for params in candidates(backend, sampler, 150):
        assert list(params) == list(space)
        for name, parameter in space.items():
            value = params[name]
            assert value in parameter
            if isinstance(parameter, Choice):
                assert (type(value), value) in [(type(choice), choice) for choice in parameter.choices]
            else:
                assert type(value) is (float if isinstance(parameter, Float) else int)
        assert params["real_step"] in (0.0, 0.1, 0.2, 0.3)
        assert params["whole_step"] in range(5, 202, 5)


@every_sampler
def test_fixed_parameters_keep_their_value(backend: str, sampler: str) -> None:
    for params in candidates(backend, sampler, 30):
        fixed = (params["fixed_real"], params["fixed_whole"], params["fixed_step"], params.get("fixed", "on"))
        assert fixed == (2.0, 7, 1, "on")


@every_sampler
def test_a_space_without_free_parameters_has_one_candidate(backend: str, sampler: str) -> None:
    search = suggester(backend, sampler, Space(a=Choice(("on",)), b=Int(3, 3)))
    assert search.ask(search.batch_size) == [{"a": "on", "b": 3}]
    search.tell([Feedback((1.0,))])
    assert search.ask(search.batch_size) == []
    search.tell([])
    assert suggester(backend, sampler, Space()).ask(5) == [{}]


@every_sampler
def test_equal_seeds_give_equal_candidates(backend: str, sampler: str) -> None:
    assert exactly(candidates(backend, sampler, 100)) == exactly(candidates(backend, sampler, 100))


@every_sampler
def test_different_seeds_give_different_candidates(backend: str, sampler: str) -> None:
    assert candidates(backend, sampler, 30) != candidates(backend, sampler, 30, seed=2**32 - 1)


def test_another_process_gives_the_same_candidates_to_the_bit() -> None:
    tests = Path(__file__).parent.parent
    paths = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "77"}
    command = [sys.executable, "-m", "contract.suggester_suite"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    here = traces()
    elsewhere = json.loads(done.stdout)
    assert elsewhere.keys() == here.keys()
    for case, trace in here.items():
        assert exactly(elsewhere[case]) == exactly(trace), case


@every_sampler
def test_a_longer_search_starts_with_the_candidates_of_a_shorter_one(backend: str, sampler: str) -> None:
    space = space_for(sampler)
    shorter = suggester(backend, sampler, space)
    batch = shorter.batch_size
    begun = [params for params, _ in run(shorter, eventful, 2 * batch)]
    begun += shorter.ask(batch)
    assert begun == candidates(backend, sampler, 5 * batch)[: 3 * batch]


def corner(space: Space, end: int) -> Params:
    """The candidate of all lowest (0) or all highest (-1) values."""
    ends = {name: parameter.ends()[end] for name, parameter in space.items()}
    values = {name: float(v) if isinstance(space[name], Float) else v for name, v in ends.items()}
    return {**values, **({"whole_step": 200} if end else {}), "fixed_step": 1}


@every_sampler
def test_what_is_enqueued_comes_first_and_exactly(backend: str, sampler: str) -> None:
    space = space_for(sampler)
    low, high = corner(space, 0), corner(space, -1)
    between = {**high, "real": 1.2345678901234567, "real_log": 3.3e-4, "real_step": 0.2, "whole_log": 33}
    search = suggester(backend, sampler, space)
    search.enqueue([low, high])
    search.enqueue([between])
    trials = run(search, eventful, 2 * search.batch_size)
    assert exactly([params for params, _ in trials[:3]]) == exactly([low, high, between])
    assert len({tuple(params.values()) for params, _ in trials}) > search.batch_size
    search.enqueue([low] * (search.batch_size + 1))
    later = run(search, eventful, 2 * search.batch_size)
    assert [params == low for params, _ in later[: search.batch_size + 2]] == [True] * (
        search.batch_size + 1
    ) + [False]
    assert len(later) == 2 * search.batch_size


@every_sampler
def test_what_is_enqueued_is_replayed(backend: str, sampler: str) -> None:
    def trace() -> list[Params]:
        search = suggester(backend, sampler, space_for(sampler))
        found = []
        for _ in range(3):
            found += [params for params, _ in run(search, eventful, search.batch_size)]
            search.enqueue([found[len(found) // 2], corner(space_for(sampler), 0)])
        return found + search.ask(search.batch_size)

    assert exactly(trace()) == exactly(trace())


@every_sampler
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"real": 5.1}, "real: 5.1 is outside"),
        ({"whole": 2.5}, "whole: 2.5 is outside"),
        ({"whole": "two"}, "whole: 'two' is outside"),
        ({"whole_step": 7}, "whole_step: 7 is not 5 plus a whole number of steps of 5"),
        ({"real_step": 0.25}, "real_step: 0.25 is not 0.0 plus"),
        ({"fixed_real": 3.0}, "fixed_real: 3.0 is outside"),
        ({"more": 1}, "more is not a parameter"),
    ],
)
def test_what_is_outside_is_not_enqueued(
    backend: str, sampler: str, change: dict[str, Value], message: str
) -> None:
    space = space_for(sampler)
    search, untouched = suggester(backend, sampler, space), suggester(backend, sampler, space)
    with pytest.raises(SearchError, match=re.escape(message)):
        search.enqueue([corner(space, 0), {**corner(space, 0), **change}])
    without_one = {name: value for name, value in corner(space, 0).items() if name != "whole_log"}
    with pytest.raises(SearchError, match="whole_log is missing"):
        search.enqueue([without_one])
    assert search.ask(3) == untouched.ask(3)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
@pytest.mark.parametrize(
    ("choice", "right"), [(1, True), (True, True), (1.0, True), (2, False), ("1", False)]
)
def test_choices_are_enqueued_by_type(sampler: str, choice: Value, right: bool) -> None:
    for backend in BACKENDS:
        search = suggester(backend, sampler, Space(alike=Choice((1, True, 1.0)), x=Float(0, 1)))
        if right:
            search.enqueue([{"alike": choice, "x": 0.5}])
            assert exactly(search.ask(1)) == exactly([{"alike": choice, "x": 0.5}])
        else:
            with pytest.raises(SearchError, match=r"alike: .* is not one of the choices"):
                search.enqueue([{"alike": choice, "x": 0.5}])


@every_backend
@pytest.mark.parametrize("sampler", ["tpe", "cma-es", "nsga2"])
@pytest.mark.parametrize("after", [0, 3])
def test_backends_learn_from_what_is_enqueued(backend: str, sampler: str, after: int) -> None:
    """A candidate next to the best, in a far corner of ten dimensions, leads the search there."""
    space = Space({f"x{i}": Float(-5.0, 5.0) for i in range(10)})

    def distant(params: Params) -> Feedback:
        return Feedback((sum((float(value) - 4.5) ** 2 for value in params.values()),))

    def late(helped: bool, seed: int) -> float:
        search = suggester(backend, sampler, space, seed)
        run(search, distant, after * search.batch_size)
        if helped:
            search.enqueue([dict.fromkeys(space, 4.4)])
        results = [told for _, told in run(search, distant, 120)]
        return statistics.median(told.values[0] for told in results[60:] if told.values)

    helped, alone = ([late(flag, seed) for seed in range(3)] for flag in (True, False))
    assert statistics.mean(helped) < 0.9 * statistics.mean(alone)


@every_backend
@pytest.mark.parametrize("sampler", ["cma-es", "nsga2"])
def test_generations_stay_whole_with_enqueued_members(backend: str, sampler: str) -> None:
    """Every result of the batch counts, so that each of them changes the next one."""

    def next_batch(changed: int, value: float) -> list[Params]:
        search = suggester(backend, sampler, BOWL)
        run(search, sphere, 2 * search.batch_size)
        search.enqueue([dict.fromkeys(BOWL, 1.5), dict.fromkeys(BOWL, 4.5)])
        results = [sphere(params) for params in search.ask(search.batch_size)]
        results[changed] = Feedback((value,))
        search.tell(results)
        return search.ask(search.batch_size)

    for i in (0, 1, 2, suggester(backend, sampler, BOWL).batch_size - 1):
        assert next_batch(i, -1.0) != next_batch(i, 1e9)


def test_the_grid_does_not_meet_again_what_was_enqueued() -> None:
    space = Space(a=Int(1, 4), b=Choice(("x", "y")), c=Float(0.0, 9.0))
    search = suggester("auto", "grid", space)
    search.enqueue([{"a": 2, "b": "y", "c": 3.0}, {"a": 2, "b": "y", "c": 3.5}])
    seen = [tuple(params.values()) for params, _ in run(search, lambda _: Feedback((0.0,)), 1000)]
    assert seen[:2] == [(2, "y", 3.0), (2, "y", 3.5)]
    assert len(seen) == len(set(seen)) == 4 * 2 * 10 + 1


@every_sampler
def test_maximizing_the_negative_is_minimizing(backend: str, sampler: str) -> None:
    space = space_for(sampler)

    def negated(params: Params) -> Feedback:
        told = eventful(params)
        return Feedback(None if told.values is None else (-told.values[0],), told.violations)

    mirrored = run(suggester(backend, sampler, space, objectives=("gain",)), negated, few(sampler, 80))
    assert [params for params, _ in mirrored] == candidates(backend, sampler, 80)


@every_sampler
@pytest.mark.parametrize(
    "told",
    [Feedback(None, (1.0,)), Feedback((0.0,), (2.0, 1.0)), Feedback((0.0,)), Feedback((1.7e308,), (-1.0,))],
)
def test_batches_of_one_kind_do_not_stall_the_search(backend: str, sampler: str, told: Feedback) -> None:
    trials = run(suggester(backend, sampler, space_for(sampler)), lambda _: told, few(sampler, 120))
    late = {tuple(params.values()) for params, _ in trials[len(trials) * 2 // 3 :]}
    assert len(late) > len(trials) / 12


@every_backend
@pytest.mark.parametrize(
    ("sampler", "within", "late_share"), [("tpe", 1.0, 0.4), ("cma-es", 0.5, 0.6), ("nsga2", 4.0, 0.2)]
)
def test_constraints_steer(backend: str, sampler: str, within: float, late_share: float) -> None:
    best, share = [], []
    for seed in range(3):
        trials = run(suggester(backend, sampler, PLANE, seed), nook, 200)
        best.append(min(told.values[0] for _, told in trials if told.values and told.is_feasible))
        share.append(statistics.mean(told.is_feasible for _, told in trials[100:]))
    assert 50 <= statistics.median(best) <= 50 + within
    assert statistics.median(share) > late_share


@every_backend
@pytest.mark.parametrize("sampler", ["tpe", "cma-es"])
def test_converges_where_random_search_does_not(backend: str, sampler: str) -> None:
    def best(sampler: str) -> float:
        found = [run(suggester(backend, sampler, BOWL, seed), sphere, 200) for seed in range(3)]
        return statistics.median(min(told.values[0] for _, told in trials if told.values) for trials in found)

    assert best(sampler) < best("random") / 10


@every_backend
@pytest.mark.parametrize(("sampler", "n"), [("tpe", 300), ("nsga2", 600)])
def test_two_objectives_reach_the_front(backend: str, sampler: str, n: int) -> None:
    def area(sampler: str) -> float:
        seeds = [suggester(backend, sampler, CUBE, seed, ("-first", "-second")) for seed in range(3)]
        return statistics.median(front_area(run(search, zdt1, n)) for search in seeds)

    assert max(0.6, area("random") + 0.1) < area(sampler) < 0.87


@every_backend
def test_a_failure_does_not_hold_up_a_generation(backend: str) -> None:
    search = suggester(backend, "nsga2", BOWL)
    parents = search.ask(search.batch_size)
    search.tell([Feedback(None), *[sphere(params) for params in parents[1:]]])
    inherited = {params["x0"] for params in parents}
    assert sum(child["x0"] in inherited for child in search.ask(search.batch_size)) > search.batch_size / 2


def test_the_grid_gives_each_combination_once_and_ends() -> None:
    space = Space(
        a=Int(1, 9, step=2), b=Choice(("x", "y", "z")), c=Float(0.0, 1.0), d=Float(1e-4, 1.0, log=True)
    )
    search = suggester("auto", "grid", space)
    trials = run(search, lambda _: Feedback((0.0,)), 10_000)
    seen = [tuple(params.values()) for params, _ in trials]
    tenths = [k / 9 for k in range(10)]
    assert len(seen) == len(set(seen)) == 5 * 3 * 10 * 10
    assert sorted({c for *_, c, _ in seen}) == pytest.approx(tenths)
    assert sorted({math.log10(d) for *_, d in seen}) == pytest.approx([-4 + 4 * tenth for tenth in tenths])
    assert search.ask(64) == []


def test_a_budget_below_the_grid_meets_every_level_evenly() -> None:
    space = Space(a=Int(1, 10), b=Int(1, 10), c=Int(1, 10**6), d=Int(1, 10**6))
    trials = run(suggester("auto", "grid", space), lambda _: Feedback((0.0,)), 1000)
    for name in ("a", "b"):
        per_level = [sum(params[name] == k for params, _ in trials) for k in range(1, 11)]
        assert min(per_level) > 70
        assert max(per_level) < 130


@every_sampler
@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([Feedback((1.0,))], "1 results for 3 candidates"),
        ([Feedback((1.0,)), Feedback((math.nan,)), Feedback((1.0,))], "result 1 is not finite"),
        ([Feedback((1.0,)), Feedback((1.0,)), Feedback((-math.inf,))], "result 2 is not finite"),
        ([Feedback((1.0,), (math.inf,)), Feedback((1.0,)), Feedback((1.0,))], "result 0 is not finite"),
        ([Feedback((1.0, 2.0)), Feedback((1.0,)), Feedback((1.0,))], "2 values for 1 objectives"),
    ],
)
def test_what_cannot_be_told_is_refused_whole(
    backend: str, sampler: str, results: list[Feedback], message: str
) -> None:
    search = suggester(backend, sampler, space_for(sampler))
    batch = search.ask(3)
    with pytest.raises(SearchError, match=message):
        search.tell(results)
    with pytest.raises(SearchError, match="3 candidates were asked and not told"):
        search.ask(3)
    untouched = suggester(backend, sampler, space_for(sampler))
    assert untouched.ask(3) == batch
    for each in (search, untouched):
        each.tell([Feedback((float(i),)) for i in range(3)])
    assert search.ask(3) == untouched.ask(3)


def test_qmc_fills_the_space_more_evenly_than_random() -> None:
    def emptiest(sampler: str, seed: int) -> int:
        """Of 8 x 8 x 8 boxes, how many hold none of 512 candidates."""
        found = run(suggester("optuna", sampler, CUBE, seed), sphere, 512)
        return 512 - len({tuple(int(8 * float(x)) for x in params.values()) for params, _ in found})

    assert max(emptiest("qmc", seed) for seed in range(2)) < 0.1 * min(
        emptiest("random", seed) for seed in range(2)
    )


def test_optuna_is_silent_and_left_as_it_was(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("optuna")
    before = logger.level
    run(suggester("optuna", "tpe", BOWL), sphere, 20)
    assert logger.level == before
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
