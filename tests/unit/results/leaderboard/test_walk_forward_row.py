"""The numbers of a walk-forward by hand: what it is compared with, and what its evidence is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backtune.results.evidence.evidence import NO_EVIDENCE, Evidence
from backtune.results.evidence.family import FamilyResult
from backtune.results.evidence.search_evidence import PlateauEvidence
from backtune.results.leaderboard.walk_forward_oos import WalkForwardScore
from backtune.results.leaderboard.walk_forward_row import combine_fold_evidence, count_compared_cells
from backtune.validation.bootstrap import SharpeInterval
from backtune.validation.deflated_sharpe import (
    ReturnShape,
    TrialCount,
    compute_expected_maximum_sharpe,
    compute_probabilistic_sharpe,
    estimate_independent_trials,
)
from backtune.validation.multiple_tests import BestByLuck
from backtune.validation.return_moments import compute_bar_returns, compute_block_moments
from backtune.validation.track_record import TrackRecord

N_BARS = 1600
EDGES = np.arange(17) * 100
NOISE = np.random.default_rng(11).standard_normal((3, N_BARS)) * 0.01
FOLDS = [
    Evidence(
        dsr=0.1,
        n_independent=40.0,
        pbo=0.2,
        timing_p=0.1,
        pbo_loss=0.4,
        plateau=PlateauEvidence(stability=0.9, centre={"x": 1}),
    ),
    Evidence(
        dsr=0.2,
        n_independent=50.0,
        pbo=0.6,
        timing_p=0.2,
        pbo_loss=0.0,
        plateau=PlateauEvidence(stability=0.3, centre={"x": 2}),
    ),
]


def score(returns: np.ndarray, bars_per_year: float = 400.0) -> WalkForwardScore:
    interval = SharpeInterval(-1.0, 2.0, 0.5, 0.95, 3.0, 0.2)
    return WalkForwardScore(
        {},
        ReturnShape.of(returns),
        interval,
        compute_block_moments(returns, EDGES),
        bars_per_year,
        {"sharpe_ratio": 0.3},
    )


def test_returns_and_their_moments_by_hand() -> None:
    equity = np.array([110.0, 99.0, 99.0, 0.0, 0.0])
    returns = compute_bar_returns(equity, 100.0)
    assert returns.tolist() == pytest.approx([0.1, -0.1, 0.0, -1.0, 0.0])
    moments = compute_block_moments(returns, np.array([0, 2, 2, 5]))
    assert moments.tolist() == [pytest.approx([2, 0.0, 0.02]), [0, 0, 0], pytest.approx([3, -1.0, 1.0])]


def test_cells_are_compared() -> None:
    cells = [score(NOISE[0]), score(NOISE[1]), score(NOISE[2], bars_per_year=100.0)]
    blocks = np.stack([cell.blocks for cell in cells])
    assert count_compared_cells(cells) == TrialCount(3, estimate_independent_trials(blocks))


def test_cells_that_trade_alike_are_one() -> None:
    tried = count_compared_cells([score(NOISE[0]), score(NOISE[0])])
    assert (tried.n_trials, tried.n_independent) == (1, 1.0)


def test_there_is_nothing_to_compare() -> None:
    assert count_compared_cells([]) is None
    assert count_compared_cells([score(np.zeros(N_BARS))]) is None


def test_evidence_by_hand() -> None:
    cells = [score(NOISE[0] + 0.001), score(NOISE[1]), score(NOISE[2])]
    tried = count_compared_cells(cells)
    family = FamilyResult(0.2, 0.0, None, None, BestByLuck(3, 1.0, 2.0))
    found = combine_fold_evidence(FOLDS, cells[0], tried, family)
    benchmark = compute_expected_maximum_sharpe(tried.n_independent, 1 / math.sqrt(N_BARS - 1))
    assert benchmark > 0.0
    assert found.dsr == compute_probabilistic_sharpe(cells[0].shape, benchmark)
    assert (found.n_cells, found.n_independent) == (3, tried.n_independent)
    assert (found.pbo, found.pbo_loss) == (pytest.approx(0.4), pytest.approx(0.2))
    # Fisher: 0.02 (1 - ln 0.02).
    assert found.timing_p == pytest.approx(0.098240, abs=5e-7)
    assert (found.family, found.hold_metrics) == (family, {"sharpe_ratio": 0.3})
    assert found.record == TrackRecord.of(cells[0].shape, 400.0)
    assert found.plateau == FOLDS[-1].plateau
    assert found.oos_interval == cells[0].interval


def test_a_single_cell_is_held_against_zero() -> None:
    cell = score(NOISE[0] + 0.001)
    found = combine_fold_evidence(FOLDS, cell, count_compared_cells([cell]), None)
    assert (found.dsr, found.n_cells) == (compute_probabilistic_sharpe(cell.shape), 1)


def test_without_a_whole_only_the_searches_tell() -> None:
    found = combine_fold_evidence(FOLDS, None, None, None)
    assert (found.dsr, found.n_independent, found.n_cells, found.oos_interval) == (None,) * 4
    assert (found.pbo, found.plateau.stability) == (pytest.approx(0.4), 0.3)
    assert combine_fold_evidence([NO_EVIDENCE], None, None, None) == NO_EVIDENCE


def test_a_cell_that_never_trades_has_no_ratio() -> None:
    idle = score(np.zeros(N_BARS))
    found = combine_fold_evidence(FOLDS, idle, count_compared_cells([idle, score(NOISE[0])]), None)
    assert (found.dsr, found.n_cells) == (None, None)
