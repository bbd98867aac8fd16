"""The look-ahead check: whether a strategy uses later bars, found out by changing them.

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

from backtune.checks.lookahead_perturbations import DESCRIPTIONS, PERTURBATIONS, make_read_only
from backtune.data.bars import Bars
from backtune.errors import BacktuneError, BarsError, StrategyError
from backtune.space import Params, Space, Value
from backtune.strategy.base import BaseStrategy, check_positions
from backtune.strategy.registry import to_strategy_class

N_CORNERS = 16
N_STARTS = 3


@dataclass(frozen=True)
class Violation:
    """A position that changed with later bars.

    Attributes:
        params: Parameter set under which the position changed.
        cut: First bar that was changed; those before it were not.
        bar: First bar, before ``cut``, with another position.
        kind: Change of the later bars, a key of :data:`~backtune.checks.lookahead_perturbations.PERTURBATIONS`.
    """

    params: Params
    cut: int
    bar: int
    kind: str

    def describe(self) -> str:
        """Return the violation as a sentence for the user."""
        return (
            f"position at bar {self.bar} changes when bars from {self.cut} on {DESCRIPTIONS[self.kind]}: "
            "it looks into the future"
        )


@dataclass(frozen=True)
class ParameterSetReport:
    """The findings with one parameter set.

    Attributes:
        params: Parameter set that was tried.
        n_cases: Number of changes of later bars after which positions were compared.
        violations: Positions that changed with later bars.
        problems: Reasons why positions could not be had or are not usable, each once.
        idle: Flag that the position is the same at every bar, which proves little.
        start_dependence_bars: Largest number of bars for which positions differ when the data starts later; None where
            they still differ at the last bar. Not a fault: a recursive indicator and a position that is held until
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
    """The findings of :func:`check_lookahead`, parameter set by parameter set."""

    strategy: str
    n_bars: int
    candidates: tuple[ParameterSetReport, ...]

    @property
    def is_clean(self) -> bool:
        """Return whether there is no violation and no problem, and something was compared."""
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
        """Return the most of any parameter set; None where one still differs at the last bar."""
        bars = [candidate.start_dependence_bars for candidate in self.candidates]
        return None if None in bars else max((n for n in bars if n is not None), default=0)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "strategy": self.strategy,
            "clean": self.is_clean,
            "n_bars": self.n_bars,
            "n_cases": self.n_cases,
            "n_idle": self.n_idle,
            "n_violations": len(self.violations),
            "start_dependence_bars": self.start_dependence_bars,
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }


def check_lookahead(
    strategy_class: type, params_list: Iterable[Params], bars: Bars, *, n_cuts: int = 4, seed: int = 0
) -> LookaheadReport:
    """Check a strategy on bars whose later part is changed.

    Args:
        strategy_class: A :class:`BaseStrategy` or a class in the pandas form.
        params_list: Parameter sets to try; parameters left out of a set take their defaults.
        bars: Bars, two or more; they should be longer than the strategy's warm-up.
        n_cuts: Number of cuts for every parameter set, each with every perturbation; half of them anywhere, half on a
            log scale, so that some lie in the warm-up.
        seed: Seed of cuts and perturbations.

    Raises:
        BarsError: There are fewer than two bars.
        StrategyError: The class is not a strategy, or does not tell its space.
    """
    if len(bars) < 2:
        raise BarsError(f"{len(bars)} bars have no past and future", source=bars.asset or "bars")
    strategy = to_strategy_class(getattr(strategy_class, "__name__", repr(strategy_class)), strategy_class)
    space, shared = read_space(strategy), make_read_only(bars)
    found = (
        _ParameterSetCheck(strategy, space.complete(params), shared, np.random.default_rng([seed, i])).run(
            n_cuts
        )
        for i, params in enumerate(params_list)
    )
    return LookaheadReport(strategy.name, len(bars), tuple(found))


def choose_candidates(space: Space, n_random: int = 8, seed: int = 0) -> list[Params]:
    """Choose parameter sets to try: the defaults, the corners of the space (16 of them where there are more), random ones."""
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


def read_space(strategy: type[BaseStrategy]) -> Space:
    """Return the space of a strategy; an error of its own code is raised as a :class:`StrategyError`."""
    try:
        return strategy.space()
    except BacktuneError:
        raise
    except Exception as error:
        raise StrategyError(f"{strategy.name}: space: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class _ParameterSetCheck:
    """The check of one parameter set, on bars that are read-only."""

    strategy: type[BaseStrategy]
    params: Params
    bars: Bars
    random: np.random.Generator
    problems: dict[str, str] = field(default_factory=dict)

    def run(self, n_cuts: int) -> ParameterSetReport:
        whole, again = self._try_positions(self.bars), self._try_positions(self.bars)
        if whole is not None and again is not None and (whole != again).any():
            where = f"position at bar {np.argmax(whole != again)}"
            self.problems[where] = f"{self.strategy.name}: {where} differs between two runs on the same bars"
        if whole is None or self.problems:
            return ParameterSetReport(self.params, 0, (), tuple(self.problems.values()))
        cases = self._compare_cases(whole, n_cuts)
        dependence = self._measure_start_dependence(whole)
        return ParameterSetReport(
            self.params,
            len(cases),
            tuple(case for case in cases if case is not None),
            tuple(self.problems.values()),
            not (whole != whole[0]).any(),
            dependence,
        )

    def _compare_cases(self, whole: np.ndarray, n_cuts: int) -> list[Violation | None]:
        """Return for every case a violation, or None where all positions stayed."""
        cases: list[Violation | None] = []
        for cut in self._draw_cuts(n_cuts):
            for kind, perturb in PERTURBATIONS.items():
                where = f" (where bars from {cut} on {DESCRIPTIONS[kind]})"
                changed = self._try_positions(perturb(self.bars, cut, self.random), where)
                if changed is None:
                    continue
                differs = changed[:cut] != whole[:cut]
                bar = int(np.argmax(differs))
                cases.append(Violation(self.params, cut, bar, kind) if differs.any() else None)
        return cases

    def _draw_cuts(self, n_cuts: int) -> list[int]:
        last = len(self.bars) - 1
        anywhere = self.random.integers(1, last + 1, n_cuts)
        early = np.floor(last ** self.random.random(n_cuts)).astype(np.int64)
        cuts: list[int] = np.where(np.arange(n_cuts) % 2 == 0, anywhere, early).tolist()
        return cuts

    def _measure_start_dependence(self, whole: np.ndarray) -> int | None:
        most = 0
        for start in self.random.integers(1, len(whole) // 2 + 1, N_STARTS):
            late = self._try_positions(self.bars[start:], f" (where the data starts at bar {start})")
            differs = np.flatnonzero(late != whole[start:]) if late is not None else np.arange(0)
            lasts = int(differs[-1]) + 1 if differs.size else 0
            if start + lasts == len(whole):
                return None
            most = max(most, lasts)
        return most

    def _try_positions(self, bars: Bars, where: str = "") -> np.ndarray | None:
        """Return positions, or None and keep the problem; the same problem is kept once, with its first place."""
        try:
            # A copy, because a strategy may write its next answer over this one.
            return _decide_positions(self.strategy, self.params, bars).copy()
        except StrategyError as error:
            self.problems.setdefault(str(error), f"{error}{where}")
            return None


def _decide_positions(strategy: type[BaseStrategy], params: Params, bars: Bars) -> np.ndarray:
    try:
        return check_positions(strategy(**params).positions(bars), len(bars), strategy.name, bars.timestamp)
    except StrategyError:
        raise
    except Exception as error:
        raise StrategyError(f"{strategy.name}: {type(error).__name__}: {error}") from error
