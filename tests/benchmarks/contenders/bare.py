"""Ours without Ray, in plain processes at once: what this machine has to give."""

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from backtune.search.executors.unit import UnitContext, run_unit
from backtune.search.study_loop.study import Study


def rate(studies: Sequence[Study], *, processes: int) -> float:
    """Candidates per second of so many processes, each running all the studies, from the first start to the last end."""
    context = multiprocessing.get_context("spawn")
    start_together = context.Barrier(processes)
    with context.Pool(processes, _share, (start_together,)) as pool:
        spans = pool.map(_timed, [studies] * processes, chunksize=1)
    seconds = max(end for _, end in spans) - min(start for start, _ in spans)
    return processes * sum(study.search.trials for study in studies) / seconds


def _share(barrier: Barrier) -> None:
    _shared.append(barrier)


def _timed(studies: Sequence[Study]) -> tuple[float, float]:
    (together,) = _shared
    with tempfile.TemporaryDirectory() as folder:
        # Compiled code and bars first.
        run_unit(studies, UnitContext(Path(folder) / "first", _never))
        together.wait()
        start = time.time()
        run_unit(studies, UnitContext(Path(folder) / "timed", _never))
        return start, time.time()


def _never() -> bool:
    return False


_shared: list[Barrier] = []
