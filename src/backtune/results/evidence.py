"""How far a search's best can be trusted: against luck, against overfitting, among its neighbours and out of sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backtune.objective import Metrics
from backtune.results.searched import Searched
from backtune.results.summary import Winner
from backtune.space import Params
from backtune.validation.bootstrap import SharpeInterval
from backtune.validation.deflated_sharpe import deflated_sharpe

# Fewer trades tell little, whatever they made.
_FEW_TEST_TRADES = 30
# The usual level of a test: a search without skill passes it once in twenty times.
SURE_OF_SKILL = 0.95
# As likely as not: the best of luck shows as much on average.
AS_LUCK = 0.5
# What a choice made by tossing a coin has.
OVERFITTED = 0.5
# A choice that lost money in so many of the splits matters; without it, the trials are as good as each other.
OFTEN = 0.25
# Half of what the best has over trials elsewhere is gone within a tenth of the ranges.
FLAT = 0.5


@dataclass(frozen=True)
class Evidence:
    """Of a winner; None where undefined, and all of it for runs from before it was kept.

    Of a walk-forward, see :func:`~backtune.results.walk_forward.evidence_of`.

    Attributes:
        dsr: deflated Sharpe ratio, a probability: whether its Sharpe ratio is more than the best of so many trials shows
            by luck; whatever the objective is.
        n_independent: how many independent trials those of the search are worth.
        pbo: probability of backtest overfitting, by Sharpe ratio, among the search's complete trials.
        pbo_slope: of the line from in-sample to out-of-sample Sharpe ratios of the splits' best: 1 keeps all, 0 nothing.
        pbo_loss: the share of splits whose best has a negative Sharpe ratio out-of-sample.
        plateau: 1 where its neighbours are as good in the first objective, 0 where they are like any other trial; of a
            Pareto front, for its first point alone.
        plateau_centre: the candidate whose neighbours are the best of all, which may be the better choice; not always a
            trial, see :mod:`backtune.results.probes`.
        centre_plateau: how these stand, by the measure of ``plateau``.
        centre_metrics: of the centre, in-sample. What it does out-of-sample is not looked up, lest the choice between it and
            the winner be made by that.
        oos_interval: of the Sharpe ratio out-of-sample.
        n_cells: of a walk-forward, how many cells it is compared with, itself among them; None for a single search.
    """

    dsr: float | None = None
    n_independent: float | None = None
    pbo: float | None = None
    pbo_slope: float | None = None
    pbo_loss: float | None = None
    plateau: float | None = None
    plateau_centre: Params | None = None
    centre_plateau: float | None = None
    centre_metrics: Metrics | None = None
    oos_interval: SharpeInterval | None = None
    n_cells: int | None = None

    @classmethod
    def of(cls, winner: Winner, searched: Searched) -> Evidence:
        """Of a winner of a search."""
        tried, shape = searched.tried, winner.is_shape
        is_best = winner.params == searched.best
        return cls(
            dsr=deflated_sharpe(shape, tried).probability if shape and tried else None,
            n_independent=tried.n_independent if tried else None,
            pbo=searched.pbo,
            pbo_slope=searched.pbo_slope,
            pbo_loss=searched.pbo_loss,
            plateau=searched.plateau if is_best else None,
            plateau_centre=searched.plateau_centre,
            centre_plateau=searched.centre_plateau,
            centre_metrics=searched.centre_metrics,
            oos_interval=winner.oos_interval,
        )

    @property
    def has_steadier(self) -> bool:
        """Whether the best stands alone, as far as is known, and the centre of the plateau does not."""
        stands_alone = self.plateau is None or self.plateau < FLAT
        return stands_alone and self.centre_plateau is not None and self.centre_plateau >= FLAT

    def to_json(self) -> dict[str, Any]:
        """Flat and plain."""
        interval, centre = self.oos_interval, self.centre_metrics
        return {
            "dsr": self.dsr, "n_independent": self.n_independent, "n_cells": self.n_cells,
            "pbo": self.pbo, "pbo_slope": self.pbo_slope, "pbo_loss": self.pbo_loss,
            "plateau": self.plateau, "plateau_centre": self.plateau_centre, "centre_plateau": self.centre_plateau,
            "centre_metrics": centre and {f"is_{name}": value for name, value in centre.items()},
            "oos_sharpe_low": interval.low if interval else None,
            "oos_sharpe_high": interval.high if interval else None,
        }  # fmt: skip

    def weaknesses(self, n_trials: int) -> dict[str, str]:
        """In words, by the attribute that tells of them.

        Args:
            n_trials: that the winner is the best of; of no account for a walk-forward.
        """
        found = {
            "dsr": self._luck(n_trials),
            "pbo": self._overfitting(),
            "plateau": self._needle(),
            "oos_interval": self._loss(),
        }
        return {name: words for name, words in found.items() if words}

    def _luck(self, n_trials: int) -> str:
        if self.dsr is None or self.dsr >= SURE_OF_SKILL:
            return ""
        best = f"the best of {n_trials:,} trials"
        if self.n_cells is not None:
            among = f"as one of {self.n_cells:,} cells, " if self.n_cells > 1 else ""
            best = f"{among}its result out of sample"
        verdict = "is what luck would give" if self.dsr < AS_LUCK else "may be luck"
        return f"{best} {verdict} (deflated Sharpe {self.dsr:.2f})"

    def _overfitting(self) -> str:
        if self.pbo is None or self.pbo < OVERFITTED or (self.pbo_loss or 0.0) < OFTEN:
            return ""
        return f"overfitted in {100 * self.pbo:.0f} % of the splits (PBO {self.pbo:.2f})"

    def _needle(self) -> str:
        if self.plateau is None or self.plateau >= FLAT:
            return ""
        return f"its neighbours do much worse (plateau {self.plateau:.2f})"

    def _loss(self) -> str:
        interval = self.oos_interval
        if interval is None or interval.low >= 0.0:
            return ""
        verdict = "is below 0" if interval.high < 0.0 else "could be below 0"
        ends = f"{100 * interval.confidence:.0f} %: {interval.low:.1f} to {interval.high:.1f}"
        return f"out-of-sample Sharpe {verdict} ({ends})"


NO_EVIDENCE = Evidence()


def doubts(is_metrics: Metrics, oos_metrics: Metrics) -> list[str]:
    """What metrics alone tell against a winner that was tested."""
    found = []
    trades = oos_metrics["total_trades"] or 0
    if trades < _FEW_TEST_TRADES:
        found.append(f"only {trades:.0f} trades out of sample")
    profit = oos_metrics["total_return"]
    if profit is not None and profit <= -1.0:
        found.append("ruined out of sample: all of the money is lost")
    elif profit is not None and profit <= 0.0 < (is_metrics["total_return"] or 0.0):
        found.append("gains in sample, loses out of sample")
    return found
