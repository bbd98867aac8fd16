"""The conformance suite of suggesters, and the spaces and the loop that it runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from backtune.errors import SearchError
from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.suggester import Suggester
from backtune.space import Choice, Float, Int, Params, Space

# Makes a suggester of one objective, which is minimized, and two constraints, from a space and a seed.
MakeSuggester = Callable[[Space, int], Suggester]
Trials = list[tuple[Params, Feedback]]

NUMBERS = Space(
    real=Float(-5, 5),
    real_log=Float(1e-5, 1.0, log=True),
    real_step=Float(0.0, 0.3, step=0.1),
    fixed_real=Float(2, 2),
    whole=Int(2, 30),
    whole_step=Int(5, 201, step=5),
    whole_log=Int(1, 500, log=True),
    fixed_whole=Int(7, 7),
    fixed_step=Int(1, 4, step=10),
)
EVERYTHING = Space(
    {**NUMBERS, "text": Choice(("sma", "ema")), "alike": Choice((1, True, 1.0)), "fixed": Choice(("on",))}
)
RULES = Space(
    fast=Int(2, 60),
    slow=Int(2, 60),
    size=Float(0.1, 1.0, log=True),
    rules=["fast < slow", "slow <= 10 * fast"],
)
NARROW_RULES = Space(a=Float(0, 100), b=Float(0, 100), c=Int(1, 3), rules=["a < b", "b < a + 12"])
CONDITIONS = Space(
    exit=Int(0, 2),
    x=Float(0, 1),
    trail=Float(0.01, 0.1, when={"exit": 1}),
    window=Int(2, 30, when={"exit": (1, 2)}),
    depth=Int(1, 3, when={"exit": 2, "window": (2, 3, 4, 5)}),
    target=Float(0.0, 0.2, step=0.05, when={"exit": 2}),
    rules=["depth < window"],
)


def run_search(suggester: Suggester, problem: Callable[[Params], Feedback], n_trials: int) -> Trials:
    """Return the first ``n_trials`` trials of whole batches, or as many as there are candidates."""
    trials: Trials = []
    while len(trials) < n_trials:
        batch = suggester.ask(suggester.batch_size)
        if not batch:
            break
        feedback = [problem(params) for params in batch]
        suggester.tell(feedback)
        trials += zip(batch, feedback, strict=True)
    return trials[:n_trials]


def measure_with_failures(params: Params) -> Feedback:
    """Return a smooth loss over :data:`NUMBERS`, of which some is infeasible, and some fails."""
    if params["whole"] == 13:
        return Feedback(None, (1.0, 1.0))
    loss = (float(params["real"]) - 1) ** 2 + abs(int(params["whole"]) - 9) / 3 + float(params["real_step"])
    return Feedback((loss,), (float(params["real"]) - 2, 0.1 - float(params["real_step"])))


def measure_sum(params: Params) -> Feedback:
    """Return the sum of a candidate's numbers, infeasible where the first one is above 50."""
    numbers = [float(value) for value in params.values() if not isinstance(value, str)]
    return Feedback((sum(numbers),), (numbers[0] - 50,))


def corner_of(space: Space, end: int) -> Params:
    """Return the candidate of all lowest values (0), or of all highest ones (-1)."""
    return {
        name: parameter.level(0 if end == 0 else parameter.n_levels - 1) for name, parameter in space.items()
    }


def describe_exactly(candidates: list[Params]) -> list[list[tuple[str, str, str]]]:
    """Return candidates with the types of their values, which ``==`` does not tell apart."""
    return [
        [(name, type(value).__name__, repr(value)) for name, value in params.items()] for params in candidates
    ]


class SuggesterSuite:
    """The contract of :class:`~backtune.search.suggesters.suggester.Suggester`."""

    @pytest.fixture
    def make_suggester(self) -> MakeSuggester:
        """Return a function that makes the suggester to test from a space and a seed."""
        raise NotImplementedError("override the fixture 'make_suggester'")

    @pytest.fixture
    def space(self) -> Space:
        """Return the space to search: :data:`NUMBERS` for a suggester that knows no choices."""
        return EVERYTHING

    @pytest.fixture
    def most_trials(self) -> int:
        """Return the largest number of trials of a search in these tests."""
        return 150

    def test_candidates_are_plain_values_inside_the_space(
        self, make_suggester: MakeSuggester, space: Space, most_trials: int
    ) -> None:
        for params, _ in run_search(make_suggester(space, 3), measure_with_failures, most_trials):
            assert list(params) == list(space)
            for name, parameter in space.items():
                value = params[name]
                assert value in parameter
                if not parameter.is_continuous:
                    assert (type(value), value) in [(type(level), level) for level in parameter.levels()]
                else:
                    assert type(value) is float

    def test_a_space_without_free_parameters_has_one_candidate(self, make_suggester: MakeSuggester) -> None:
        suggester = make_suggester(Space(a=Choice(("on",)), b=Int(3, 3)), 3)
        assert suggester.ask(suggester.batch_size) == [{"a": "on", "b": 3}]
        suggester.tell([Feedback((1.0,))])
        assert suggester.ask(suggester.batch_size) == []
        suggester.tell([])
        assert make_suggester(Space(), 3).ask(5) == [{}]

    def test_equal_seeds_give_equal_candidates(
        self, make_suggester: MakeSuggester, space: Space, most_trials: int
    ) -> None:
        one, other = (
            [params for params, _ in run_search(make_suggester(space, 3), measure_with_failures, most_trials)]
            for _ in range(2)
        )
        assert describe_exactly(one) == describe_exactly(other)

    def test_different_seeds_give_different_candidates(
        self, make_suggester: MakeSuggester, space: Space
    ) -> None:
        one, other = make_suggester(space, 3), make_suggester(space, 2**32 - 1)
        assert one.ask(one.batch_size) != other.ask(other.batch_size)

    def test_a_longer_search_starts_with_the_candidates_of_a_shorter_one(
        self, make_suggester: MakeSuggester, space: Space
    ) -> None:
        shorter, longer = make_suggester(space, 3), make_suggester(space, 3)
        batch = shorter.batch_size
        begun = [params for params, _ in run_search(shorter, measure_with_failures, 2 * batch)]
        begun += shorter.ask(batch)
        trials = run_search(longer, measure_with_failures, 5 * batch)
        assert begun == [params for params, _ in trials[: 3 * batch]]

    def test_enqueued_candidates_come_first_and_exactly(
        self, make_suggester: MakeSuggester, space: Space
    ) -> None:
        low, high = corner_of(space, 0), corner_of(space, -1)
        between = {**high, "real": 1.2345678901234567, "real_log": 3.3e-4, "real_step": 0.2, "whole_log": 33}
        suggester = make_suggester(space, 3)
        suggester.enqueue([low, high])
        suggester.enqueue([between])
        trials = run_search(suggester, measure_with_failures, 2 * suggester.batch_size)
        assert describe_exactly([params for params, _ in trials[:3]]) == describe_exactly(
            [low, high, between]
        )
        assert len({tuple(params.values()) for params, _ in trials}) > suggester.batch_size
        n_enqueued = suggester.batch_size + 1
        suggester.enqueue([low] * n_enqueued)
        later = run_search(suggester, measure_with_failures, 2 * suggester.batch_size)
        are_low = [params == low for params, _ in later[: n_enqueued + 1]]
        assert are_low == [True] * n_enqueued + [False]
        assert len(later) == 2 * suggester.batch_size

    def test_a_search_with_enqueued_candidates_can_be_replayed(
        self, make_suggester: MakeSuggester, space: Space
    ) -> None:
        def trace() -> list[Params]:
            suggester = make_suggester(space, 3)
            found: list[Params] = []
            for _ in range(3):
                trials = run_search(suggester, measure_with_failures, suggester.batch_size)
                found += [params for params, _ in trials]
                suggester.enqueue([found[len(found) // 2], corner_of(space, 0)])
            return found + suggester.ask(suggester.batch_size)

        assert describe_exactly(trace()) == describe_exactly(trace())

    @pytest.mark.parametrize(
        "change",
        [
            {"real": 5.1},
            {"whole": 2.5},
            {"whole": "two"},
            {"whole_step": 7},
            {"real_step": 0.25},
            {"fixed_real": 3.0},
            {"more": 1},
            {"whole_log": None},
        ],
    )
    def test_a_candidate_outside_of_the_space_is_not_enqueued(
        self, make_suggester: MakeSuggester, space: Space, change: Params
    ) -> None:
        suggester, untouched = make_suggester(space, 3), make_suggester(space, 3)
        corner = corner_of(space, 0)
        changed = {name: value for name, value in {**corner, **change}.items() if value is not None}
        with pytest.raises(SearchError, match=rf"\b{next(iter(change))}\b"):
            suggester.enqueue([corner, changed])
        assert suggester.ask(3) == untouched.ask(3)

    @pytest.mark.parametrize(
        "batch",
        [
            [Feedback((1.0,))],
            [Feedback((1.0,)), Feedback((math.nan,)), Feedback((1.0,))],
            [Feedback((1.0,)), Feedback((1.0,)), Feedback((-math.inf,))],
            [Feedback((1.0,), (math.inf,)), Feedback((1.0,)), Feedback((1.0,))],
            [Feedback((1.0, 2.0)), Feedback((1.0,)), Feedback((1.0,))],
        ],
    )
    def test_wrong_feedback_is_refused_as_a_whole(
        self, make_suggester: MakeSuggester, space: Space, batch: list[Feedback]
    ) -> None:
        suggester, untouched = make_suggester(space, 3), make_suggester(space, 3)
        assert suggester.ask(3) == untouched.ask(3)
        with pytest.raises(SearchError):
            suggester.tell(batch)
        with pytest.raises(SearchError):
            suggester.ask(3)
        for each in (suggester, untouched):
            each.tell([Feedback((float(i),)) for i in range(3)])
        assert suggester.ask(3) == untouched.ask(3)

    @pytest.mark.parametrize(
        "feedback",
        [
            Feedback(None, (1.0,)),
            Feedback((0.0,), (2.0, 1.0)),
            Feedback((0.0,)),
            Feedback((1.7e308,), (-1.0,)),
        ],
    )
    def test_equal_feedback_does_not_stall_the_search(
        self, make_suggester: MakeSuggester, space: Space, most_trials: int, feedback: Feedback
    ) -> None:
        trials = run_search(make_suggester(space, 3), lambda _: feedback, min(120, most_trials))
        late = {tuple(params.values()) for params, _ in trials[len(trials) * 2 // 3 :]}
        assert len(late) > len(trials) / 12

    @pytest.mark.parametrize("space", [RULES, NARROW_RULES])
    def test_no_candidate_breaks_a_rule(
        self, make_suggester: MakeSuggester, most_trials: int, space: Space
    ) -> None:
        trials = run_search(make_suggester(space, 3), measure_sum, min(60, most_trials))
        assert all(space.find_broken_rule(params) is None for params, _ in trials)
        assert len({tuple(params.items()) for params, _ in trials}) > len(trials) / 3

    @pytest.mark.parametrize("space", [RULES, NARROW_RULES, CONDITIONS])
    def test_rules_and_conditions_are_replayed(
        self, make_suggester: MakeSuggester, most_trials: int, space: Space
    ) -> None:
        one, other = (
            run_search(make_suggester(space, 3), measure_sum, min(60, most_trials)) for _ in range(2)
        )
        assert one == other

    def test_inactive_parameters_are_left_out(self, make_suggester: MakeSuggester, most_trials: int) -> None:
        trials = run_search(make_suggester(CONDITIONS, 3), measure_sum, min(120, most_trials))
        names = {tuple(params) for params, _ in trials}
        expected = {("exit", "x"), ("exit", "x", "trail", "window"), ("exit", "x", "window", "target")}
        assert expected <= names <= {*expected, ("exit", "x", "window", "depth", "target")}
        for params, _ in trials:
            assert CONDITIONS.select_active(params) == params
            has_depth = params["exit"] == 2 and params.get("window", 9) in (2, 3, 4, 5)
            assert ("depth" in params) == has_depth
            assert all(value in CONDITIONS[name] for name, value in params.items())
