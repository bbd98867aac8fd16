"""What the evidence of a leaderboard says on simulated markets, of which the truth is known.

Each part answers whether a test that claims 5 % makes 5 % mistakes, and how often it finds an edge that is there. Shares have
their binomial standard errors. Nothing is written into the repository.

    python tests/benchmarks/bench_evidence.py                                # all parts at full size: about an hour
    python tests/benchmarks/bench_evidence.py --part dsr --sweeps 300        # one part
    python tests/benchmarks/bench_evidence.py --sweeps 2                     # a look

| part | simulation |
| --- | --- |
| dsr | searches of random walks: the share of winners whose deflated Sharpe ratio reaches the level of a 5 % test |
| null | sweeps of 36 cells over random walks: what the leaderboard lets pass |
| planted | the same where one of three assets trends: what it finds |
| edge | one search with a confirmed edge: what the evidence says of it |
| shift | the shift test of the winner's timing on markets that rise, and on markets that can be timed |
| permutation | the search repeated on permuted bars: random walks, martingales whose volatility clusters or has a daily pattern, a drift |
| windows | sweeps whose tests are a year or three months long: which of them comes first, and with how many trades |
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from backtune.spec import Execution
from simulations import calibration
from simulations.calibration import Calibration, search_walk
from simulations.confirmed_edge import SAMPLERS, edge_row
from simulations.null_sweeps import NullFigures, null_sweep
from simulations.permutations import MARKETS, WITHOUT_EDGE, PermutationFigures, permuted_outcome
from simulations.planted_sweeps import PlantedFigures, planted_sweep
from simulations.searches import FREE, SearchOutcome
from simulations.shares import Share
from simulations.short_windows import ShortWindowFigures, short_window_sweep
from simulations.sweep_rows import Row
from simulations.timing import TimingFigures, timing_rows

# The number of markets of each part at full size.
FULL = {"dsr": 300, "null": 60, "planted": 32, "edge": 4, "shift": 200, "permutation": 140, "windows": 32}

Run = Callable[[Callable[[int], Any]], list[Any]]


def main() -> None:
    """Simulate the chosen parts and print their tables."""
    chosen = _arguments()
    # A fresh interpreter for each worker: threads of Polars do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(chosen.processes, mp_context=context) as pool:
        for part in chosen.part:
            n_markets = chosen.sweeps or FULL[part]
            seeds = range(chosen.seed, chosen.seed + n_markets)
            started = time.perf_counter()
            print(f"\n## {part}: {n_markets} markets, from seed {chosen.seed}\n", flush=True)
            PARTS[part](lambda simulate, seeds=seeds: list(pool.map(simulate, seeds)))
            print(f"\n{time.perf_counter() - started:.0f} s", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=FULL, default=list(FULL))
    parser.add_argument("--sweeps", type=int, help="markets of every part, instead of its own number")
    parser.add_argument("--seed", type=int, default=1, help="of the first market; the next ones count up")
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


def print_dsr(run: Run) -> None:
    """Print how often luck reaches the level of a 5 % test, by strategy and sampler."""
    _print_head(
        "strategy", "sampler", "costs", "n_independent", "mean DSR", "DSR above luck", "of these with 30 trades",
        "DSR >= 0.95", "Sidak, independent", "Sidak, distinct",
    )  # fmt: skip
    for costs, execution in (("none", FREE), ("default", Execution())):
        together: dict[str, list[SearchOutcome]] = {sampler: [] for sampler in calibration.SAMPLERS}
        for strategy in calibration.STRATEGIES:
            for sampler, of_all in together.items():
                search = partial(search_walk, strategy=strategy, sampler=sampler, execution=execution)
                outcomes = [outcome for outcome in run(search) if outcome is not None]
                _print_calibration(strategy, sampler, costs, outcomes)
                of_all.extend(outcomes)
        for sampler, of_all in together.items():
            _print_calibration("all", sampler, costs, of_all)
        _print_calibration("all", "all", costs, [one for of_all in together.values() for one in of_all])


def _print_calibration(strategy: str, sampler: str, costs: str, outcomes: Sequence[SearchOutcome]) -> None:
    found = Calibration(outcomes)
    _print_cells(
        strategy, sampler, costs, f"{found.n_independent:.0f}", f"{found.mean_dsr:.2f}", found.share_above_luck,
        found.share_above_luck_of_many_trades, found.share_above_fixed_level, found.share_by_independent_trials,
        found.share_by_distinct_trials,
    )  # fmt: skip


def print_null(run: Run) -> None:
    """Print the mistakes of leaderboards over random walks."""
    _print_head(
        "costs", "a row without warning", "first above 0", "best test above 0", "any above 0", "family p <= 0.05",
        "first has < 30 trades", "first: Sharpe out", "its haircut",
    )  # fmt: skip
    for costs in (False, True):
        found = NullFigures.of(_with_rows(run(partial(null_sweep, with_costs=costs))))
        _print_cells(
            "default" if costs else "none", found.without_warning, found.first_above_zero,
            found.best_test_above_zero, found.any_above_zero, found.family, found.first_few_trades, f"{found.first_sharpe_out:.2f}", f"{found.first_haircut:.2f}",
        )  # fmt: skip


def print_planted(run: Run) -> None:
    """Print the hits and mistakes of leaderboards over markets of which one asset trends."""
    found = PlantedFigures.of(_with_rows(run(planted_sweep)))
    _print_head(
        "first is true", "power of family p", "power of interval", "false", "first: Sharpe out", "its haircut"
    )
    _print_cells(
        found.first_is_true, found.power, found.power_of_interval, found.false, f"{found.first_sharpe_out:.2f}",
        f"{found.first_haircut:.2f}",
    )  # fmt: skip


def print_edge(run: Run) -> None:
    """Print what the evidence says of searches whose edge the test confirms."""
    _print_head("sampler", "Sharpe in", "Sharpe out, 95 %", "trades out", "n_independent", "DSR", "warnings")
    for sampler in SAMPLERS:
        for row in run(partial(edge_row, sampler=sampler)):
            out = (
                f"{row['oos_sharpe_ratio']:.1f} ({row['oos_sharpe_low']:.1f} to {row['oos_sharpe_high']:.1f})"
            )
            _print_cells(
                sampler, f"{row['is_sharpe_ratio']:.1f}", out, f"{row['oos_total_trades']:.0f}",
                f"{row['n_independent']:.0f}", f"{row['dsr']:.4f}", "; ".join(row["warnings"]) or "none",
            )  # fmt: skip


def print_shift(run: Run) -> None:
    """Print the p-values of the shift test without and with timing."""
    _print_head("market", "p <= 0.05", "mean p", "uniform, KS p", "interval above 0", "undefined")
    for name, is_planted in (("rises", False), ("rises and drifts", True)):
        rows = [row for rows in run(partial(timing_rows, is_planted=is_planted)) for row in rows]
        found = TimingFigures.of(rows)
        _print_cells(
            name, found.significant, f"{found.mean_p:.2f}", f"{found.uniformity:.3f}", found.above_zero,
            str(found.n_undefined),
        )  # fmt: skip


def print_permutation(run: Run) -> None:
    """Print how often searches pass the permutation test and the deflated Sharpe ratio."""
    _print_head("market", "permutations", "p <= 0.05", "DSR above luck")
    for market in MARKETS:
        for n in (19,) if market in WITHOUT_EDGE else (19, 39):
            outcomes = run(partial(permuted_outcome, market=market, n_permutations=n))
            found = PermutationFigures.of(outcome for outcome in outcomes if outcome is not None)
            _print_cells(market, str(n), found.permutation, found.deflated)


def print_windows(run: Run) -> None:
    """Print which test windows come first."""
    found = ShortWindowFigures.of(_with_rows(run(short_window_sweep)))
    _print_head(
        "first is short", "by Sharpe ratio in sample", "by Sharpe ratio out of sample",
        "fewer than 30 trades first, though another has 30",
    )  # fmt: skip
    _print_cells(
        found.first_is_short, found.short_by_sharpe_in, found.short_by_sharpe_out,
        found.first_has_few_trades,
    )  # fmt: skip


PARTS: dict[str, Callable[[Run], None]] = {
    "dsr": print_dsr,
    "null": print_null,
    "planted": print_planted,
    "edge": print_edge,
    "shift": print_shift,
    "permutation": print_permutation,
    "windows": print_windows,
}


def _with_rows(boards: Iterable[list[Row]]) -> list[list[Row]]:
    return [rows for rows in boards if rows]


def _print_head(*names: str) -> None:
    print(f"| {' | '.join(names)} |")
    print(f"| {' | '.join('---' for _ in names)} |")


def _print_cells(*cells: str | Share) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
