"""Candidates per second: ours beside one Ray Tune trial per candidate with OptunaSearch, on the same kernel.

Real bars from ../shared where they are, else a synthetic market. Outputs are compared before anything is timed: the
same candidate must have the same value on both sides. Ratios come from one run on one machine.

    python tests/benchmarks/bench_search.py            # the grid of jobs/crypto.yaml with tpe, cma-es and nsga2
    python tests/benchmarks/bench_search.py --peer 60  # candidates given to the peer
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import polars as pl

from backtune.data.ingest import import_bars
from backtune.data.synthetic import make_market
from backtune.objective import search_window
from backtune.search.plan import studies_of
from backtune.search.tune import Cluster, connected
from backtune.spec import SweepSpec
from backtune.sweep import Options, run_sweep

SHARED = Path(__file__).parents[3] / "shared" / "market" / "bars_1m"
ASSETS = ("BTCUSD", "ETHUSD", "LTCUSD")
SEARCHES = {
    "tpe": {"sampler": "tpe", "objectives": ["sharpe_ratio"]},
    "cma-es": {"sampler": "cma-es", "objectives": ["sharpe_ratio"]},
    "nsga2": {"sampler": "nsga2", "objectives": ["sharpe_ratio", "-max_drawdown"]},
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=200, help="per study, ours")
    arguments.add_argument("--peer", type=int, default=100, help="candidates of the peer, in one study")
    chosen = arguments.parse_args()
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = _market(folder / "market")
        print(f"bars: {source}; {len(os.sched_getaffinity(0))} cpus")
        run_sweep(
            _spec(folder, "warm", SEARCHES["tpe"], 2), folder / "warm", Options("inline", tracking=False)
        )
        ours = {}
        for sampler, search in SEARCHES.items():
            ours[sampler] = _ours(_spec(folder, sampler, search, chosen.trials), folder / "runs")
        peer = _peer(_spec(folder, "peer", SEARCHES["tpe"], chosen.peer), chosen.peer, folder)
        print(f"\n{'search':34} {'candidates':>10} {'seconds':>8} {'per second':>10} {'x peer':>7}")
        for sampler, (n, seconds, start) in ours.items():
            _line(f"ours, {sampler}, 36 studies, 2 workers", n, seconds, peer)
            _line("  with Ray's start and end", n, start, peer)
        _line("one Tune trial per candidate, tpe", *peer, peer)


def _market(root: Path) -> str:
    if SHARED.is_dir():
        import_bars([str(SHARED)], str(root))
        return "Bitfinex one-minute candles 2018-2019 (BTCUSD, ETHUSD, LTCUSD)"
    make_market(str(root), assets=ASSETS, timeframe="1m", start="2018-01-01", end="2020-01-01", seed=1)
    return "synthetic one-minute bars, two years"


def _spec(folder: Path, name: str, search: dict, trials: int) -> SweepSpec:
    return SweepSpec.parse(
        {
            "name": name,
            "data": {"root": str(folder / "market"), "start": "2018-01-01", "end": "2020-01-01"},
            "grid": {
                "strategies": [
                    "MovingAverageCrossover",
                    "RSIStrategy",
                    "MACDStrategy",
                    "BollingerBandsStrategy",
                ],
                "assets": list(ASSETS),
                "timeframes": ["15m", "1h", "4h"],
            },
            "search": {**search, "trials": trials, "seed": 7, "constraints": {"total_trades": ">= 30"}},
        }
    )


def _ours(spec: SweepSpec, runs: Path) -> tuple[int, float, float]:
    """Candidates, seconds from the first unit to the last row, and seconds with Ray's start and end."""
    begin = time.perf_counter()
    with connected(Cluster(workers=2)):
        started = time.perf_counter()
        result = run_sweep(spec, runs, Options(tracking=False))
        seconds = time.perf_counter() - started
    whole = time.perf_counter() - begin
    assert result.exit_status == 0, result.failures()
    return result.trials().height, seconds, whole


def _peer(spec: SweepSpec, n_trials: int, folder: Path) -> tuple[int, float]:
    """The usual way: Tune asks OptunaSearch for every candidate, and an actor (reused) evaluates it."""
    warnings.simplefilter("ignore")
    study = next(s for s in studies_of(spec) if s.bars.timeframe == "15m" and s.bars.asset == "BTCUSD")
    _check_equal_values(spec, study, folder)
    with connected(Cluster(workers=2)) as connection:
        from ray import tune
        from ray.tune.search.optuna import OptunaSearch

        def evaluate(config: dict) -> dict:
            window = search_window(study.bars.load(), study.fold.train)
            (trial,) = study.objective.trials([(0, dict(config))], window)
            return {"value": trial.values[0]}

        search = OptunaSearch(
            space={name: tune.randint(p.low, p.high + 1) for name, p in study.space.items()},
            metric="value", mode="max", seed=7,
        )  # fmt: skip
        tuner = tune.Tuner(
            tune.with_resources(evaluate, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=search, num_samples=n_trials, max_concurrent_trials=2, reuse_actors=True
            ),
            run_config=tune.RunConfig(name="peer", storage_path=str(connection.scratch), verbose=0),
        )
        started = time.perf_counter()
        results = tuner.fit()
        seconds = time.perf_counter() - started
    assert len(results) == n_trials
    return n_trials, seconds


def _check_equal_values(spec: SweepSpec, study, folder: Path) -> None:
    result = run_sweep(spec, folder / "equal", Options("inline", tracking=False))
    log = result.trials(study.id)
    window = search_window(study.bars.load(), study.fold.train)
    for row in log.sample(10, seed=1).iter_rows(named=True):
        params = {name: row[f"params_{name}"] for name in study.space}
        (trial,) = study.objective.trials([(0, params)], window)
        assert trial.values == (row["values_0"],)
    assert log.filter(pl.col("state") == "complete").height > 0


def _line(what: str, n: int, seconds: float, peer: tuple[int, float]) -> None:
    rate = n / seconds
    print(f"{what:34} {n:10,} {seconds:8.1f} {rate:10,.0f} {rate / (peer[0] / peer[1]):7.1f}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
