"""Checks the permutation test of a search: how often it is fooled by luck, and how often it sees what is there.

Markets without an edge are random walks, and GARCH martingales whose volatility clusters; planted ones drift up or down for
some hundred bars at a time. Each is searched as a user would, without costs, and its search is repeated on permuted bars.

    python tests/benchmarks/bench_permutations.py                                     # an hour of one core
    python tests/benchmarks/bench_permutations.py --kinds walk --markets 20 --trials 50
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from backtune.data.catalog import Catalog
from backtune.results.permutations import permutation_p
from backtune.spec import SweepSpec
from backtune.sweep import Options, run_sweep

HOUR = 3_600_000_000
VOLATILITY = 0.01
N_BARS = 3_000
LEVEL = 0.05


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kinds", nargs="+", choices=list(RETURNS), default=list(RETURNS))
    arguments.add_argument("--timeframe", choices=["1h", "1d"], default="1h")
    arguments.add_argument("--strategy", default="MovingAverageCrossover")
    arguments.add_argument("--sampler", default="tpe")
    arguments.add_argument("--markets", type=int, default=140)
    arguments.add_argument("--trials", type=int, default=150)
    arguments.add_argument("--permutations", type=int, default=19)
    arguments.add_argument(
        "--edge", type=float, default=0.12, help="drift of planted markets, in deviations a bar"
    )
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    print(
        f"{options.strategy}, {options.sampler}, {options.trials} trials, {options.permutations} permutations"
    )
    for kind in options.kinds:
        started = time.process_time()
        p, dsr = examine(kind, options)
        seconds = time.process_time() - started
        n_low = int((p <= LEVEL).sum())
        print(
            f"{kind:<8} {options.timeframe}: p <= {LEVEL} in {n_low} of {len(p)} ({n_low / len(p):.3f}), "
            f"mean p {p.mean():.2f}, DSR >= 0.95 in {(dsr >= 0.95).mean():.3f}, "
            f"DSR 95 % quantile {np.quantile(dsr, 0.95):.2f}, {seconds:.0f} s of one core",
            flush=True,
        )
        for threshold in (0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
            print(f"         DSR >= {threshold}: {(dsr >= threshold).mean():.3f}", flush=True)


def examine(kind: str, options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_markets,) p-values of the permutation test, and (n_markets,) deflated Sharpe ratios."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "market")
        catalog = Catalog.open_or_create(root)
        names = [f"M{k:03d}" for k in range(options.markets)]
        for k, name in enumerate(names):
            random = np.random.default_rng([options.seed, k])
            catalog.write(
                name, options.timeframe, frame_of(RETURNS[kind](random, options.edge), options.timeframe)
            )
        spec = SweepSpec.parse(
            {
                "name": kind,
                "data": {"root": str(root)},
                "grid": {"strategies": [options.strategy], "assets": names, "timeframes": [options.timeframe]},
                "search": {"trials": options.trials, "sampler": options.sampler},
                "execution": {"fee_bps": 0, "slippage_bps": 0},
                "validation": {
                    "method": "none", "permutations": options.permutations, "permuted_rows": options.markets,
                },
            }
        )  # fmt: skip
        result = run_sweep(spec, Path(folder, "runs"), Options(executor="inline", tracking=False))
        if result.exit_status != 0:
            raise SystemExit("stopped before all permuted searches were finished")
        tests = [permutation_p(result.run, [study]) for study in result.run.studies]
        dsr = [row.evidence.dsr or 0.0 for row in result.rows()]
        return np.array([test.p for test in tests if test is not None]), np.array(dsr)


def walk(random: np.random.Generator, _edge: float) -> np.ndarray:
    """(n_bars,) returns of a random walk with normal steps."""
    return np.asarray(VOLATILITY * random.standard_normal(N_BARS))


def garch(random: np.random.Generator, _edge: float) -> np.ndarray:
    """(n_bars,) returns of a GARCH(1,1) martingale with t-distributed shocks; volatility halves over some thirty bars."""
    shocks = random.standard_t(5, N_BARS) / np.sqrt(5 / 3)
    returns, variance = np.empty(N_BARS), 1.0
    for k, shock in enumerate(shocks):
        returns[k] = np.sqrt(variance) * shock
        variance = 0.03 + 0.1 * returns[k] ** 2 + 0.87 * variance
    return np.asarray(VOLATILITY * returns)


def planted(random: np.random.Generator, edge: float) -> np.ndarray:
    """(n_bars,) returns with a drift whose sign switches once in a hundred bars."""
    switches = random.random(N_BARS) < 0.01
    sign = np.where(np.cumsum(switches) % 2, -1.0, 1.0)
    return np.asarray(VOLATILITY * (random.standard_normal(N_BARS) + edge * sign))


RETURNS = {"walk": walk, "garch": garch, "planted": planted}


def frame_of(returns: np.ndarray, timeframe: str) -> pl.DataFrame:
    """Bars without gaps that each open at the close before."""
    close = 100.0 * np.exp(np.cumsum(returns))
    open_ = np.concatenate([[100.0], close[:-1]])
    step = HOUR if timeframe == "1h" else 24 * HOUR
    return pl.DataFrame(
        {
            "timestamp": pl.Series(1_577_836_800_000_000 + step * np.arange(len(close))).cast(
                pl.Datetime("us", "UTC")
            ),
            "open": open_,
            "high": np.maximum(open_, close),
            "low": np.minimum(open_, close),
            "close": close,
            "volume": 1.0,
        }
    )


if __name__ == "__main__":
    main()
