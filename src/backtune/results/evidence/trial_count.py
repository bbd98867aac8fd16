"""The number of independent trials behind a search's best, with those of other sweeps on the same bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from backtune.errors import ResultsError
from backtune.results.evidence.related_studies import RelatedStudy
from backtune.results.log.segments import extract_block_moments, read_log
from backtune.validation.deflated_sharpe import TrialCount
from backtune.validation.folds import TimeWindow


class _LogTrials(NamedTuple):
    """The trials of a log, as far as luck is concerned: their block moments, and how many were stopped early."""

    blocks: np.ndarray
    n_stopped: int


@dataclass(frozen=True)
class _BlockBars:
    """The bars that block moments belong to; only moments of the same bars can be compared.

    Attributes:
        train: The window of the search; None where it is not known.
        counts: The number of bars in each block; empty where no trial has a result.
    """

    train: TimeWindow | None
    counts: tuple[float, ...]

    @classmethod
    def of(cls, train: TimeWindow | None, blocks: np.ndarray) -> _BlockBars:
        counts = blocks[:, :, 0]
        traded = np.flatnonzero(counts.any(axis=1))
        return cls(train, tuple(counts[traded[0]].tolist()) if len(traded) else ())


@dataclass(frozen=True)
class SearchTrialCount:
    """The trials on the bars of a search, its own and those of other sweeps.

    Attributes:
        total: All trials together; None where the search's own trials have no Sharpe ratio.
        n_elsewhere: The number of trials that other sweeps made.
        n_other_sweeps: The number of these sweeps.
        problems: Warnings about logs that cannot be read, whose trials are not counted.
    """

    total: TrialCount | None = None
    n_elsewhere: int = 0
    n_other_sweeps: int = 0
    problems: tuple[str, ...] = ()


NO_TRIALS = SearchTrialCount()


def count_search_trials(
    log: pl.DataFrame, train: TimeWindow | None, related: Sequence[RelatedStudy]
) -> SearchTrialCount:
    """Count the trials of a search and of related ones together.

    Trials on the same bars, equal ones once, are compared as those of one search. Where train windows only overlap, the
    moments are of different bars and cannot be compared: the numbers are added. Trials of others never lower a number.

    Args:
        log: The trials of the search, in the columns of :func:`~backtune.results.log.segments.read_log`.
        train: The train window of the search; None where it is not known.
        related: The related studies.
    """
    own = _trials_of(log)
    tried = TrialCount.of(own.blocks, own.n_stopped)
    groups: dict[_BlockBars, list[_LogTrials]] = {_BlockBars.of(train, own.blocks): [own]}
    read: list[RelatedStudy] = []
    problems: list[str] = []
    for study in related:
        try:
            other = read_log(study.folder)
        except ResultsError as error:
            problems.append(f"trials of another sweep are not counted: {error}")
            continue
        if other is not None:
            trials = _trials_of(other)
            groups.setdefault(_BlockBars.of(study.train, trials.blocks), []).append(trials)
            read.append(study)
    if tried is not None and read:
        counts = [
            TrialCount.of(np.concatenate([one.blocks for one in group]), sum(one.n_stopped for one in group))
            for group in groups.values()
        ]
        found = [one for one in counts if one is not None]
        tried = replace(
            tried,
            n_trials=max(tried.n_trials, sum(one.n_trials for one in found)),
            n_independent=max(tried.n_independent, sum(one.n_independent for one in found)),
        )
    n_elsewhere = sum(study.n_trials - study.n_own for study in read)
    return SearchTrialCount(tried, n_elsewhere, len({study.sweep for study in read}), tuple(problems))


def _trials_of(log: pl.DataFrame) -> _LogTrials:
    return _LogTrials(extract_block_moments(log), count_stopped_trials(log))


def count_stopped_trials(log: pl.DataFrame) -> int:
    """Return how many distinct candidates were stopped early: of them nothing is known on the whole window."""
    stopped = log.filter((pl.col("state") == "infeasible") & pl.col("values_0").is_null())
    params = [name for name in log.columns if name.startswith("params_")]
    return stopped.select(params).n_unique() if len(stopped) else 0
