"""The evidence for and against a winner: luck, overfitting, neighbours, and the test out of sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from backtune.results.evidence.family import SIGNIFICANCE_LEVEL, FamilyResult, family_to_json
from backtune.results.evidence.p_values import format_p_value
from backtune.results.evidence.permutation_test import PermutationTest
from backtune.results.evidence.search_evidence import (
    FLAT_PLATEAU,
    NO_PLATEAU,
    PlateauEvidence,
    SearchEvidence,
)
from backtune.results.evidence.trial_count import SearchTrialCount
from backtune.results.log.summary import Winner
from backtune.results.trial import Metrics
from backtune.validation.bootstrap import SharpeInterval
from backtune.validation.deflated_sharpe import compute_deflated_sharpe, compute_luck_level
from backtune.validation.track_record import TrackRecord

# Fewer trades tell little, whatever they made.
FEW_TRADES = 30
# Where luck does as well in half of all sweeps and more, nothing is left to tell from it.
_AS_LIKELY_AS_NOT = 0.5
# A choice that lost money in so many of the splits matters.
MANY_LOSING_SPLITS = 0.25
# The metrics of holding the asset that a row shows.
_METRICS_OF_HOLDING = ("total_return", "sharpe_ratio", "max_drawdown")
# Samplers whose candidates do not depend on earlier results.
_SAMPLERS_THAT_DO_NOT_LEARN = frozenset({"random", "qmc", "grid"})


class WinnerSetting(NamedTuple):
    """The circumstances of a winner that its own results do not say.

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
    def is_learning(self) -> bool:
        """Tell whether the search chose candidates by earlier results.

        Most of its trials then lie near the best and have much the same returns. That they are alike says nothing about the number
        of chances that luck had, and the best in one half of the time ranks near the middle in the other, with an edge or without.
        """
        return self.sampler not in _SAMPLERS_THAT_DO_NOT_LEARN


@dataclass(frozen=True)
class Evidence:
    """The evidence for and against a winner; None where undefined.

    Of a walk-forward, see :func:`~backtune.results.leaderboard.walk_forward_row.combine_fold_evidence`.

    Attributes:
        dsr: The deflated Sharpe ratio, a probability: that its true Sharpe ratio is above what the best of so many trials shows by
            luck on average; whatever the objective is.
        n_independent: The number of independent trials that those of the search and of ``trials`` are worth: all distinct ones for
            a sampler that learns, fewer for others where they are alike.
        trials: The trials of the search, and those of other sweeps on the same bars, which count against luck as well; None for a
            walk-forward.
        pbo: The probability of backtest overfitting, by Sharpe ratio, among the search's complete trials; None for samplers that
            learn, under which it says nothing.
        pbo_loss: The share of splits of the time whose best in one half has a negative Sharpe ratio in the other.
        plateau: The standing of the winner among its neighbours: a stability of 1 where they are as good in the first objective, 0
            where they are like any other trial; of a Pareto front, for its first point alone. It measures smoothness, and no skill.
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
    trials: SearchTrialCount | None = None
    pbo: float | None = None
    pbo_loss: float | None = None
    plateau: PlateauEvidence = NO_PLATEAU
    oos_interval: SharpeInterval | None = None
    n_cells: int | None = None
    family: FamilyResult | None = None
    timing_p: float | None = None
    hold_metrics: Metrics | None = None
    record: TrackRecord | None = None
    permutation: PermutationTest | None = None

    @classmethod
    def of_test(cls, winner: Winner, setting: WinnerSetting) -> Evidence:
        """Return the evidence of the test alone; no trial of the search is read."""
        return cls(
            oos_interval=winner.oos_interval,
            family=setting.family,
            timing_p=winner.timing.p if winner.timing else None,
            hold_metrics=winner.hold_metrics,
            record=TrackRecord.of(winner.oos_shape, setting.bars_per_year),
            permutation=setting.permutation,
        )

    @classmethod
    def of(cls, winner: Winner, search: SearchEvidence, setting: WinnerSetting) -> Evidence:
        """Return the evidence of the test and of the search."""
        total, shape, plateau = search.trials.total, winner.is_shape, search.plateau
        n_independent = None
        if total is not None:
            n_independent = float(total.n_trials) if setting.is_learning else total.n_independent
        dsr = None
        if shape is not None and n_independent is not None:
            dsr = compute_deflated_sharpe(shape, n_independent).probability
        return replace(
            cls.of_test(winner, setting),
            dsr=dsr,
            n_independent=n_independent,
            trials=search.trials if total is not None else None,
            pbo=None if setting.is_learning else search.pbo,
            pbo_loss=search.pbo_loss,
            plateau=plateau if winner.params == plateau.best else replace(plateau, stability=None),
        )

    @property
    def dsr_level(self) -> float | None:
        """The deflated Sharpe ratio that a search without skill exceeds once in twenty times; None without one."""
        return (
            None if self.n_independent is None else compute_luck_level(self.n_independent, SIGNIFICANCE_LEVEL)
        )

    def to_json(self) -> dict[str, Any]:
        """Return flat, plain data by the names of a leaderboard row."""
        interval, plateau, held = self.oos_interval, self.plateau, self.hold_metrics or {}
        centre_metrics = plateau.centre_metrics
        return {
            "dsr": self.dsr,
            "dsr_level": self.dsr_level,
            "n_independent": self.n_independent,
            "n_cells": self.n_cells,
            "n_elsewhere": self.trials.n_elsewhere if self.trials else None,
            "n_other_sweeps": self.trials.n_other_sweeps if self.trials else None,
            **family_to_json(self.family),
            "timing_p": self.timing_p,
            "permutation_p": self.permutation.p if self.permutation else None,
            "n_permutations": self.permutation.n_done if self.permutation else None,
            **{f"hold_{name}": held.get(name) for name in _METRICS_OF_HOLDING},
            "test_years": self.record.years if self.record else None,
            "min_track_record_years": self.record.needed_years if self.record else None,
            "pbo": self.pbo,
            "pbo_loss": self.pbo_loss,
            "plateau": plateau.stability,
            "plateau_centre": plateau.centre,
            "centre_plateau": plateau.centre_stability,
            "centre_metrics": centre_metrics
            and {f"is_{name}": value for name, value in centre_metrics.items()},
            "oos_sharpe_low": interval.low if interval else None,
            "oos_sharpe_high": interval.high if interval else None,
        }

    def weaknesses(self, n_trials: int, oos_sharpe: float | None = None) -> dict[str, str]:
        """Return the weaknesses of the winner in words, by the attribute that shows them.

        Args:
            n_trials: The number of trials that the winner is the best of; of no account for a walk-forward.
            oos_sharpe: The Sharpe ratio out of sample, to be held against that of holding the asset.
        """
        found = {
            "family": self._describe_luck_of_many(),
            "oos_interval": self._describe_loss(),
            "hold_metrics": self._describe_holding(oos_sharpe),
            "timing_p": "",
            "permutation": self._describe_luck_of_permutations(),
            "dsr": self._describe_luck(n_trials),
            "pbo_loss": "",
            "plateau": "",
        }
        stability = self.plateau.stability
        if self.timing_p is not None and self.timing_p > SIGNIFICANCE_LEVEL:
            found["timing_p"] = f"no sign of timing (p {format_p_value(self.timing_p)})"
        if self.pbo_loss is not None and self.pbo_loss >= MANY_LOSING_SPLITS:
            found["pbo_loss"] = (
                "the choice by one half of the search loses in the other in "
                f"{100 * self.pbo_loss:.0f} of 100 splits"
            )
        if stability is not None and stability < FLAT_PLATEAU:
            found["plateau"] = f"its neighbours do much worse (plateau {stability:.2f})"
        return {name: words for name, words in found.items() if words}

    def _describe_luck(self, n_trials: int) -> str:
        level = self.dsr_level
        if self.dsr is None or level is None or self.dsr >= level or self.permutation is not None:
            # Permutations answer the same question without assuming how many chances luck had.
            return ""
        if self.n_cells is not None:
            # The family says the same of a walk-forward, in words that are easier to understand.
            return "" if self.family is not None else f"may be the luck of one of {self.n_cells:,} cells"
        trials = f"{n_trials:,} trials"
        if self.trials is not None and self.trials.n_elsewhere:
            n = self.trials.n_other_sweeps
            sweeps = "another sweep" if n == 1 else f"{n:,} other sweeps"
            trials += f" and {self.trials.n_elsewhere:,} more on the same bars in {sweeps}"
        return f"in sample no better than the luck of {trials} (DSR {self.dsr:.2f}; luck reaches {level:.2f})"

    def _describe_loss(self) -> str:
        interval = self.oos_interval
        if interval is None or interval.low >= 0.0 or self._describe_luck_of_many():
            # A test that is no better than luck has said it.
            return ""
        verdict = "is below 0" if interval.high < 0.0 else "could be below 0"
        ends = f"{100 * interval.confidence:.0f} %: {interval.low:.1f} to {interval.high:.1f}"
        return f"out-of-sample Sharpe {verdict} ({ends})"

    def _describe_luck_of_many(self) -> str:
        if self.family is None or self.family.is_significant:
            return ""
        n = self.family.luck.n_tests
        luck = "luck" if n == 1 else f"the best of {n:,} by luck"
        verdict = "no better" if self.family.p > _AS_LIKELY_AS_NOT else "not clearly better"
        return f"its test is {verdict} than {luck} (p {format_p_value(self.family.p)})"

    def _describe_luck_of_permutations(self) -> str:
        test = self.permutation
        if test is None or test.p <= SIGNIFICANCE_LEVEL:
            return ""
        return f"in sample no better than the same search on shuffled bars (p {format_p_value(test.p)})"

    def _describe_holding(self, oos_sharpe: float | None) -> str:
        held = (self.hold_metrics or {}).get("sharpe_ratio")
        if held is None or oos_sharpe is None or oos_sharpe >= held:
            return ""
        return f"holding the asset {'did better' if held > 0.0 else 'lost less'} (Sharpe {held:.2f})"


NO_EVIDENCE = Evidence()


def list_metric_warnings(is_metrics: Metrics, oos_metrics: Metrics) -> list[str]:
    """Return the warnings that follow from the metrics of a winner that was tested."""
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
