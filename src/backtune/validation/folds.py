"""The windows that a search sees and those that only its winner meets. Times are microseconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from backtune.errors import CatalogError
from backtune.spec import Validation

_DAY = 86_400_000_000


@dataclass(frozen=True)
class TimeWindow:
    """A window of time: start inclusive, end exclusive."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def overlaps(self, other: TimeWindow) -> bool:
        """Return whether some moment is in both windows."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Fold:
    """A train window and, unless there is no validation, the test window after it.

    Positions in a window are computed with the bars before it as warm-up; the search sees the train window alone.

    Attributes:
        name: The name of the fold in its cell.
        train: The window that the search sees.
        test: The window that only the winner meets.
        parts: windows inside ``train``, in order, in each of which a candidate is scored by itself; empty where it is scored
            once on all of it.
        purge_bars: so many bars lie in every gap between these windows, at least; see :func:`purge_fold`.
        deviation: an objective over parts is their mean, worsened by so many standard deviations.
    """

    name: str
    train: TimeWindow
    test: TimeWindow | None = None
    parts: tuple[TimeWindow, ...] = ()
    purge_bars: int = 0
    deviation: float = 0.0

    @property
    def windows(self) -> tuple[TimeWindow, ...]:
        """All windows that are scored, in order of time."""
        return (*(self.parts or (self.train,)), *([self.test] if self.test else []))

    def widened(self, before: TimeWindow, after: TimeWindow) -> Fold:
        """The fold with windows that reach to the ends of ``after`` where they reach to those of ``before``."""

        def widen(window: TimeWindow) -> TimeWindow:
            return TimeWindow(
                after.start if window.start == before.start else window.start,
                after.end if window.end == before.end else window.end,
            )

        test = widen(self.test) if self.test is not None else None
        return replace(self, train=widen(self.train), test=test, parts=tuple(map(widen, self.parts)))

    def to_json(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_json` takes back; a window as its two ends."""
        return {
            "name": self.name,
            "train": _list_ends(self.train),
            "test": _list_ends(self.test) if self.test else None,
            "parts": [_list_ends(part) for part in self.parts],
            "purge_bars": self.purge_bars,
            "deviation": self.deviation,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Fold:
        """Read the plain data of :meth:`to_json`."""
        test = content["test"]
        return cls(
            **{
                **content,
                "train": TimeWindow(*content["train"]),
                "test": TimeWindow(*test) if test is not None else None,
                "parts": tuple(TimeWindow(*part) for part in content["parts"]),
            }
        )


def build_folds(validation: Validation, span: TimeWindow, *, bar: int, lookback: int) -> list[Fold]:
    """Return the folds of a validation scheme over a window, in order of time.

    Args:
        validation: The scheme.
        span: The window.
        bar: The length of the longest bar in microseconds.
        lookback: The number of bars before its own that a position depends on; k-fold purges at least as many, so that its parts are
            independent. A walk-forward purges ``validation.purge_bars`` alone, by default none: a search ends where its test
            begins, as it would on the day, and the returns of a backtest end with its window, so nothing of the test can
            reach it.

    Raises:
        CatalogError: The window is too short to be split.
    """
    if validation.method == "none":
        return [Fold("all", span)]
    if validation.method == "holdout":
        return [_holdout(span, validation.test_fraction)]
    if validation.method == "kfold":
        return [_kfold(validation, span, bar, max(validation.purge_bars, lookback))]
    return _walk_forward(validation, span, bar)


def purge_fold(fold: Fold, timestamp: np.ndarray) -> Fold:
    """Return the fold with windows that end earlier where bars are missing, so that its purge holds in bars.

    Args:
        timestamp: (n,) open times of the bars, increasing.
    """
    if not fold.purge_bars:
        return fold
    windows = fold.windows
    ends = [_purged_end(window, later, timestamp, fold.purge_bars) for window, later in pairwise(windows)]
    searched = [TimeWindow(window.start, end) for window, end in zip(windows, ends, strict=False)]
    if fold.test is None:
        searched.append(windows[-1])
    train = TimeWindow(fold.train.start, searched[-1].end)
    return replace(fold, train=train, parts=tuple(searched) if fold.parts else ())


def _purged_end(window: TimeWindow, later: TimeWindow, timestamp: np.ndarray, purge_bars: int) -> int:
    """Return the end of a window that has so many bars between it and a later one; its start where there are too few bars."""
    first = int(np.searchsorted(timestamp, later.start)) - purge_bars
    return max(window.start, min(window.end, int(timestamp[first]))) if first >= 0 else window.start


def _holdout(span: TimeWindow, test_fraction: float) -> Fold:
    """Return a fold whose test window is the last ``test_fraction`` of the time.

    In windows of ten days and more the cut is moved to midnight, so that it is the same for all timeframes up to a
    day and no bar that opens before it closes after it.
    """
    cut = span.end - round(test_fraction * span.length)
    if span.length >= 10 * _DAY:
        cut -= cut % _DAY
    if not span.start < cut < span.end:
        raise CatalogError(f"the window is too short to hold out {test_fraction:g} of it; give it more bars")
    return Fold("holdout", TimeWindow(span.start, cut), TimeWindow(cut, span.end))


def _kfold(validation: Validation, span: TimeWindow, bar: int, purge: int) -> Fold:
    """Return a fold of equal parts of the time that is not held out, each followed by a gap of the purge and the embargo.

    After M. Lopez de Prado, "Advances in Financial Machine Learning" (2018), chapter 7. There is no gap before a part but the
    one after its predecessor: what is learned in one part is the candidate, which trades forward in every other. All parts are
    searched, so that nothing could leak: the gap makes them independent.
    """
    held_out = _holdout(span, validation.test_fraction)
    gap = purge * bar + round(validation.embargo * span.length)
    length = (held_out.train.length - validation.folds * gap) // validation.folds
    if length < bar:
        raise CatalogError(
            f"the window is too short for {validation.folds} folds with gaps of {_format_duration(gap)} ({purge} bars of purge and "
            f"{validation.embargo:g} of the window); give it more bars, or fewer folds"
        )
    starts = [span.start + i * (length + gap) for i in range(validation.folds)]
    parts = tuple(TimeWindow(start, start + length) for start in starts)
    train = TimeWindow(span.start, parts[-1].end)
    return Fold("kfold", train, held_out.test, parts, purge, validation.deviation)


def _walk_forward(validation: Validation, span: TimeWindow, bar: int) -> list[Fold]:
    """Return test windows side by side up to the end, each after a train window and the gap that the spec asks for."""
    purge = validation.purge_bars
    gap = purge * bar
    train, test = _lengths(validation, span.length - gap)
    if min(train, test) < bar or train + gap + validation.folds * test > span.length:
        raise CatalogError(
            f"the window of {_format_duration(span.length)} is too short for {validation.folds} test windows of {_format_duration(test)} "
            f"after a train window of {_format_duration(train)} and {purge} bars of purge; give it more bars, fewer folds or "
            "shorter windows"
        )
    cuts = [span.end - k * test for k in range(validation.folds, 0, -1)]
    if span.length >= 10 * _DAY and test >= 2 * _DAY:
        # To the midnight after, for the reasons of the holdout, and so that no train window is shortened.
        cuts = [cut + -cut % _DAY for cut in cuts]
    starts = [cut - gap - train for cut in cuts]
    tests = [TimeWindow(*ends) for ends in pairwise([*cuts, span.end])]
    return [
        Fold(
            f"walk{i:0{len(str(len(tests)))}d}",
            TimeWindow(starts[0] if validation.anchored else start, window.start - gap),
            window,
            purge_bars=purge,
        )
        for i, (start, window) in enumerate(zip(starts, tests, strict=True), start=1)
    ]


def _lengths(validation: Validation, length: int) -> tuple[int, int]:
    """Return the lengths of the train and the test window of a walk-forward over so much time, gap apart."""
    train, test = (
        None if seconds is None else round(seconds * 1e6) for seconds in (validation.train, validation.test)
    )
    n = validation.folds
    if test is None:
        test = length // (n + 3) if train is None else max(0, length - train) // n
    return length - n * test if train is None else train, test


def _list_ends(span: TimeWindow) -> list[int]:
    return [span.start, span.end]


def _format_duration(microseconds: int) -> str:
    days = microseconds / _DAY
    return f"{days:.4g} days" if days >= 1 else f"{days * 24:.3g} hours"
