"""The time to read the folder of a sweep with many studies: the progress every second, and everything at the start and end.

Every study's folder has the files of one that was really run.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from backtune.results.log.segments import count_trials
from backtune.results.progress import ProgressReader, list_unfinished_studies
from backtune.results.runs_folder import adopt_repeated_studies
from backtune.results.stored_sweep import StoredSweep
from backtune.search.planning.plan import describe_study
from backtune.search.study_loop.study import Study
from backtune.sweep import SweepResult

# What changes between two looks while a thousand slots are busy with studies of a few seconds.
N_CHANGED = 500
N_RUNNING = 1000
_LINKS = 10_000


def timed(model: StoredSweep, studies: Sequence[Study], runs: Path) -> dict[str, float]:
    """Seconds of processor time of each, for a sweep of ``studies`` of which all but the running ones are done.

    Args:
        model: a sweep that was run, whose first study's files every study gets.
    """
    files = _Files(model.study_folder(model.studies[0].id), runs / "originals")
    budget = count_trials(files.model)
    entries = tuple(replace(describe_study(study), budget=budget) for study in studies)
    run = replace(model, folder=runs / "many", studies=entries)
    seconds = {"write sweep.json": _cpu(run.write)}
    reader = ProgressReader(run)
    seconds["read progress, nothing started"] = _cpu(reader.read)
    for study in studies:
        folder = run.study_folder(study.id)
        folder.mkdir(parents=True)
        files.put("*.parquet", folder)
    for study in studies[N_RUNNING:]:
        files.put("summary.json", run.study_folder(study.id))
    seconds["read progress for the first time, all started and all but 1,000 finished"] = _cpu(reader.read)
    time.sleep(1.5)
    reader.read()
    for study in studies[:N_CHANGED]:
        files.put("summary.json", run.study_folder(study.id))
    seconds["read progress, 500 studies further"] = _cpu(reader.read)
    seconds["read progress, nothing new"] = min(_cpu(reader.read) for _ in range(3))
    assert reader.read().n_studies == len(studies)
    seconds["find repeated studies of earlier sweeps (at the start)"] = _cpu(
        lambda: adopt_repeated_studies(run)
    )
    seconds["list unfinished studies (at the start and the end)"] = _cpu(lambda: list_unfinished_studies(run))
    seconds["count the trials of every log (at the start)"] = _cpu(
        lambda: [count_trials(run.study_folder(study.id)) for study in studies]
    )
    seconds["list failed studies (at the end)"] = _cpu(lambda: SweepResult(run).failures())
    return seconds


class _Files:
    """A study's files, linked into the folders of others: no more links to one file than file systems allow."""

    def __init__(self, model: Path, originals: Path) -> None:
        self.model = model
        self._originals = originals
        self._n_links = 0

    def put(self, pattern: str, folder: Path) -> None:
        """Link the files of the model that match a pattern into a folder."""
        original = self._originals / str(self._n_links // _LINKS)
        if not original.exists():
            shutil.copytree(self.model, original)
        self._n_links += 1
        for file in original.glob(pattern):
            os.link(file, folder / file.name)


def _cpu(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin
