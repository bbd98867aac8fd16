"""Whether a strategy looks into the future, found out by trying.

A position is decided from the bars up to its own. So whatever happens to the bars from a cut on, every position
before the cut must stay as it was, to the last digit. Here the later bars are taken away, scaled, replaced, reversed
and delayed, at many cuts, and a position before the cut that changes is a violation. Cases are seeded: the same
arguments give the same report.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from backtune.checks.lookahead_perturbations import FUTURES, IN_WORDS, read_only
from backtune.data.bars import Bars
from backtune.errors import BacktuneError, BarsError, StrategyError
from backtune.space import Params, Space, Value
from backtune.strategy.base import BaseStrategy, check_positions
from backtune.strategy.registry import as_strategy

N_CORNERS = 16
N_STARTS = 3


@dataclass(frozen=True)
class Violation:
    """A position that changed with later bars.

    Attributes:
        cut: the first bar that was changed; those before it were not.
        bar: the first bar, before ``cut``, with another position.
        kind: what was done to the later bars, a key of :data:`~backtune.checks.lookahead_perturbations.FUTURES`.
    """

    params: Params
    cut: int
    bar: int
    kind: str

    def in_words(self) -> str:
        return (
            f"position at bar {self.bar} changes when bars from {self.cut} on {IN_WORDS[self.kind]}: "
            "it looks into the future"
        )


@dataclass(frozen=True)
class Candidate:
    """What was found with one parameter set.

    Attributes:
        n_cases: cuts x futures whose positions were compared.
        problems: why positions could not be had or are not usable, each once.
        idle: whether the position is the same at every bar, which proves little.
        start_dependence_bars: for how many bars positions differ, at most, when the data starts later; None where they
            still differ at the last bar. Not a fault: a recursive indicator and a position that is held until
            something happens remember where they began.
    """

    params: Params
    n_cases: int
    violations: tuple[Violation, ...]
    problems: tuple[str, ...]
    idle: bool = False
    start_dependence_bars: int | None = 0


@dataclass(frozen=True)
class LookaheadReport:
    """What :func:`check_lookahead` found, parameter set by parameter set."""

    strategy: str
    n_bars: int
    candidates: tuple[Candidate, ...]

    @property
    def clean(self) -> bool:
        """No violation, no problem, and something was compared."""
        return self.n_cases > 0 and not self.violations and not any(c.problems for c in self.candidates)

    @property
    def n_cases(self) -> int:
        return sum(candidate.n_cases for candidate in self.candidates)

    @property
    def n_idle(self) -> int:
        return sum(candidate.idle for candidate in self.candidates)

    @property
    def violations(self) -> tuple[Violation, ...]:
        return tuple(violation for candidate in self.candidates for violation in candidate.violations)

    @property
    def start_dependence_bars(self) -> int | None:
        """The most of any parameter set; None where one still differs at the last bar."""
        bars = [candidate.start_dependence_bars for candidate in self.candidates]
        return None if None in bars else max((n for n in bars if n is not None), default=0)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "strategy": self.strategy, "clean": self.clean, "n_bars": self.n_bars, "n_cases": self.n_cases,
            "n_idle": self.n_idle, "n_violations": len(self.violations),
            "start_dependence_bars": self.start_dependence_bars,
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }  # fmt: skip


def check_lookahead(
    strategy_class: type, params_list: Iterable[Params], bars: Bars, *, n_cuts: int = 4, seed: int = 0
) -> LookaheadReport:
    """Try changed futures on a strategy.

    Args:
        strategy_class: a :class:`BaseStrategy` or a class in the pandas form.
        params_list: parameter sets to try; those left out of a set take their defaults.
        bars: two or more; they should be longer than the strategy's warm-up.
        n_cuts: cuts for every parameter set, each with every future; half of them anywhere, half on a log
            scale, so that the warm-up is met too.

    Raises:
        BarsError: there are fewer than two bars.
        StrategyError: the class is not a strategy, or does not tell its space.
    """
    if len(bars) < 2:
        raise BarsError(f"{len(bars)} bars have no past and future", source=bars.asset or "bars")
    strategy = as_strategy(getattr(strategy_class, "__name__", repr(strategy_class)), strategy_class)
    space, shared = space_of(strategy), read_only(bars)
    found = (
        _Trial(strategy, space.complete(params), shared, np.random.default_rng([seed, i])).run(n_cuts)
        for i, params in enumerate(params_list)
    )
    return LookaheadReport(strategy.name, len(bars), tuple(found))


def candidates(space: Space, n_random: int = 8, seed: int = 0) -> list[Params]:
    """Parameter sets to try: the defaults, the corners of the space (16 of them where there are more), random ones."""
    random = np.random.default_rng(seed)
    ends = [parameter.ends() for parameter in space.values()]
    if math.prod(map(len, ends)) <= N_CORNERS:
        corners: Iterable[tuple[Value, ...]] = itertools.product(*ends)
    else:
        corners = [tuple(end[random.integers(len(end))] for end in ends) for _ in range(N_CORNERS)]
    drawn = [tuple(parameter.draw(random) for parameter in space.values()) for _ in range(n_random)]
    wholes = [space.defaults(), *(dict(zip(space, values, strict=True)) for values in (*corners, *drawn))]
    sets = [
        space.select_active(params)
        for params in wholes
        if space.find_broken_rule(space.select_active(params)) is None
    ]
    return [params for i, params in enumerate(sets) if params not in sets[:i]]


def space_of(strategy: type[BaseStrategy]) -> Space:
    """The space of a strategy; what its own code raises is a :class:`StrategyError`."""
    try:
        return strategy.space()
    except BacktuneError:
        raise
    except Exception as error:
        raise StrategyError(f"{strategy.name}: space: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class _Trial:
    """One parameter set on bars that nobody can write to."""

    strategy: type[BaseStrategy]
    params: Params
    bars: Bars
    random: np.random.Generator
    problems: dict[str, str] = field(default_factory=dict)

    def run(self, n_cuts: int) -> Candidate:
        whole, again = self._positions(self.bars), self._positions(self.bars)
        if whole is not None and again is not None and (whole != again).any():
            where = f"position at bar {np.argmax(whole != again)}"
            self.problems[where] = f"{self.strategy.name}: {where} differs between two runs on the same bars"
        if whole is None or self.problems:
            return Candidate(self.params, 0, (), tuple(self.problems.values()))
        cases = self._cases(whole, n_cuts)
        dependence = self._start_dependence(whole)
        return Candidate(
            self.params,
            len(cases),
            tuple(case for case in cases if case is not None),
            tuple(self.problems.values()),
            not (whole != whole[0]).any(),
            dependence,
        )

    def _cases(self, whole: np.ndarray, n_cuts: int) -> list[Violation | None]:
        """For every case a violation, or None where all is as it was."""
        cases: list[Violation | None] = []
        for cut in self._cuts(n_cuts):
            for kind, future in FUTURES.items():
                where = f" (where bars from {cut} on {IN_WORDS[kind]})"
                changed = self._positions(future(self.bars, cut, self.random), where)
                if changed is None:
                    continue
                differs = changed[:cut] != whole[:cut]
                bar = int(np.argmax(differs))
                cases.append(Violation(self.params, cut, bar, kind) if differs.any() else None)
        return cases

    def _cuts(self, n_cuts: int) -> list[int]:
        last = len(self.bars) - 1
        anywhere = self.random.integers(1, last + 1, n_cuts)
        early = np.floor(last ** self.random.random(n_cuts)).astype(np.int64)
        cuts: list[int] = np.where(np.arange(n_cuts) % 2 == 0, anywhere, early).tolist()
        return cuts

    def _start_dependence(self, whole: np.ndarray) -> int | None:
        most = 0
        for start in self.random.integers(1, len(whole) // 2 + 1, N_STARTS):
            late = self._positions(self.bars[start:], f" (where the data starts at bar {start})")
            differs = np.flatnonzero(late != whole[start:]) if late is not None else np.arange(0)
            lasts = int(differs[-1]) + 1 if differs.size else 0
            if start + lasts == len(whole):
                return None
            most = max(most, lasts)
        return most

    def _positions(self, bars: Bars, where: str = "") -> np.ndarray | None:
        """Positions, or None and a problem; the same problem is kept once, with the first place."""
        try:
            # A copy, because a strategy may write its next answer over this one.
            return _positions_of(self.strategy, self.params, bars).copy()
        except StrategyError as error:
            self.problems.setdefault(str(error), f"{error}{where}")
            return None


def _positions_of(strategy: type[BaseStrategy], params: Params, bars: Bars) -> np.ndarray:
    try:
        return check_positions(strategy(**params).positions(bars), len(bars), strategy.name, bars.timestamp)
    except StrategyError:
        raise
    except Exception as error:
        raise StrategyError(f"{strategy.name}: {type(error).__name__}: {error}") from error
