"""The winners of a sweep as a portfolio: weights are learned in sample and scored out of sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from backtune.data.calendar import bars_per_year
from backtune.data.window import iso
from backtune.errors import BacktuneError, ResultsError, SpecError
from backtune.results.leaderboard.row import Row
from backtune.results.members import Part, members_of, parts_of
from backtune.results.stored_sweep import StoredSweep
from backtune.spec.timeframe import Timeframe
from backtune.validation.portfolio import (
    METHODS,
    PortfolioScore,
    compute_correlations,
    fit_weights,
    measure_diversification,
    score_returns,
)


@dataclass(frozen=True, eq=False)
class Allocation:
    """The weights of one method, with their scores.

    Attributes:
        weights: Weights of shape (n_folds, n_members), at least 0, adding up to 1 in each fold; a member that does not
            move in sample has none.
        diversification_ratio: The ratio of the last fold in sample, see
            :func:`~backtune.validation.portfolio.measure_diversification`.
        in_sample: The score on the windows of the searches: the mean over the folds.
        out_of_sample: The score on the tests, one after the other.
    """

    weights: np.ndarray
    diversification_ratio: float | None
    in_sample: PortfolioScore
    out_of_sample: PortfolioScore

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what is undefined is null."""
        return {
            "weights": self.weights[-1].tolist(),
            "weights_of_folds": self.weights.tolist(),
            "diversification_ratio": self.diversification_ratio,
            **{f"is_{name}": value for name, value in asdict(self.in_sample).items()},
            **{f"oos_{name}": value for name, value in asdict(self.out_of_sample).items()},
        }


@dataclass(frozen=True, eq=False)
class SweepPortfolio:
    """The winners of a sweep, weighed by each method.

    Attributes:
        members: Rows of the leaderboard, the best in sample first.
        parts: Returns of the members at common times, one part a fold.
        allocations: Weights and scores by method, without methods that have no answer.
        step: The length of time over which returns are taken.
        warnings: Sentences for the reader.
    """

    members: tuple[Row, ...]
    parts: tuple[Part, ...]
    allocations: dict[str, Allocation]
    step: Timeframe
    warnings: tuple[str, ...]

    @property
    def correlations(self) -> np.ndarray:
        """(n_members, n_members) in sample, in the last fold; NaN for a member that does not move."""
        return compute_correlations(self.parts[-1].returns)

    @property
    def oos_correlations(self) -> np.ndarray:
        """(n_members, n_members) out of sample, over all folds."""
        return compute_correlations(np.concatenate([part.oos_returns for part in self.parts]))

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what is undefined is null."""
        return {
            "members": [
                {
                    "study": row.study,
                    "strategy": row.strategy,
                    "asset": row.asset,
                    "timeframe": row.timeframe,
                    "params": row.params,
                    "values": list(row.values or ()),
                }
                for row in self.members
            ],
            "step": str(self.step),
            "folds": [
                {
                    "fold": part.name,
                    "in_sample": _span(part.moments, self.step),
                    "out_of_sample": _span(part.oos_moments, self.step),
                    "n_returns": len(part.moments),
                    "n_oos_returns": len(part.oos_moments),
                }
                for part in self.parts
            ],
            "methods": {name: allocation.to_json() for name, allocation in self.allocations.items()},
            "correlations": _plain(self.correlations),
            "oos_correlations": _plain(self.oos_correlations),
            "warnings": list(self.warnings),
        }


def portfolio_of(run: StoredSweep, method: str | None = None, top: int | None = None) -> SweepPortfolio:
    """Weigh the winners of a sweep.

    Args:
        method: One of :data:`~backtune.validation.portfolio.METHODS`; None for all of them.
        top: The number of members at most, those with the best first objective in sample, since members chosen by their
            results out of sample would leave nothing to score them on. None for all.

    Raises:
        SpecError: The method is unknown.
        ResultsError: There is no validation, fewer than two winners, or too little time in common; the bars or the
            strategy are missing, or give other numbers than the sweep has; or skfolio is not installed.
    """
    if method is not None and method not in METHODS:
        raise SpecError("--method", f"{method!r} is not a method", value=method, allowed=METHODS)
    if run.spec.validation.method == "none":
        raise ResultsError(
            f"{run.folder}: was searched without validation: there is nothing to score weights on"
        )
    members = members_of(run, top)
    if len(members) < 2:
        raise ResultsError(
            f"{run.folder}: a portfolio needs two winners or more, and there are {len(members)}"
        )
    try:
        parts, step = parts_of(run, members)
    except ResultsError:
        raise
    except (BacktuneError, OSError) as error:
        raise ResultsError(str(error)) from error
    steps_per_year = _count_steps_per_year(run, parts, step)
    methods = METHODS if method is None else (method,)
    allocations = {name: _allocate(name, parts, steps_per_year) for name in methods}
    return SweepPortfolio(
        members=members,
        parts=parts,
        allocations={name: one for name, one in allocations.items() if one is not None},
        step=step,
        warnings=tuple(_warnings(members, parts, allocations)),
    )


def _allocate(method: str, parts: Sequence[Part], steps_per_year: float) -> Allocation | None:
    """Return the allocation of a method; None where it has no answer in one of the folds."""
    weights = np.zeros((len(parts), parts[0].returns.shape[1]))
    for part, row in zip(parts, weights, strict=True):
        moves = part.returns.std(axis=0) > 0.0
        fitted = fit_weights(part.returns[:, moves], method) if moves.any() else None
        if fitted is None:
            return None
        row[moves] = fitted
    folds = list(zip(parts, weights, strict=True))
    return Allocation(
        weights=weights,
        diversification_ratio=measure_diversification(weights[-1], parts[-1].returns),
        in_sample=_mean_score([score_returns(part.returns @ row, steps_per_year) for part, row in folds]),
        out_of_sample=score_returns(
            np.concatenate([part.oos_returns @ row for part, row in folds]), steps_per_year
        ),
    )


def _mean_score(scores: Sequence[PortfolioScore]) -> PortfolioScore:
    """Return the mean of each metric over the folds; None where one is undefined."""
    means: dict[str, Any] = {}
    for field in fields(PortfolioScore):
        values = [getattr(score, field.name) for score in scores]
        means[field.name] = None if None in values else float(np.mean(values))
    return PortfolioScore(**means)


def _count_steps_per_year(run: StoredSweep, parts: Sequence[Part], step: Timeframe) -> float:
    """Return the number of steps a year over all windows; what lies between them was left out on purpose."""
    windows = [moments for part in parts for moments in (part.moments, part.oos_moments)]
    calendar = run.spec.data.calendar
    years = [len(moments) / bars_per_year(moments, step, calendar) for moments in windows]
    return sum(map(len, windows)) / sum(years)


def _warnings(
    members: Sequence[Row], parts: Sequence[Part], allocations: dict[str, Allocation | None]
) -> Iterator[str]:
    yield from dict.fromkeys(row.disagreement for row in members if row.disagreement)
    for part in parts:
        for k in np.flatnonzero(part.returns.std(axis=0) == 0.0).tolist():
            yield f"{' '.join(members[k].cell)} does not move in sample in {part.name}: without weight there"
    for name, allocation in allocations.items():
        if allocation is None:
            yield f"{name} has no answer: a mix of the winners bears no risk in sample"
    if len(members) > min(len(part.moments) for part in parts):
        yield "more winners than returns in sample: their correlations are not to be relied on"


def _span(moments: np.ndarray, step: Timeframe) -> list[str]:
    return [iso(int(step.shift(moments[:1], -1)[0])), iso(int(moments[-1]))]


def _plain(matrix: np.ndarray) -> list[list[float | None]]:
    return [[float(value) if np.isfinite(value) else None for value in line] for line in matrix]
