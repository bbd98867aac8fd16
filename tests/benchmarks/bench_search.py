"""The search: ours beside one Ray Tune trial per candidate and beside Optuna in one process, on the same kernel.

Real bars, TPE, the same studies, seeds and budgets. Outputs are compared before anything is timed, and all ratios come
from one run. docs/benchmarks.md keeps the tables and says what they mean.

    python tests/benchmarks/bench_search.py
    python tests/benchmarks/bench_search.py --trials 100 --timeframes 5m --peer-studies 2 --skip memory   # a look
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from contenders import bare, driver_memory, optuna_alone, ours, tables, tune_trials
from contenders.ours import UnitRecord
from contenders.setting import CATALOG, STRATEGIES, Finding, Setting, market, name_of

from backtune.search.study_loop.study import Study
from backtune.sweep import Options, run_sweep

HERE = Path(__file__).parent
N_SEEDS = 10
BACKENDS = ("rustuna", "optuna")
PARTS = ("peers", "optuna", "seeds", "shares", "bare", "memory")


def main() -> None:
    """Compare outputs, measure, print."""
    chosen = _arguments()
    # Other processes import the contenders by name.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = market(chosen.data, folder)
        if root is None:
            print(
                f"skipped: no real bars, neither a catalog in {chosen.data} nor candles beside the repository"
            )
            return
        setting = Setting(
            root, tuple(chosen.timeframes), chosen.trials, chosen.seed, "rustuna", tuple(chosen.strategies)
        )
        studies = setting.studies()
        common = [s for s in studies if s.bars.timeframe == chosen.timeframes[-1]][: chosen.peer_studies]
        tables.print_setting(studies, common, chosen.trials)
        _check_equal_values(common, replace(setting, trials=40), folder / "values")
        _check_equal_rows(replace(setting, trials=40), folder / "rows")
        _run_all(setting, common, folder, set(chosen.skip))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=CATALOG, help="a catalog with the three assets")
    parser.add_argument(
        "--timeframes",
        nargs="+",
        default=["3m", "4m", "6m", "8m", "10m", "5m"],
        help="the last is the peers'",
    )
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--trials", type=int, default=500, help="per study")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--peer-studies", type=int, default=12, help="how many studies of the last timeframe")
    parser.add_argument("--skip", nargs="*", default=[], choices=PARTS)
    return parser.parse_args()


def _run_all(setting: Setting, common: Sequence[Study], folder: Path, skip: set[str]) -> None:
    backends = BACKENDS[:1] if "optuna" in skip else BACKENDS
    found: dict[str, Finding] = {}
    for backend in backends:
        found.update(_both_widths(replace(setting, backend=backend), folder))
    if "peers" not in skip:
        found["Optuna in one process"] = optuna_alone.run(common)
        found[tables.PEER], tried = tune_trials.run(common, workers=2)
        tables.print_open_trials(tried)
    tables.print_rates(found)
    tables.print_best(found, [name_of(study) for study in common])
    if "seeds" not in skip:
        tables.print_best_over_seeds(_gains(setting, common, backends, folder), N_SEEDS)
    tables.print_cpu(found)
    if "shares" not in skip:
        tables.print_shares(
            {backend: _timed_units(replace(setting, backend=backend), folder) for backend in backends}
        )
    if "bare" not in skip:
        tables.print_bare({n: bare.rate(setting.studies(), processes=n) for n in (1, 2)})
    if "memory" not in skip:
        tables.print_memory({name: _driver_memory(setting.market, name) for name in driver_memory.TRIALS})


def _gains(
    setting: Setting, common: Sequence[Study], backends: Sequence[str], folder: Path
) -> dict[str, list[float]]:
    """By how much ours is above Optuna in one process, by backend, for every common study and seed."""
    timeframes, names = (common[0].bars.timeframe,), {name_of(study) for study in common}
    gains: dict[str, list[float]] = {backend: [] for backend in backends}
    for seed in range(1, N_SEEDS + 1):
        seeded = replace(setting, seed=seed, timeframes=timeframes)
        studies = [study for study in seeded.studies() if name_of(study) in names]
        theirs = optuna_alone.run(studies).best
        for backend in backends:
            one = replace(seeded, backend=backend)
            options = Options("inline", tracking=False)
            _, best = ours.outcome(run_sweep(one.spec, folder / f"{backend}-{seed}", options), one)
            gains[backend] += [best[name] - value for name, value in theirs.items()]
    return gains


def _both_widths(setting: Setting, folder: Path) -> dict[str, Finding]:
    """A sweep on one worker and on two, whose rows must be equal."""
    one, alone, _ = ours.run(setting, folder / f"{setting.backend}-1", workers=1)
    two, together, _ = ours.run(setting, folder / f"{setting.backend}-2", workers=2)
    assert ours.rows(alone).equals(ours.rows(together)), "rows depend on the number of workers"
    return {tables.our_name(setting.backend, 1): one, tables.our_name(setting.backend, 2): two}


def _timed_units(setting: Setting, folder: Path) -> list[UnitRecord]:
    _, _, units = ours.run(setting, folder / f"{setting.backend}-timed", workers=2, timed=True)
    return units


def _check_equal_values(studies: Sequence[Study], setting: Setting, folder: Path) -> None:
    """A candidate has the same value whoever evaluates it: in a batch of ours, or alone as the peers do it."""
    result = run_sweep(setting.spec, folder, Options("inline", tracking=False))
    for study in studies:
        for row in result.trials(study.id).iter_rows(named=True):
            params = {name: row[f"params_{name}"] for name in study.space}
            trial = tune_trials.evaluated(study, params)
            assert (trial.state, trial.values) == (row["state"], (row["values_0"],)), (study.id, params)


def _check_equal_rows(setting: Setting, folder: Path) -> None:
    """The rows of a sweep are the same in this process and on one or two workers."""
    inline = ours.rows(run_sweep(setting.spec, folder / "inline", Options("inline", tracking=False)))
    for workers in (1, 2):
        _, result, _ = ours.run(setting, folder / str(workers), workers=workers)
        assert ours.rows(result).equals(inline), f"rows differ with {workers} workers"


def _driver_memory(root: Path, contender: str) -> list[tuple[int, int]]:
    """Candidates and bytes of the driver, for a shorter and a longer sweep, each in a process of its own."""
    measured = []
    for trials in driver_memory.TRIALS[contender]:
        command = [sys.executable, driver_memory.__file__, str(root), contender, str(trials)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        measured.append((found["n_candidates"], found["bytes"]))
    return measured


if __name__ == "__main__":
    main()
