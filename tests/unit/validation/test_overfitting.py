"""The probability of backtest overfitting: against a slow, obvious one, and on trials whose truth is known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from block_moments import blocks_of
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import FREE, make_bars

from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.simulation.backtest import backtest
from backtune.simulation.bar_window import BarWindow
from backtune.space import Params
from backtune.spec import Objective
from backtune.strategy.registry import resolve_strategy
from backtune.validation.deflated_sharpe import ReturnShape, TrialCount, compute_deflated_sharpe
from backtune.validation.overfitting import Overfitting, estimate_overfitting


def noise(seed: int, n_trials: int = 100, n_bars: int = 1600) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n_trials, n_bars)) * 0.01


def found(blocks: np.ndarray) -> Overfitting:
    result = estimate_overfitting(blocks)
    assert result is not None
    return result


def slow(returns: np.ndarray, n_blocks: int) -> list[tuple[float, float, float]]:
    """In-sample and out-of-sample Sharpe ratio and logit of every split, from the returns themselves."""
    parts = np.array_split(returns, n_blocks, axis=1)
    splits = []
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        inside = np.concatenate([parts[b] for b in chosen], axis=1)
        outside = np.concatenate([parts[b] for b in range(n_blocks) if b not in chosen], axis=1)
        a, b = (half.mean(axis=1) / half.std(axis=1, ddof=1) for half in (inside, outside))
        best = int(np.argmax(a))
        rank = float(np.sum(b < b[best]) + (np.sum(b == b[best]) + 1) / 2) / (len(returns) + 1)
        splits.append((float(a[best]), float(b[best]), float(np.log(rank / (1 - rank)))))
    return sorted(splits)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 12),
    st.sampled_from([2, 4, 6]),
    st.integers(12, 50),
)
def test_equals_the_slow_one(seed: int, n_trials: int, n_blocks: int, n_bars: int) -> None:
    # Blocks of unequal length too.
    returns = noise(seed, n_trials, n_bars) + 0.001
    fast = found(blocks_of(returns, n_blocks))
    expected = np.array(slow(returns, n_blocks))
    assert len(fast.logits) == len(expected)
    order = np.lexsort((fast.logits, fast.oos_sharpe, fast.is_sharpe))
    splits = np.column_stack([fast.is_sharpe, fast.oos_sharpe, fast.logits])[order]
    np.testing.assert_allclose(splits, expected, rtol=1e-7, atol=1e-9)
    assert fast.probability == np.mean(expected[:, 2] <= 1e-12)
    assert fast.probability_of_loss == np.mean(expected[:, 1] < 0)


def test_every_split_of_sixteen_blocks() -> None:
    result = found(blocks_of(noise(0, 5)))
    assert len(result.logits) == len(result.is_sharpe) == len(result.oos_sharpe) == 12_870


def test_more_trials_than_a_chunk_holds() -> None:
    returns = noise(1, 1300, 96)
    fast, expected = found(blocks_of(returns, 6)), np.array(slow(returns, 6))
    order = np.argsort(fast.is_sharpe)
    np.testing.assert_allclose(fast.logits[order], expected[:, 2], rtol=1e-9)


def test_noise_is_a_coin_flip() -> None:
    # By symmetry the best of noise is anywhere out-of-sample.
    results = [found(blocks_of(noise(seed))) for seed in range(30)]
    assert np.mean([r.probability for r in results]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([r.probability_of_loss for r in results]) == pytest.approx(0.5, abs=0.08)


def test_what_must_come_back_is_certain_to_be_overfitted() -> None:
    """Trials that end where they began: what is won in one half is lost in the other (section 4 of the paper)."""
    returns = noise(2)
    returns -= returns.mean(axis=1, keepdims=True)
    result = found(blocks_of(returns))
    assert result.probability > 0.99
    assert result.probability_of_loss == 1.0


def test_a_better_strategy_is_found() -> None:
    returns = noise(3)
    returns[17] += 0.003
    result = found(blocks_of(returns))
    assert result.probability == 0.0
    assert result.probability_of_loss == 0.0
    assert result.logits.min() > np.log(0.9 / 0.1)


def test_the_best_of_a_search_on_a_random_walk() -> None:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(8).standard_normal(20_000) * 0.005))
    bars = make_bars(np.concatenate([[100.0], close[:-1]]), close)
    random = np.random.default_rng(9)
    candidates: list[Params] = [
        {"fast_period": int(random.integers(3, 41)), "slow_period": int(random.integers(41, 251))}
        for _ in range(500)
    ]
    scorer = CandidateScorer(resolve_strategy("MovingAverageCrossover"), FREE)
    evaluator = WindowEvaluator(scorer, BarWindow.of(bars), (Objective.parse("sharpe_ratio"),))
    trials = list(evaluator.evaluate(list(enumerate(candidates))))
    best = max(trials, key=lambda trial: trial.values or (0.0,))
    blocks = np.array([trial.blocks for trial in trials])
    equity = backtest("MovingAverageCrossover", best.params, bars, FREE).equity
    returns = np.diff(equity, prepend=FREE.initial_cash) / np.concatenate([[FREE.initial_cash], equity[:-1]])
    shape, tried = ReturnShape.of(returns), TrialCount.of(blocks)
    assert shape is not None
    assert tried is not None
    assert shape.sharpe * np.sqrt(365.25) == pytest.approx(best.metrics["sharpe_ratio"])
    assert compute_deflated_sharpe(shape, tried.n_independent).probability < 0.8
    assert found(blocks).probability > 0.4


@pytest.mark.parametrize("kept", [0, 1])
def test_none_with_fewer_than_two_trials(kept: int) -> None:
    blocks = np.concatenate([np.zeros((3, 16, 3)), blocks_of(np.zeros((2, 1600))), blocks_of(noise(4, kept))])
    assert estimate_overfitting(blocks) is None
    assert estimate_overfitting(np.concatenate([blocks, blocks])) is None


def test_a_half_without_a_trade_counts_as_nothing_earned() -> None:
    returns = noise(5, 2, 64)
    returns[0] = -0.001 + 0.0001 * returns[0]
    returns[1, :32] = 0.0
    result = found(blocks_of(returns, 2))
    # Blocks: the first half, where the idle one is best and earns nothing, and the second.
    assert result.is_sharpe[0] == 0.0
    assert np.isfinite(result.logits).all()


def test_repeated_trials_change_nothing() -> None:
    blocks = blocks_of(noise(6, 30))
    once, again = found(blocks), found(np.concatenate([blocks, blocks[::2]]))
    assert np.array_equal(once.logits, again.logits)
    assert once.n_trials == again.n_trials == 30


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (blocks_of(noise(0, 3, 90), 5), "5 blocks cannot be cut into halves"),
        (np.concatenate([blocks_of(noise(0, 3)), blocks_of(noise(1, 3, 1584))]), "not of one window"),
    ],
    ids=["odd", "windows"],
)
def test_refused(blocks: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_overfitting(blocks)
