"""Windows of the validation schemes: literal ones, and what must hold for any."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import EXAMPLES

from backtune.errors import CatalogError, StrategyError
from backtune.space import Choice, Float, Int, Space
from backtune.spec import Validation
from backtune.strategy.base import BaseStrategy, compute_lookback
from backtune.strategy.macd import MACDStrategy
from backtune.strategy.moving_average_crossover import MovingAverageCrossover
from backtune.strategy.rsi import RSIStrategy
from backtune.validation.folds import Fold, TimeWindow, build_folds, purge_fold

HOUR = 3_600_000_000
DAY = 24 * HOUR


def at(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def days(start: int, end: int) -> TimeWindow:
    return TimeWindow(start * DAY, end * DAY)


def folds(span: TimeWindow, lookback: int = 0, bar: int = HOUR, **keys: Any) -> list[Fold]:
    return build_folds(Validation(**keys), span, bar=bar, lookback=lookback)


YEAR = TimeWindow(at("2018-01-01"), at("2019-01-01"))


def test_none_and_holdout() -> None:
    assert folds(YEAR, method="none") == [Fold("all", YEAR)]
    # 30 % of 365 days are 109.5: the cut is moved to midnight before.
    cut = at("2018-09-13")
    assert folds(YEAR, 99, method="holdout") == [
        Fold("holdout", TimeWindow(YEAR.start, cut), TimeWindow(cut, YEAR.end))
    ]


def test_kfold() -> None:
    # 70 days for 5 parts; gaps of 24 bars of an hour and of 1 % of 100 days: two days.
    (fold,) = folds(days(0, 100), 24, method="kfold", folds=5)
    assert fold == Fold(
        "kfold",
        train=days(0, 68),
        test=days(70, 100),
        parts=(days(0, 12), days(14, 26), days(28, 40), days(42, 54), days(56, 68)),
        purge_bars=24,
    )


@pytest.mark.parametrize(
    ("keys", "windows"),
    [
        # Test windows of an eighth, a train window of three of them.
        ({}, [((0, 30), (30, 40)), ((10, 40), (40, 50)), ((20, 50), (50, 60)), ((30, 60), (60, 70)), ((40, 70), (70, 80))]),
        ({"folds": 2}, [((0, 48), (48, 64)), ((16, 64), (64, 80))]),
        ({"folds": 2, "anchored": True}, [((0, 48), (48, 64)), ((0, 64), (64, 80))]),
        ({"folds": 2, "test": "10d"}, [((0, 60), (60, 70)), ((10, 70), (70, 80))]),
        ({"folds": 2, "train": "20d"}, [((0, 20), (20, 50)), ((30, 50), (50, 80))]),
        ({"folds": 2, "train": "20d", "test": "10d"}, [((40, 60), (60, 70)), ((50, 70), (70, 80))]),
        ({"folds": 2, "train": "20d", "test": "10d", "anchored": True}, [((40, 60), (60, 70)), ((40, 70), (70, 80))]),
    ],
)  # fmt: skip
def test_walk_forward(keys: dict[str, Any], windows: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    found = folds(days(0, 80), method="walk_forward", **keys)
    assert [fold.name for fold in found] == [f"walk{i + 1}" for i in range(len(windows))]
    assert [(fold.train, fold.test) for fold in found] == [(days(*a), days(*b)) for a, b in windows]


def test_walk_forward_purges_and_cuts_at_midnight() -> None:
    found = folds(YEAR, 24, method="walk_forward", folds=10, purge_bars=12)
    assert [fold.name for fold in found][::9] == ["walk01", "walk10"]
    assert {fold.purge_bars for fold in found} == {12}
    for fold in found:
        assert fold.test is not None
        assert fold.test.start % DAY == 0
        assert fold.test.start - fold.train.end == 12 * HOUR


def test_walk_forward_has_no_gap_unless_asked() -> None:
    found = folds(YEAR, 250, method="walk_forward", folds=4)
    assert [fold.purge_bars for fold in found] == [0] * 4
    assert all(fold.test is not None and fold.test.start == fold.train.end for fold in found)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"method": "kfold", "folds": 70},
            r"too short for 70 folds with gaps of 1.417 days \(10 bars of purge and 0.01 of the window\)",
        ),
        (
            {"method": "walk_forward", "train": "90d", "test": "5d"},
            r"window of 100 days is too short for 5 test windows of 5 days after a train window of 90 days and 0 bars",
        ),
        ({"method": "walk_forward", "train": "100d"}, "too short for 5 test windows of 0 hours"),
        ({"method": "walk_forward", "test": "20d"}, "after a train window of"),
        ({"method": "walk_forward", "folds": 1000, "test": "1h"}, "1000 test windows of 1 hours"),
    ],
)
def test_too_short(keys: dict[str, Any], message: str) -> None:
    span = days(0, 100) if keys.get("folds") != 1000 else days(0, 20)
    with pytest.raises(CatalogError, match=message):
        folds(span, 10, **keys)


@st.composite
def schemes(draw: st.DrawFn) -> Validation:
    n_folds = draw(st.integers(2, 12))
    purge = draw(st.integers(0, 40))
    if draw(st.booleans()):
        return Validation(
            method="kfold",
            folds=n_folds,
            purge_bars=purge,
            embargo=draw(st.sampled_from([0.0, 0.01, 0.05])),
            test_fraction=draw(st.sampled_from([0.1, 0.3, 0.7])),
        )
    length = st.none() | st.integers(1, 40 * 24).map(lambda hours: hours * 3600.0)
    return Validation(
        method="walk_forward",
        folds=n_folds,
        purge_bars=purge,
        anchored=draw(st.booleans()),
        train=draw(length),
        test=draw(length),
    )


@settings(max_examples=EXAMPLES)
@given(schemes(), st.integers(1, 400), st.integers(0, 60), st.integers(0, 2**32 - 1), st.floats(0.0, 0.9))
def test_laws(scheme: Validation, n_days: int, lookback: int, seed: int, missing: float) -> None:
    """Nothing overlaps, gaps hold in bars too, a test bar is scored once, and nothing of a test reaches its search."""
    span = TimeWindow(YEAR.start, YEAR.start + n_days * DAY + seed % DAY)
    try:
        found = build_folds(scheme, span, bar=HOUR, lookback=lookback)
    except CatalogError:
        assume(False)
    random = np.random.default_rng(seed)
    times = np.arange(span.start, span.end, HOUR)
    times = times[random.random(len(times)) >= missing]
    purge = max(lookback, scheme.purge_bars) if scheme.method == "kfold" else scheme.purge_bars
    for fold in found:
        assert_laws_of(fold, span, times, purge)
    tests = [fold.test for fold in found if fold.test is not None]
    assert len(tests) == len(found)
    assert all(a.end == b.start for a, b in pairwise(tests))
    assert tests[-1].end == span.end
    if scheme.method == "walk_forward":
        assert len({fold.train.start for fold in found}) == 1 or not scheme.anchored
        assert len(found) == scheme.folds
    else:
        assert len({part.length for part in found[0].parts}) == 1


def assert_laws_of(fold: Fold, span: TimeWindow, times: np.ndarray, purge: int) -> None:
    exact = purge_fold(fold, times)
    assert fold.test is not None
    assert (exact.name, exact.test, exact.purge_bars) == (fold.name, fold.test, purge)
    assert span.start == fold.train.start or not fold.parts
    assert (
        span.start <= exact.train.start <= exact.train.end <= fold.train.end < fold.test.start + (purge == 0)
    )
    assert all(part.start >= exact.train.start and part.end <= exact.train.end for part in exact.parts)
    for before, after in zip(exact.windows, fold.windows, strict=True):
        assert before.start == after.start
        assert before.start <= before.end <= after.end
    for window, later in pairwise(exact.windows):
        assert window.end + purge * HOUR <= later.start
        first, last = np.searchsorted(times, [window.end, later.start])
        n_used = np.searchsorted(times, window.end) - np.searchsorted(times, window.start)
        assert last - first >= purge or n_used == 0
    rows = [np.searchsorted(times, [w.start, w.end]).tolist() for w in exact.windows]
    assert all(a[1] <= b[0] for a, b in pairwise(rows))


def test_purged_by_hand() -> None:
    # Hours 20 to 29 are missing: the ten hours before the test hold two bars, and eight more must go.
    times = np.array([h * HOUR for h in range(60) if not 20 <= h < 30])
    fold = Fold("walk1", TimeWindow(0, 22 * HOUR), TimeWindow(32 * HOUR, 60 * HOUR), purge_bars=10)
    assert purge_fold(fold, times).train == TimeWindow(0, 12 * HOUR)
    assert purge_fold(Fold("holdout", TimeWindow(0, 32 * HOUR), fold.test), times).train == TimeWindow(
        0, 32 * HOUR
    )
    # No bars are left.
    assert purge_fold(Fold("walk1", fold.train, fold.test, purge_bars=23), times).train == TimeWindow(0, 0)
    parts = (TimeWindow(0, 15 * HOUR), TimeWindow(31 * HOUR, 40 * HOUR))
    split = purge_fold(
        Fold("kfold", TimeWindow(0, 40 * HOUR), TimeWindow(42 * HOUR, 60 * HOUR), parts, 2), times
    )
    assert split.parts == parts
    later = purge_fold(Fold("kfold", TimeWindow(0, 40 * HOUR), None, parts, 8), times)
    assert later.parts == (TimeWindow(0, 13 * HOUR), parts[1])
    assert later.train == TimeWindow(0, 40 * HOUR)


class Odd(BaseStrategy):
    """A strategy that says anything as its lookback."""

    answer: Any = 0

    @classmethod
    def space(cls) -> Space:
        return Space()

    @classmethod
    def lookback(cls, space: Space) -> int:
        if isinstance(cls.answer, Exception):
            raise cls.answer
        answer: int = cls.answer
        return answer

    def positions(self, bars: Any) -> np.ndarray:
        return np.zeros(len(bars))


@pytest.mark.parametrize(
    ("strategy", "changes", "expected"),
    [
        (MovingAverageCrossover, {}, 250),
        (MovingAverageCrossover, {"slow_period": Choice((60, 80))}, 80),
        (MACDStrategy, {}, 130),
        (MACDStrategy, {"slow_period": Int(26, 40), "signal_period": Choice((9,))}, 49),
        (RSIStrategy, {"oversold": Float(10.0, 45.0)}, 50),
        (Odd, {}, 0),
    ],
)
def test_lookback(strategy: type[BaseStrategy], changes: dict[str, Any], expected: int) -> None:
    assert compute_lookback(strategy, strategy.space().override(changes)) == expected


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (-1, "lookback is -1, not a whole number of bars"),
        (2.5, "lookback is 2.5, not"),
        (True, "lookback is True, not"),
        (KeyError("period"), "lookback: KeyError: 'period'"),
    ],
)
def test_lookback_that_is_none(answer: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Odd, "answer", answer)
    with pytest.raises(StrategyError, match=message):
        compute_lookback(Odd, Space())
