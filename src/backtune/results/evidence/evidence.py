"""How far a search's best can be trusted: against luck, against overfitting, among its neighbours and out of sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from backtune.results.evidence.family import SIGNIFICANCE_LEVEL, FamilyResult, family_to_json
from backtune.results.evidence.p_values import format_p_value
from backtune.results.evidence.permutation_test import PermutationTest
from backtune.results.evidence.search_evidence import SearchEvidence
from backtune.results.log.summary import Winner
from backtune.results.trial import Metrics
from backtune.space import Params
from backtune.validation.bootstrap import SharpeInterval
from backtune.validation.deflated_sharpe import compute_deflated_sharpe, compute_luck_level
from backtune.validation.track_record import TrackRecord

# Fewer trades tell little, whatever they made.
FEW_TRADES = 30
# Where luck does as well in half of all sweeps and more, nothing is left to tell from it.
_AS_LIKELY_AS_NOT = 0.5
# A choice that lost money in so many of the splits matters.
MANY_LOSING_SPLITS = 0.25
# Half of what the best has over trials elsewhere is gone within a tenth of the ranges.
FLAT_PLATEAU = 0.5
# The metrics of holding the asset that are told.
_OF_HOLDING = ("total_return", "sharpe_ratio", "max_drawdown")
# Samplers whose candidates do not depend on earlier results.
_SAMPLERS_THAT_DO_NOT_LEARN = frozenset({"random", "qmc", "grid"})


class WinnerSetting(NamedTuple):
    """What a winner stands in.

    Attributes:
        sampler: The sampler of its search.
        bars_per_year: The number of bars a year; None where it was not kept.
        family: Its test among those of all rows; None where the other rows were not looked at.
        permutation: The same search on permuted bars; None where that was not asked for.
    """

    sampler: str
    bars_per_year: float | None
    family: FamilyResult | None
    permutation: PermutationTest | None = None

    @property
    def learns(self) -> bool:
        """Whether the search chose candidates by earlier results.

        Most of its trials then lie near the best and do much the same. Their likeness says nothing of how many chances luck had, and
        the best of one half of the time ranks near the middle in the other, with an edge or without.
        """
        return self.sampler not in _SAMPLERS_THAT_DO_NOT_LEARN


@dataclass(frozen=True)
class Evidence:
    """How far a winner can be trusted; None where undefined, and all of it for runs from before it was kept.

    Of a walk-forward, see :func:`~backtune.results.leaderboard.walk_forward_row.combine_fold_evidence`.

    Attributes:
        dsr: The deflated Sharpe ratio, a probability: that its true Sharpe ratio is above what the best of so many trials shows by
            luck on average; whatever the objective is.
        n_independent: The number of independent trials that those of the search are worth, with those of ``n_elsewhere``: all distinct
            ones for a sampler that learns, fewer for others where they are alike.
        n_elsewhere: The number of trials that other sweeps made on the same bars, which count against luck as well.
        n_other_sweeps: The number of these sweeps.
        pbo: The probability of backtest overfitting, by Sharpe ratio, among the search's complete trials; None for samplers that
            learn, under which it says nothing.
        pbo_loss: The share of splits of the time whose best in one half has a negative Sharpe ratio in the other.
        plateau: The standing of its neighbours: 1 where they are as good in the first objective, 0 where they are like any other
            trial; of a Pareto front, for its first point alone. It measures smoothness, and no skill.
        plateau_centre: The candidate whose neighbours are the best of all; not always a trial, see
            :mod:`backtune.results.log.probes`.
        centre_plateau: The standing of these, by the measure of ``plateau``.
        centre_metrics: The metrics of the centre, in sample. What it does out of sample is not looked up, lest the choice between it
            and the winner be made by that.
        oos_interval: The interval of the Sharpe ratio out of sample.
        n_cells: The number of cells that a walk-forward is compared with, itself among them; None for a single search.
        family: The test out of sample among those of all rows of the sweep.
        timing_p: The p-value of the test of timing, see :mod:`backtune.validation.timing`.
        hold_metrics: The metrics of holding the asset over the same test.
        record: The length of the test, and the length that would be enough.
        permutation: The comparison with the same search on permuted bars; None where the spec asks for none.
    """

    dsr: float | None = None
    n_independent: float | None = None
    n_elsewhere: int | None = None
    n_other_sweeps: int | None = None
    pbo: float | None = None
    pbo_loss: float | None = None
    plateau: float | None = None
    plateau_centre: Params | None = None
    centre_plateau: float | None = None
    centre_metrics: Metrics | None = None
    oos_interval: SharpeInterval | None = None
    n_cells: int | None = None
    family: FamilyResult | None = None
    timing_p: float | None = None
    hold_metrics: Metrics | None = None
    record: TrackRecord | None = None
    permutation: PermutationTest | None = None

    @classmethod
    def of_test(cls, winner: Winner, setting: WinnerSetting) -> Evidence:
        """Return what a winner's test says; no trial of the search is looked at."""
        return cls(
            oos_interval=winner.oos_interval,
            family=setting.family,
            timing_p=winner.timing.p if winner.timing else None,
            hold_metrics=winner.hold_metrics,
            record=TrackRecord.of(winner.oos_shape, setting.bars_per_year),
            permutation=setting.permutation,
        )

    @classmethod
    def of(cls, winner: Winner, searched: SearchEvidence, setting: WinnerSetting) -> Evidence:
        """Return what a winner's test says, and what the trials of its search say of it."""
        tried, shape = searched.tried, winner.is_shape
        is_best = winner.params == searched.best
        n_independent = None
        if tried is not None:
            n_independent = float(tried.n_trials) if setting.learns else tried.n_independent
        return replace(
            cls.of_test(winner, setting),
            dsr=None
            if shape is None or n_independent is None
            else compute_deflated_sharpe(shape, n_independent).probability,
            n_independent=n_independent,
            n_elsewhere=searched.n_elsewhere if tried else None,
            n_other_sweeps=searched.n_other_sweeps if tried else None,
            pbo=None if setting.learns else searched.pbo,
            pbo_loss=searched.pbo_loss,
            plateau=searched.plateau if is_best else None,
            plateau_centre=searched.plateau_centre,
            centre_plateau=searched.centre_plateau,
            centre_metrics=searched.centre_metrics,
        )

    @property
    def has_steadier(self) -> bool:
        """Whether the best stands alone, as far as is known, and the centre of the plateau does not."""
        stands_alone = self.plateau is None or self.plateau < FLAT_PLATEAU
        return stands_alone and self.centre_plateau is not None and self.centre_plateau >= FLAT_PLATEAU

    @property
    def dsr_level(self) -> float | None:
        """The deflated Sharpe ratio that a search without skill exceeds once in twenty times; None without one."""
        return (
            None if self.n_independent is None else compute_luck_level(self.n_independent, SIGNIFICANCE_LEVEL)
        )

    def to_json(self) -> dict[str, Any]:
        """Flat and plain."""
        interval, centre, held = self.oos_interval, self.centre_metrics, self.hold_metrics or {}
        return {
            "dsr": self.dsr, "dsr_level": self.dsr_level, "n_independent": self.n_independent, "n_cells": self.n_cells,
            "n_elsewhere": self.n_elsewhere, "n_other_sweeps": self.n_other_sweeps,
            **family_to_json(self.family),
            "timing_p": self.timing_p,
            "permutation_p": self.permutation.p if self.permutation else None,
            "n_permutations": self.permutation.n_done if self.permutation else None,
            **{f"hold_{name}": held.get(name) for name in _OF_HOLDING},
            "test_years": self.record.years if self.record else None,
            "min_track_record_years": self.record.needed_years if self.record else None,
            "pbo": self.pbo, "pbo_loss": self.pbo_loss,
            "plateau": self.plateau, "plateau_centre": self.plateau_centre, "centre_plateau": self.centre_plateau,
            "centre_metrics": centre and {f"is_{name}": value for name, value in centre.items()},
            "oos_sharpe_low": interval.low if interval else None,
            "oos_sharpe_high": interval.high if interval else None,
        }  # fmt: skip

    def weaknesses(self, n_trials: int, oos_sharpe: float | None = None) -> dict[str, str]:
        """Return in words what speaks against the winner, by the attribute that tells of it.

        Args:
            n_trials: The number of trials that the winner is the best of; of no account for a walk-forward.
            oos_sharpe: The Sharpe ratio out of sample, to be held against that of holding the asset.
        """
        found = {
            "family": self._luck_of_many(),
            "oos_interval": self._loss(),
            "hold_metrics": self._holding(oos_sharpe),
            "timing_p": self._drift(),
            "permutation": self._luck_of_permutations(),
            "dsr": self._luck(n_trials),
            "pbo_loss": self._losing_splits(),
            "plateau": self._needle(),
        }
        return {name: words for name, words in found.items() if words}

    def _luck(self, n_trials: int) -> str:
        level = self.dsr_level
        if self.dsr is None or level is None or self.dsr >= level or self.permutation is not None:
            # Permutations answer the same question without assuming how many chances luck had.
            return ""
        if self.n_cells is not None:
            # The family says the same of a walk-forward, in words that are easier to understand.
            return "" if self.family is not None else f"may be the luck of one of {self.n_cells:,} cells"
        tried = f"{n_trials:,} trials{self._trials_elsewhere}"
        return f"in sample no better than the luck of {tried} (DSR {self.dsr:.2f}; luck reaches {level:.2f})"

    @property
    def _trials_elsewhere(self) -> str:
        if not self.n_elsewhere:
            return ""
        sweeps = "another sweep" if self.n_other_sweeps == 1 else f"{self.n_other_sweeps:,} other sweeps"
        return f" and {self.n_elsewhere:,} more on the same bars in {sweeps}"

    def _losing_splits(self) -> str:
        if self.pbo_loss is None or self.pbo_loss < MANY_LOSING_SPLITS:
            return ""
        return f"the choice by one half of the search loses in the other in {100 * self.pbo_loss:.0f} of 100 splits"

    def _needle(self) -> str:
        if self.plateau is None or self.plateau >= FLAT_PLATEAU:
            return ""
        return f"its neighbours do much worse (plateau {self.plateau:.2f})"

    def _loss(self) -> str:
        interval = self.oos_interval
        if interval is None or interval.low >= 0.0 or self._luck_of_many():
            # A test that is no better than luck has said it.
            return ""
        verdict = "is below 0" if interval.high < 0.0 else "could be below 0"
        ends = f"{100 * interval.confidence:.0f} %: {interval.low:.1f} to {interval.high:.1f}"
        return f"out-of-sample Sharpe {verdict} ({ends})"

    def _luck_of_many(self) -> str:
        if self.family is None or self.family.is_significant:
            return ""
        n = self.family.luck.n_tests
        luck = "luck" if n == 1 else f"the best of {n:,} by luck"
        verdict = "no better" if self.family.p > _AS_LIKELY_AS_NOT else "not clearly better"
        return f"its test is {verdict} than {luck} (p {format_p_value(self.family.p)})"

    def _drift(self) -> str:
        if self.timing_p is None or self.timing_p <= SIGNIFICANCE_LEVEL:
            return ""
        return f"no sign of timing (p {format_p_value(self.timing_p)})"

    def _luck_of_permutations(self) -> str:
        test = self.permutation
        if test is None or test.p <= SIGNIFICANCE_LEVEL:
            return ""
        return f"in sample no better than the same search on shuffled bars (p {format_p_value(test.p)})"

    def _holding(self, oos_sharpe: float | None) -> str:
        held = (self.hold_metrics or {}).get("sharpe_ratio")
        if held is None or oos_sharpe is None or oos_sharpe >= held:
            return ""
        return f"holding the asset {'did better' if held > 0.0 else 'lost less'} (Sharpe {held:.2f})"


NO_EVIDENCE = Evidence()


def list_metric_warnings(is_metrics: Metrics, oos_metrics: Metrics) -> list[str]:
    """What metrics alone tell against a winner that was tested."""
    counts = {"in sample": is_metrics["total_trades"] or 0, "out of sample": oos_metrics["total_trades"] or 0}
    found = [
        f"only {n:.0f} {'trade' if n == 1 else 'trades'} {where}"
        for where, n in counts.items()
        if n < FEW_TRADES
    ]
    profit = oos_metrics["total_return"]
    if profit is not None and profit <= -1.0:
        found.append("ruined out of sample: all of the money is lost")
    elif profit is not None and profit < 0.0:
        found.append(f"loses {-100 * profit:.1f} % out of sample")
    return found
