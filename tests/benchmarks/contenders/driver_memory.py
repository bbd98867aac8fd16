"""The most memory that a driver had, in a process of its own: ``driver_memory.py MARKET CONTENDER TRIALS``.

Writes a line of JSON: candidates, and bytes above what the process had when Ray was connect_to_ray.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

from backtune.search.executors.ray_tune import RayTarget, connect_to_ray
from backtune.sweep import Options, run_sweep
from contenders import tune_trials
from contenders.processes import peak_bytes, resident_bytes
from contenders.setting import Setting

# Memory of the driver does not depend on the number of bars: few, so that the sweep can be long.
TIMEFRAMES = ("1h", "2h", "4h")
# Two budgets of a study for each contender: what lies between is the candidates' own.
TRIALS = {"backtune": (300, 2000), "one Tune trial per candidate": (100, 400)}


def main(market: str, contender: str, trials: int) -> None:
    """Run one contender and print what it took."""
    setting = Setting(Path(market), TIMEFRAMES, trials, backend="rustuna")
    with tempfile.TemporaryDirectory() as folder, connect_to_ray(RayTarget(workers=2)) as connection:
        before = resident_bytes()
        if contender == "backtune":
            run_sweep(setting.spec, folder, Options(tracking=False, on_progress=lambda _: None))
            n_candidates = trials * len(setting.studies())
        else:
            warnings.simplefilter("ignore")
            tune_trials.fit(setting.studies()[0], trials, 8, connection)
            n_candidates = trials
        print(json.dumps({"n_candidates": n_candidates, "bytes": peak_bytes() - before}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
