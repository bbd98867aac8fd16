"""Several winners of a sweep side by side: weights fitted on what the searches saw, scored on what they did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    Portfolio,
    PortfolioScore,
    correlations_of,
    fit_portfolio,
    score_portfolio,
)


@dataclass(frozen=True, eq=False)
class Mix:
    """What one method made of the members.

    Attributes:
        method: a key of :data:`~backtune.validation.portfolio.METHODS`.
        weights: (n_folds, n_members) at least 0, adding up to 1; a member that does not move in-sample has none.
        fits: of each fold, over the members that move.
        in_sample: what the weights of each fold made where they were fitted.
        out_of_sample: what they made in the tests, one after the other.
    """

    method: str
    weights: np.ndarray
    fits: tuple[Portfolio, ...]
    in_sample: tuple[PortfolioScore, ...]
    out_of_sample: PortfolioScore


@dataclass(frozen=True, eq=False)
class SweepPortfolio:
    """The members and their mixes.

    Attributes:
        members: rows of the leaderboard, the best in-sample first.
        parts: one, or of a walk-forward one a fold.
        mixes: by method; without those that have no answer.
        step: length of a step.
        warnings: in words.
    """

    members: tuple[Row, ...]
    parts: tuple[Part, ...]
    mixes: dict[str, Mix]
    step: Timeframe
    warnings: tuple[str, ...]

    @property
    def correlations(self) -> np.ndarray:
        """(n_members, n_members) in-sample, in the last fold; NaN for a member that does not move."""
        return correlations_of(self.parts[-1].returns)

    @property
    def oos_correlations(self) -> np.ndarray:
        """(n_members, n_members) out-of-sample, over all folds."""
        return correlations_of(np.concatenate([part.oos_returns for part in self.parts]))

    def to_json(self) -> dict[str, Any]:
        """Plain; what is undefined is null."""
        return {
            "members": [_member(row) for row in self.members],
            "step": str(self.step),
            "folds": [
                {
                    "fold": part.name, "in_sample": _span(part.moments, self.step), "out_of_sample": _span(part.oos_moments, self.step),
                    "n_returns": len(part.moments), "n_oos_returns": len(part.oos_moments),
                }
                for part in self.parts
            ],
            "methods": {name: _mix(mix) for name, mix in self.mixes.items()},
            "correlations": _plain(self.correlations),
            "oos_correlations": _plain(self.oos_correlations),
            "warnings": list(self.warnings),
        }  # fmt: skip


def portfolio_of(run: StoredSweep, method: str | None = None, top: int | None = None) -> SweepPortfolio:
    """Weights over the winners of a sweep.

    Args:
        method: a key of :data:`~backtune.validation.portfolio.METHODS`; None for all of them.
        top: so many members at most, those with the best first objective in-sample: who chooses them by what they did
            out-of-sample has nothing left to score them on. None for all.

    Raises:
        SpecError: an unknown method.
        ResultsError: there is no validation, fewer than two winners, or too little time in common; or the bars or the
            strategy are not there, or give other numbers than the sweep has.
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
    a_year = _steps_per_year(run, parts, step)
    mixes = {name: _mixed(name, parts, a_year) for name in ([method] if method is not None else METHODS)}
    return SweepPortfolio(
        members=members,
        parts=parts,
        mixes={name: mix for name, mix in mixes.items() if mix is not None},
        step=step,
        warnings=tuple(_warnings(members, parts, mixes)),
    )


def _mixed(method: str, parts: Sequence[Part], a_year: float) -> Mix | None:
    """None where the method has no answer in one of the folds."""
    fits, weights = [], []
    for part in parts:
        moves = part.returns.std(axis=0) > 0.0
        fit = fit_portfolio(part.returns[:, moves], method) if moves.any() else None
        if fit is None:
            return None
        own = np.zeros(len(moves))
        own[moves] = fit.weights
        fits.append(fit)
        weights.append(own)
    made = np.concatenate([part.oos_returns @ own for part, own in zip(parts, weights, strict=True)])
    return Mix(
        method=method,
        weights=np.array(weights),
        fits=tuple(fits),
        in_sample=tuple(
            score_portfolio(own, part.returns, a_year) for part, own in zip(parts, weights, strict=True)
        ),
        out_of_sample=score_portfolio(np.ones(1), made[:, np.newaxis], a_year),
    )


def _steps_per_year(run: StoredSweep, parts: Sequence[Part], step: Timeframe) -> float:
    """The number of steps a year, from all windows; what lies between them was left out on purpose."""
    windows = [moments for part in parts for moments in (part.moments, part.oos_moments)]
    calendar = run.spec.data.calendar
    years = [len(moments) / bars_per_year(moments, step, calendar) for moments in windows]
    return sum(map(len, windows)) / sum(years)


def _warnings(members: Sequence[Row], parts: Sequence[Part], mixes: dict[str, Mix | None]) -> Iterator[str]:
    yield from dict.fromkeys(row.disagreement for row in members if row.disagreement)
    for part in parts:
        for k in np.flatnonzero(part.returns.std(axis=0) == 0.0).tolist():
            yield f"{' '.join(members[k].cell)} does not move in sample in {part.name}: without weight there"
    for name, mix in mixes.items():
        if mix is None:
            yield f"{name} has no answer: a mix of the winners bears no risk in sample"
    if len(members) > min(len(part.moments) for part in parts):
        yield "more winners than returns in sample: their correlations are not to be relied on"


def _member(row: Row) -> dict[str, Any]:
    return {
        "study": row.study, "strategy": row.strategy, "asset": row.asset, "timeframe": row.timeframe,
        "params": row.params, "values": list(row.values or ()),
    }  # fmt: skip


def _mix(mix: Mix) -> dict[str, Any]:
    last = mix.fits[-1]
    return {
        "weights": mix.weights[-1].tolist(),
        "weights_of_folds": mix.weights.tolist(),
        "diversification_ratio": last.diversification_ratio,
        **{f"is_{name}": value for name, value in mean_score(mix.in_sample).items()},
        **{f"oos_{name}": value for name, value in mean_score([mix.out_of_sample]).items()},
    }


def mean_score(scores: Sequence[PortfolioScore]) -> dict[str, float | None]:
    """Of each number the mean over folds; None where one is undefined."""
    found: dict[str, float | None] = {}
    for name in ("sharpe_ratio", "total_return", "volatility", "max_drawdown"):
        values = [getattr(score, name) for score in scores]
        found[name] = None if None in values else float(np.mean(values))
    return found


def _span(moments: np.ndarray, step: Timeframe) -> list[str]:
    return [iso(int(step.shift(moments[:1], -1)[0])), iso(int(moments[-1]))]


def _plain(matrix: np.ndarray) -> list[list[float | None]]:
    return [[float(value) if np.isfinite(value) else None for value in line] for line in matrix]
