"""A worker's memory does not grow with the candidates that it evaluates.

In processes of their own, as in a worker: the garbage of other tests would hide growth, or look like it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backtune.strategy.registry import BUILT_IN

MIB = 2**20
# Arenas of the allocator fill up in steps of a MiB or so; one float leaked per bar would be hundreds.
SLACK = 4 * MIB

WORKER = """
import json, random, sys
from itertools import islice
from pathlib import Path

from backtune.data.synthetic import synthetic_bars
from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.space import Int
from backtune.spec import Execution, Objective
from backtune.strategy.registry import resolve_strategy
from backtune.validation.folds import TimeWindow
from backtune.validation.windows import search_window

strategies, n_bars, batch, marks = json.loads(sys.argv[1])
chance = random.Random(1)
bars = synthetic_bars("AAA", "1h", "1990-01-01", "2020-01-01", seed=1)[:n_bars]
window = search_window(bars, TimeWindow(int(bars.timestamp[0]), int(bars.timestamp[-1]) + 1))
objectives = (Objective(metric="sharpe_ratio"),)
scorers = [CandidateScorer(resolve_strategy(name), Execution()) for name in strategies]
evaluators = [WindowEvaluator(scorer, window, objectives) for scorer in scorers]
spaces = [scorer.strategy.load().space() for scorer in scorers]


def candidate(space):
    draws = {name: (chance.randint if isinstance(p, Int) else chance.uniform) for name, p in space.items()}
    return {name: draw(space[name].low, space[name].high) for name, draw in draws.items()}


def kibibytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


number, seen = 0, []
for mark in marks:
    while number < mark:
        for evaluator, space in zip(evaluators, spaces):
            for trial in evaluator.evaluate([(number + i, candidate(space)) for i in range(batch)]):
                assert trial.state != "failed", trial.reason
                number += 1
    seen.append({"resident": 1024 * kibibytes("VmRSS"), "peak": 1024 * kibibytes("VmHWM")})
print(json.dumps(seen))
"""


def memory(n_bars: int, batch: int, marks: list[int], strategies: list[str]) -> list[dict[str, int]]:
    """Resident and peak bytes of a process after each number of candidates."""
    task = json.dumps([strategies, n_bars, batch, marks])
    done = subprocess.run([sys.executable, "-c", WORKER, task], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
class TestMemory:
    def test_stays_flat_over_five_thousand_candidates(self) -> None:
        early, late = memory(500, 4, [1_000, 5_000], list(BUILT_IN))
        assert late["resident"] - early["resident"] < SLACK

    @pytest.mark.slow
    def test_stays_flat_over_a_hundred_thousand_candidates(self) -> None:
        early, late = memory(300, 16, [10_000, 100_000], list(BUILT_IN))
        assert late["resident"] - early["resident"] < SLACK

    @pytest.mark.parametrize(
        "strategy",
        [pytest.param(name, marks=() if name == "RSIStrategy" else pytest.mark.slow) for name in BUILT_IN],
    )
    def test_a_batch_takes_less_than_a_column_for_each_candidate(self, strategy: str) -> None:
        n_bars = 200_000
        one, many = memory(n_bars, 64, [64, 256], [strategy])
        before, after = memory(n_bars, 1, [1], [strategy])[0], many
        assert after["peak"] - before["peak"] < 64 * n_bars * 8 / 2
        assert many["resident"] - one["resident"] < SLACK
