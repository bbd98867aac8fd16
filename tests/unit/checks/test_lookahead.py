"""What the look-ahead check reports beside violations, and what it tries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import make_bars

from backtune.checks.lookahead import (
    LookaheadReport,
    Violation,
    check_lookahead,
    choose_candidates,
    read_space,
)
from backtune.data.bars import Bars
from backtune.errors import BarsError, SpecError, StrategyError
from backtune.space import Choice, Float, Int, Space
from backtune.strategy.base import BaseStrategy

CLOSES = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, 300)))
BARS = make_bars(np.concatenate([CLOSES[:1], CLOSES[:-1]]), CLOSES)


def strategy_of(positions: Callable[[Bars], Any], name: str = "Mine") -> type[BaseStrategy]:
    class Mine(BaseStrategy):
        @classmethod
        def space(cls) -> Space:
            return Space(period=Int(1, 9))

        def positions(self, bars: Bars) -> np.ndarray:
            return positions(bars)

    Mine.name = name
    return Mine


def checked(positions: Callable[[Bars], Any], n_cuts: int = 8) -> LookaheadReport:
    return check_lookahead(strategy_of(positions), [{}], BARS, n_cuts=n_cuts)


def up(bars: Bars) -> np.ndarray:
    return np.where(bars.close > bars.open, 1.0, -1.0)


def test_a_clean_strategy() -> None:
    report = checked(up)
    assert (report.is_clean, report.n_bars, report.n_cases, report.n_idle) == (True, 300, 40, 0)
    assert report.start_dependence_bars == 0
    assert report.candidates[0].params == {"period": 5}


def raises(bars: Bars) -> np.ndarray:
    raise KeyError("volume2")


def raises_when_short(bars: Bars) -> np.ndarray:
    if len(bars) < 300:
        raise ValueError("too short")
    return up(bars)


def nan_from_falls(bars: Bars) -> np.ndarray:
    return np.where(bars.close < 1, math.nan, 1.0)


@pytest.mark.parametrize(
    ("positions", "problem"),
    [
        (raises, "Mine: KeyError: 'volume2'"),
        (lambda bars: bars.close, "at bar 0 is not in [-1, 1]"),
        (lambda bars: np.full(len(bars), math.nan), "Mine: positions are NaN at every bar, bars 0 to "),
        (lambda bars: np.zeros(7), r"Mine: positions have shape (7,), expected (300,): one per bar"),
        (lambda bars: "up", "Mine: positions are not numbers"),
        (lambda bars: np.random.default_rng().random(len(bars)), "differs between two runs on the same bars"),
        (lambda bars: bars.close.sort(), "Mine: ValueError: "),
    ],
)
def test_a_strategy_that_cannot_be_run_is_reported(positions: Any, problem: str) -> None:
    report = checked(positions)
    (candidate,) = report.candidates
    assert not report.is_clean
    assert (candidate.n_cases, candidate.violations, len(candidate.problems)) == (0, (), 1)
    assert problem in candidate.problems[0]
    assert CLOSES.tolist() == BARS.close.tolist()


@pytest.mark.parametrize(
    ("positions", "problem"),
    [
        (raises_when_short, "Mine: ValueError: too short (where bars from "),
        (nan_from_falls, "(where bars from "),
    ],
)
def test_a_strategy_that_fails_on_changed_bars_only_is_reported(positions: Any, problem: str) -> None:
    report = checked(positions)
    assert not report.is_clean
    assert report.violations == ()
    assert 0 < report.n_cases < 40
    assert problem in report.candidates[0].problems[0]


def test_the_same_problem_is_told_once() -> None:
    assert len(checked(raises_when_short, n_cuts=30).candidates[0].problems) == 1


def test_an_answer_that_is_written_over_does_not_hide_a_cheat() -> None:
    answer = np.zeros(len(BARS))

    def positions(bars: Bars) -> np.ndarray:
        view = answer[: len(bars)]
        view[:] = np.sign(bars.close - bars.close.mean())
        return view

    assert checked(positions).violations


def window_of(n: int) -> Callable[[Bars], np.ndarray]:
    """Long after a rise over n bars; a later start changes the first n positions and no other."""

    def positions(bars: Bars) -> np.ndarray:
        targets = np.zeros(len(bars))
        targets[n:] = np.where(bars.close[n:] > bars.close[:-n], 1.0, -1.0)
        return targets

    return positions


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (window_of(1), 1),
        (window_of(7), 7),
        (window_of(40), 40),
        (lambda bars: np.where(np.arange(len(bars)) < 25, 0.5, 1.0), 25),
        # The first price, or a count from the first bar, is never forgotten.
        (lambda bars: np.full(len(bars), bars.close[0] / 1e6), None),
        (lambda bars: np.cumsum(bars.close > bars.open) / 1e3, None),
    ],
)
def test_dependence_on_where_the_data_starts(positions: Any, expected: int | None) -> None:
    report = checked(positions)
    assert report.is_clean
    assert report.start_dependence_bars == expected


def test_a_position_that_never_changes_is_idle() -> None:
    report = checked(lambda bars: np.ones(len(bars)))
    assert (report.is_clean, report.n_idle) == (True, 1)


def test_the_same_seed_gives_the_same_report() -> None:
    def positions(bars: Bars) -> np.ndarray:
        return np.sign(bars.close - bars.close.mean())

    assert checked(positions) == checked(positions)
    other = check_lookahead(strategy_of(positions), [{}], BARS, n_cuts=8, seed=1)
    assert other.violations != checked(positions).violations


def test_without_a_case_nothing_is_clean() -> None:
    assert not check_lookahead(strategy_of(up), [], BARS).is_clean


def test_funding_is_among_the_later_values() -> None:
    bars = BARS.__class__(**{**vars(BARS), "funding": np.random.default_rng(1).normal(0, 1e-4, len(BARS))})

    def positions(bars: Bars) -> np.ndarray:
        assert bars.funding is not None
        return np.sign(bars.funding - bars.funding.mean())

    report = check_lookahead(strategy_of(positions), [{}], bars)
    assert report.violations
    assert report.candidates[0].problems == ()


@pytest.mark.parametrize("n_bars", [0, 1])
def test_fewer_than_two_bars_are_refused(n_bars: int) -> None:
    with pytest.raises(BarsError, match=f"{n_bars} bars have no past and future"):
        check_lookahead(strategy_of(up), [{}], BARS[:n_bars])


def test_two_bars_will_do() -> None:
    assert check_lookahead(strategy_of(up), [{}], BARS[:2]).is_clean


def test_what_is_not_a_strategy_and_what_is_no_parameter() -> None:
    with pytest.raises(StrategyError, match="is not a strategy"):
        check_lookahead(int, [{}], BARS)
    with pytest.raises(SpecError, match="is not a parameter"):
        check_lookahead(strategy_of(up), [{"periods": 3}], BARS)


def test_a_space_that_raises() -> None:
    class Broken:
        def get_parameters(self) -> dict[str, Any]:
            raise KeyError("low")

        def generate_signals(self, data: Any) -> Any:
            return data

    with pytest.raises(StrategyError, match="Broken: space: KeyError: 'low'"):
        check_lookahead(Broken, [{}], BARS)
    assert list(read_space(strategy_of(up))) == ["period"]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("truncate", "are taken away"),
        ("scale", "are scaled"),
        ("replace", "are replaced by a random walk"),
        ("reverse", "are put in reverse order"),
        ("delay", "come later"),
    ],
)
def test_a_violation_is_described(kind: str, what: str) -> None:
    assert Violation({}, 150, 120, kind).describe() == (
        f"position at bar 120 changes when bars from 150 on {what}: it looks into the future"
    )


SPACE = Space(
    n=Int(2, 11, default=3, step=3), x=Float(0.0, 1.0, step=0.25), rate=Float(1e-4, 1e-1, log=True),
    kind=Choice(("sma", "ema")),
)  # fmt: skip


def test_candidates_are_the_defaults_the_corners_and_random_ones() -> None:
    tried = choose_candidates(SPACE, n_random=200)
    assert tried[0] == SPACE.defaults()
    assert all(value in SPACE[name] for params in tried for name, value in params.items())
    corners = [
        dict(zip(SPACE, corner, strict=True))
        for corner in itertools.product((2, 11), (0.0, 1.0), (1e-4, 1e-1), ("sma", "ema"))
    ]
    assert tried[1:17] == corners
    assert {params["n"] for params in tried} == {2, 3, 5, 8, 11}
    assert {params["x"] for params in tried} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert all(isinstance(params["n"], int) for params in tried)
    assert 0.3 < np.mean([params["rate"] < 10**-2.5 for params in tried[17:]]) < 0.7
    assert len(tried) == 1 + 16 + 200
    assert tried == choose_candidates(SPACE, n_random=200)
    assert tried != choose_candidates(SPACE, n_random=200, seed=1)


def test_many_parameters_have_some_of_their_corners() -> None:
    space = Space({f"p{i}": Int(1, 1_000_000_000) for i in range(30)})
    tried = choose_candidates(space, n_random=2)
    assert len(tried) == 1 + 16 + 2
    assert all(set(params.values()) <= {1, 1_000_000_000} for params in tried[1:17])


def test_a_space_without_parameters_has_one_candidate() -> None:
    assert choose_candidates(Space()) == [{}]
