"""What early stopping gains and loses: the same searches with and without it, on real bars.

Each study is searched three times in turn, in one process: without early stopping; with it, to the same number of
trials; with it, until the processor time of the first is spent. The loss and the gain are of the best value in the train
window. The bars are those of ../shared where they are, else a synthetic market.

    python tests/benchmarks/bench_early_stopping.py                       # some minutes
    python tests/benchmarks/bench_early_stopping.py --timeframes 1m --trials 100 --seeds 2
    python tests/benchmarks/bench_early_stopping.py --settings '{"rungs": [0.5]}' '{"rungs": [0.1, 0.3], "top": 0.1}'
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backtune.data.ingest.importer import import_bars
from backtune.data.synthetic import make_market
from backtune.results.log.summary import StudySummary
from backtune.search.planning.plan import plan_studies
from backtune.search.study_loop.study import Study, run_study
from backtune.spec import EarlyStopping, SweepSpec

SHARED = Path(__file__).parents[3] / "shared" / "market" / "bars_1m"
ASSETS = ("BTCUSD", "ETHUSD", "LTCUSD")
STRATEGIES = ("MovingAverageCrossover", "BollingerBandsStrategy", "RSIStrategy")
# Far more than any of the searches reaches in the time it has.
ENDLESS = 1_000_000


@dataclass(frozen=True)
class Comparison:
    """One study with and without early stopping; values are to be maximized.

    Attributes:
        time_share: processor time with it, of that without it, for the same number of trials.
        stopped_share: of the trials.
        at_equal_trials, at_equal_time: best value with it less that without it.
        trials_at_equal_time: how many trials it made, of those without it.
    """

    time_share: float
    stopped_share: float
    at_equal_trials: float
    at_equal_time: float
    trials_at_equal_time: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=200)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--timeframes", nargs="+", default=["1h", "5m"])
    arguments.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    arguments.add_argument("--sampler", default="tpe")
    arguments.add_argument("--settings", nargs="+", type=json.loads, default=[{}])
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"bars: {_market(folder / 'market')}")
        print(
            f"{chosen.sampler}, {chosen.trials} trials, {len(ASSETS)} assets x {chosen.seeds} seeds a line\n"
        )
        for setting in chosen.settings:
            stopping = EarlyStopping(**setting)
            print(f"`{json.dumps(stopping.model_dump(mode='json'))}`\n")
            _table(folder, chosen, stopping)


def _market(root: Path) -> str:
    if SHARED.is_dir():
        import_bars([str(SHARED)], str(root))
        return "Bitfinex one-minute candles 2018-2019 (BTCUSD, ETHUSD, LTCUSD)"
    make_market(str(root), assets=ASSETS, timeframe="1m", start="2018-01-01", end="2020-01-01", seed=1)
    return "synthetic one-minute bars, two years"


def _table(folder: Path, chosen: argparse.Namespace, stopping: EarlyStopping) -> None:
    print(
        "| strategy | timeframe | stopped | time, same trials | best, same trials | worst | trials, same time "
        "| best, same time | better : equal : worse |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for timeframe in chosen.timeframes:
        for strategy in chosen.strategies:
            studies = _studies(folder / "market", chosen, strategy, timeframe)
            _line(strategy, timeframe, [_compared(study, stopping, folder) for study in studies])
    print()


def _studies(market: Path, chosen: argparse.Namespace, strategy: str, timeframe: str) -> list[Study]:
    document = {
        "name": "early stopping",
        "data": {"root": str(market), "start": "2018-01-01", "end": "2020-01-01"},
        "grid": {"strategies": [strategy], "assets": list(ASSETS), "timeframes": [timeframe]},
        "search": {
            "sampler": chosen.sampler,
            "trials": chosen.trials,
            "constraints": {"total_trades": ">= 30"},
        },
    }
    specs = [
        SweepSpec.parse({**document, "search": {**document["search"], "seed": seed}})
        for seed in range(chosen.seeds)
    ]
    return [study for spec in specs for study in plan_studies(spec)]


def _compared(study: Study, stopping: EarlyStopping, folder: Path) -> Comparison:
    # Reads the bars and compiles outside the clock.
    _searched(_with(study, stopping, trials=4), folder)
    plain, plain_seconds = _searched(study, folder)
    stopped, stopped_seconds = _searched(_with(study, stopping, study.search.trials), folder)
    spent = time.process_time() + plain_seconds
    longer, _ = _searched(_with(study, stopping, ENDLESS), folder, lambda: time.process_time() >= spent)
    return Comparison(
        time_share=stopped_seconds / plain_seconds,
        stopped_share=stopped.n_stopped / stopped.n_trials,
        at_equal_trials=_best(stopped) - _best(plain),
        at_equal_time=_best(longer) - _best(plain),
        trials_at_equal_time=longer.n_trials / plain.n_trials,
    )


def _with(study: Study, stopping: EarlyStopping, trials: int) -> Study:
    search = study.search.model_copy(update={"early_stopping": stopping, "trials": trials})
    return replace(study, search=search)


def _searched(
    study: Study, folder: Path, stop: Callable[[], bool] = lambda: False
) -> tuple[StudySummary, float]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        started = time.process_time()
        assert not list(run_study(study, Path(name), stop)), "a study without peers has to wait for none"
        seconds = time.process_time() - started
        summary = StudySummary.read(Path(name))
        assert summary is not None
        return summary, seconds


def _best(summary: StudySummary) -> float:
    return summary.winners[0].values[0]


def _line(strategy: str, timeframe: str, found: list[Comparison]) -> None:
    def mean(name: str) -> float:
        return statistics.fmean(getattr(one, name) for one in found)

    signs = np.sign([round(one.at_equal_time, 2) for one in found]).tolist()
    print(
        f"| {strategy} | {timeframe} | {mean('stopped_share'):.0%} | {mean('time_share'):.2f} "
        f"| {mean('at_equal_trials'):+.3f} | {min(one.at_equal_trials for one in found):+.3f} "
        f"| {mean('trials_at_equal_time'):.2f} | {mean('at_equal_time'):+.3f} "
        f"| {signs.count(1)} : {signs.count(0)} : {signs.count(-1)} |"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
