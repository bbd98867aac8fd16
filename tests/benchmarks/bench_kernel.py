"""Nanoseconds per bar and candidate: ours beside a plain fused Numba loop, vectorbt with its Rust engine and backtesting.py.

Every contender runs in a process of its own with one thread, compiled before it is timed; ours and the plain loop are
also timed in turns in one process, and those are the times shown. Outputs are compared before a time counts: final
equity, Sharpe ratio, maximum drawdown and number of trades of every candidate. A contender that disagrees gets no ratio.
docs/benchmarks.md keeps the table and says under which costs the peers can agree.

    python tests/benchmarks/bench_kernel.py                                    # all strategies, 1h, 5m and 1m
    python tests/benchmarks/bench_kernel.py --strategies MovingAverageCrossover --timeframes 5m
"""

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backtune.data.bars import Bars
from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars
from backtune.data.synthetic import make_market
from backtune.space import Float, Int, Space
from backtune.strategy.registry import StrategyFactory

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
SHARED = ROOT.parent / "shared" / "market" / "bars_1m" / "BTCUSD_1m_2018_2019.parquet"
STRATEGIES = ("MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy")
ONE_THREAD = dict.fromkeys(
    (
        "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)  # fmt: skip
OURS = "backtune"


@dataclass(frozen=True)
class Script:
    """One process: a script, and what its contenders are told.

    Attributes:
        execution: costs under which its figures can equal ours.
        tolerance: relative, of every compared figure.
        n_candidates: how many of the candidates that keep some equity it is given.
        batch: candidates in one call, where it takes several.
    """

    file: str
    contenders: tuple[str, ...]
    execution: dict[str, float]
    tolerance: float
    n_candidates: int = 0
    batch: int = 1


FULL_COSTS = {"initial_cash": 10_000.0, "size": 1.0, "fee_bps": 10.0, "slippage_bps": 2.0}
HERE = Script("run_here.py", (OURS, "backtune, 64 at a time", "plain loop"), FULL_COSTS, 1e-9, batch=4)
VECTORBT = Script(
    "run_vectorbt.py",
    ("vectorbt", "vectorbt, 4 metrics", "vectorbt, batched"),
    {**FULL_COSTS, "size": 0.5, "fee_bps": 0.5, "slippage_bps": 0.0},
    1e-6,
    n_candidates=16,
    batch=4,
)
BACKTESTING = Script(
    "run_backtesting.py",
    ("backtesting.py",),
    {**FULL_COSTS, "size": 0.5, "slippage_bps": 0.0, "fee_bps": 0.0},
    1e-6,
    n_candidates=2,
)


_RUINED = -1.0 + 1e-6


@dataclass(frozen=True)
class Case:
    """Candidates of one strategy on bars that are also in a file."""

    strategy: str
    bars: Bars
    path: Path
    candidates: list[dict[str, Any]]


@dataclass(frozen=True)
class Line:
    """One line of the table; ``seconds`` per candidate, None where figures are not equal."""

    contender: str
    seconds: float
    worst: float
    equal: bool
    first_seconds: float
    peak_bytes: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    arguments.add_argument("--timeframes", nargs="+", default=("1h", "5m", "1m"))
    arguments.add_argument("--candidates", type=int, default=64)
    arguments.add_argument("--repetitions", type=int, default=5, help="of ours and the plain loop")
    arguments.add_argument("--peers", type=Path, default=ROOT / ".venv-peers" / "bin" / "python")
    chosen = arguments.parse_args()
    scripts = [VECTORBT, BACKTESTING] if chosen.peers.exists() else []
    if not scripts:
        print(f"no peers: {chosen.peers} is not there; make bench-kernel installs it")
    with tempfile.TemporaryDirectory() as name:
        source, all_bars = _all_bars(Path(name), chosen.timeframes)
        print(f"{source}; {_machine()}\n")
        print(
            "| strategy | timeframe | bars | contender | ns per bar | million bars per second | times ours | first result, s | peak, MiB |"
        )
        print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
        versions: dict[str, str] = {}
        for strategy in chosen.strategies:
            for path, bars in all_bars.items():
                case = Case(strategy, bars, path, _candidates(strategy, chosen.candidates))
                _print_lines(case, _lines(case, scripts, chosen, versions))
    print("\n" + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))


def _lines(
    case: Case, scripts: list[Script], chosen: argparse.Namespace, versions: dict[str, str]
) -> list[Line]:
    """Ours first, then the others, compared with ours under the costs of each."""
    here = _run(HERE, case, sys.executable, repetitions=chosen.repetitions)
    expected = here["measured"][OURS]["results"]
    lines = [
        _line(name, _run(HERE, case, sys.executable, contenders=(name,)), here, HERE, expected)
        for name in HERE.contenders
    ]
    versions.update(here["versions"])
    for script in scripts:
        ours = _run(HERE, case, sys.executable, execution=script.execution, contenders=(OURS,))
        expected = ours["measured"][OURS]["results"]
        # The peers have no rule for ruin.
        solvent = [i for i, row in enumerate(expected) if row[0] > _RUINED][: script.n_candidates]
        if not solvent:
            sys.exit(
                f"{script.file}: no candidate of {case.strategy} keeps any equity on {case.bars.timeframe}"
            )
        survivors = replace(case, candidates=[case.candidates[i] for i in solvent])
        theirs = _run(script, survivors, str(chosen.peers), repetitions=1)
        versions.update(theirs["versions"])
        expected = [expected[i] for i in solvent]
        lines += [_line(name, theirs, theirs, script, expected) for name in script.contenders]
    return lines


def _line(contender: str, alone: dict, timed: dict, script: Script, ours: list[list[float]]) -> Line:
    measured = timed["measured"][contender]
    worst = max(
        _difference(a, b)
        for row, expected in zip(measured["results"], ours, strict=True)
        for a, b in zip(row, expected, strict=True)
    )
    return Line(
        contender,
        statistics.median(measured["seconds"]),
        worst,
        worst <= script.tolerance,
        alone["first_seconds"],
        alone["peak_bytes"],
    )


def _print_lines(case: Case, lines: list[Line]) -> None:
    ours = lines[0]
    for line in lines:
        nanoseconds = line.seconds / len(case.bars) * 1e9
        times, rate = f"{nanoseconds:.2f}", f"{1e3 / nanoseconds:,.1f}"
        ratio = f"{line.seconds / ours.seconds:,.1f}"
        if not line.equal:
            times, rate, ratio = "not equal", f"({line.worst:.0e})", "-"
        print(
            f"| {case.strategy} | {case.bars.timeframe} | {len(case.bars):,} | {line.contender} | {times} | {rate} "
            f"| {ratio} | {line.first_seconds:.2f} | {line.peak_bytes / 2**20:,.0f} |",
            flush=True,
        )


def _run(
    script: Script,
    case: Case,
    python: str,
    *,
    execution: dict[str, float] | None = None,
    contenders: tuple[str, ...] | None = None,
    repetitions: int = 0,
) -> dict:
    """The report of one process.

    Args:
        execution: costs, where they are not the script's own.
        repetitions: 0 for figures alone.
    """
    task = {
        "bars": str(case.path),
        "timeframe": str(case.bars.timeframe),
        "bars_per_year": case.bars.bars_per_year,
        "strategy": case.strategy,
        "candidates": case.candidates,
        "execution": execution or script.execution,
        "contenders": contenders or script.contenders,
        "repetitions": repetitions,
        "batch": script.batch,
    }
    done = subprocess.run(
        [python, str(PEERS / script.file)],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ONE_THREAD},
    )
    if done.returncode != 0:
        sys.exit(f"{script.file} failed on {case.strategy} {case.bars.timeframe}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _difference(a: float, b: float) -> float:
    """Relative to the larger; two undefined figures are equal."""
    if math.isnan(a) or math.isnan(b):
        return 0.0 if math.isnan(a) and math.isnan(b) else math.inf
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0


def _candidates(strategy: str, n: int) -> list[dict[str, Any]]:
    """``n`` distinct ones, the same in every run."""
    space = StrategyFactory.get(strategy).space()
    chance = random.Random(7)  # noqa: S311
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    while len(found) < n:
        params = _sample(space, chance)
        found[tuple(params.values())] = params
    return list(found.values())


def _sample(space: Space, chance: random.Random) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, parameter in space.items():
        assert isinstance(parameter, Int | Float)
        draw = chance.randint if isinstance(parameter, Int) else chance.uniform
        params[name] = draw(parameter.low, parameter.high)
    return params


def _all_bars(folder: Path, timeframes: list[str]) -> tuple[str, dict[Path, Bars]]:
    """Where the bars come from, and the bars of each timeframe by the file that the contenders read."""
    root = str(folder / "market")
    if SHARED.exists():
        import_bars([str(SHARED)], root)
        source, asset = "Bitfinex BTCUSD candles 2018-2019", "BTCUSD"
    else:
        make_market(root, assets=["AAA"], timeframe="1m", start="2018-01-01", end="2020-01-01", seed=1)
        source, asset = "synthetic bars, two years", "AAA"
    all_bars = {}
    for timeframe in timeframes:
        path = folder / f"{timeframe}.parquet"
        bars = load_bars(root, asset, timeframe)
        bars.to_frame().write_parquet(path)
        all_bars[path] = bars
    return source, all_bars


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, one used"


if __name__ == "__main__":
    main()
