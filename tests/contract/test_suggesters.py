"""Every backend's every sampler keeps the contract of ``Suggester``."""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from backtune.errors import SearchError
from backtune.search.suggesters.feedback import Feedback
from backtune.space import Choice, Float, Int, Params, Space, Value
from backtune.testing import SuggesterSuite
from backtune.testing.suggesters import (
    MakeSuggester,
    describe_exactly,
    measure_with_failures,
    run_search,
)
from contract.sampler_cases import (
    BACKENDS,
    BOWL,
    CASES,
    CUBE,
    GP,
    PLANE,
    every_backend,
    every_sampler,
    few,
    front_area,
    nook,
    space_for,
    sphere,
    suggester,
    traces,
    zdt1,
)


class TestSuggesters(SuggesterSuite):
    """Every sampler of every backend in the suite that a user's own suggester can be held to."""

    @pytest.fixture(params=[*CASES, GP], ids="-".join)
    def case(self, request: pytest.FixtureRequest) -> tuple[str, str]:
        return request.param

    @pytest.fixture
    def make_suggester(self, case: tuple[str, str]) -> MakeSuggester:
        return lambda space, seed: suggester(*case, space, seed)

    @pytest.fixture
    def space(self, case: tuple[str, str]) -> Space:
        return space_for(case[1])

    @pytest.fixture
    def most_trials(self, case: tuple[str, str]) -> int:
        return few(case[1], 150)


def candidates(backend: str, sampler: str, n: int, seed: int = 3) -> list[Params]:
    return [
        params
        for params, _ in run_search(
            suggester(backend, sampler, space_for(sampler), seed), measure_with_failures, few(sampler, n)
        )
    ]


@every_sampler
def test_fixed_parameters_keep_their_value(backend: str, sampler: str) -> None:
    for params in candidates(backend, sampler, 30):
        fixed = (params["fixed_real"], params["fixed_whole"], params["fixed_step"], params.get("fixed", "on"))
        assert fixed == (2.0, 7, 1, "on")


def test_another_process_gives_the_same_candidates_to_the_bit() -> None:
    tests = Path(__file__).parent.parent
    paths = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "77"}
    command = [sys.executable, "-m", "contract.sampler_cases"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    here = traces()
    elsewhere = json.loads(done.stdout)
    assert elsewhere.keys() == here.keys()
    for case, trace in here.items():
        assert describe_exactly(elsewhere[case]) == describe_exactly(trace), case


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
@pytest.mark.parametrize(
    ("choice", "right"), [(1, True), (True, True), (1.0, True), (2, False), ("1", False)]
)
def test_choices_are_enqueued_by_type(sampler: str, choice: Value, right: bool) -> None:
    for backend in BACKENDS:
        search = suggester(backend, sampler, Space(alike=Choice((1, True, 1.0)), x=Float(0, 1)))
        if right:
            search.enqueue([{"alike": choice, "x": 0.5}])
            assert describe_exactly(search.ask(1)) == describe_exactly([{"alike": choice, "x": 0.5}])
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
        run_search(search, distant, after * search.batch_size)
        if helped:
            search.enqueue([dict.fromkeys(space, 4.4)])
        results = [told for _, told in run_search(search, distant, 120)]
        return statistics.median(told.values[0] for told in results[60:] if told.values)

    helped, alone = ([late(flag, seed) for seed in range(3)] for flag in (True, False))
    assert statistics.mean(helped) < 0.9 * statistics.mean(alone)


@every_backend
@pytest.mark.parametrize("sampler", ["cma-es", "nsga2"])
def test_generations_stay_whole_with_enqueued_members(backend: str, sampler: str) -> None:
    """Every result of the batch counts, so that each of them changes the next one."""

    def next_batch(changed: int, value: float) -> list[Params]:
        search = suggester(backend, sampler, BOWL)
        run_search(search, sphere, 2 * search.batch_size)
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
    seen = [tuple(params.values()) for params, _ in run_search(search, lambda _: Feedback((0.0,)), 1000)]
    assert seen[:2] == [(2, "y", 3.0), (2, "y", 3.5)]
    assert len(seen) == len(set(seen)) == 4 * 2 * 10 + 1


@every_sampler
def test_maximizing_the_negative_is_minimizing(backend: str, sampler: str) -> None:
    space = space_for(sampler)

    def negated(params: Params) -> Feedback:
        told = measure_with_failures(params)
        return Feedback(None if told.values is None else (-told.values[0],), told.violations)

    mirrored = run_search(suggester(backend, sampler, space, objectives=("gain",)), negated, few(sampler, 80))
    assert [params for params, _ in mirrored] == candidates(backend, sampler, 80)


@every_backend
@pytest.mark.parametrize(
    ("sampler", "within", "late_share"), [("tpe", 1.0, 0.4), ("cma-es", 0.5, 0.6), ("nsga2", 4.0, 0.2)]
)
def test_constraints_steer(backend: str, sampler: str, within: float, late_share: float) -> None:
    best, share = [], []
    for seed in range(3):
        trials = run_search(suggester(backend, sampler, PLANE, seed), nook, 200)
        best.append(min(told.values[0] for _, told in trials if told.values and told.is_feasible))
        share.append(statistics.mean(told.is_feasible for _, told in trials[100:]))
    assert 50 <= statistics.median(best) <= 50 + within
    assert statistics.median(share) > late_share


@every_backend
@pytest.mark.parametrize("sampler", ["tpe", "cma-es"])
def test_converges_where_random_search_does_not(backend: str, sampler: str) -> None:
    def best(sampler: str) -> float:
        found = [run_search(suggester(backend, sampler, BOWL, seed), sphere, 200) for seed in range(3)]
        return statistics.median(min(told.values[0] for _, told in trials if told.values) for trials in found)

    assert best(sampler) < best("random") / 10


@every_backend
@pytest.mark.parametrize(("sampler", "n"), [("tpe", 300), ("nsga2", 600)])
def test_two_objectives_reach_the_front(backend: str, sampler: str, n: int) -> None:
    def area(sampler: str) -> float:
        seeds = [suggester(backend, sampler, CUBE, seed, ("-first", "-second")) for seed in range(3)]
        return statistics.median(front_area(run_search(search, zdt1, n)) for search in seeds)

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
    trials = run_search(search, lambda _: Feedback((0.0,)), 10_000)
    seen = [tuple(params.values()) for params, _ in trials]
    tenths = [k / 9 for k in range(10)]
    assert len(seen) == len(set(seen)) == 5 * 3 * 10 * 10
    assert sorted({c for *_, c, _ in seen}) == pytest.approx(tenths)
    assert sorted({math.log10(d) for *_, d in seen}) == pytest.approx([-4 + 4 * tenth for tenth in tenths])
    assert search.ask(64) == []


def test_a_budget_below_the_grid_meets_every_level_evenly() -> None:
    space = Space(a=Int(1, 10), b=Int(1, 10), c=Int(1, 10**6), d=Int(1, 10**6))
    trials = run_search(suggester("auto", "grid", space), lambda _: Feedback((0.0,)), 1000)
    for name in ("a", "b"):
        per_level = [sum(params[name] == k for params, _ in trials) for k in range(1, 11)]
        assert min(per_level) > 70
        assert max(per_level) < 130


def test_qmc_fills_the_space_more_evenly_than_random() -> None:
    def emptiest(sampler: str, seed: int) -> int:
        """Of 8 x 8 x 8 boxes, how many hold none of 512 candidates."""
        found = run_search(suggester("optuna", sampler, CUBE, seed), sphere, 512)
        return 512 - len({tuple(int(8 * float(x)) for x in params.values()) for params, _ in found})

    assert max(emptiest("qmc", seed) for seed in range(2)) < 0.1 * min(
        emptiest("random", seed) for seed in range(2)
    )


def test_optuna_is_silent_and_left_as_it_was(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("optuna")
    before = logger.level
    run_search(suggester("optuna", "tpe", BOWL), sphere, 20)
    assert logger.level == before
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
