"""The runs folder, in which every sweep has a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Collection

from backtune.errors import ResultsError
from backtune.results.log.segments import count_trials, read_log, write_segment
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import base_folder
from backtune.storage.files import list_names, read_write_time
from backtune.storage.location import Location, resolve_location

# A part of the path of the copy of a job's working directory that Ray makes and deletes.
_RAY_COPY = "working_dir_files"


def locate_runs_folder() -> Location:
    """Return the default folder of results: ``$BACKTUNE_RUNS``, or ``runs`` in the base folder.

    Raises:
        ResultsError: It would be inside a Ray job's temporary copy of its working directory.
    """
    runs = resolve_location(base_folder(), os.environ.get("BACKTUNE_RUNS") or "runs")
    if _RAY_COPY in runs.parts:
        raise ResultsError(
            f"{runs}: Ray deletes this copy of the working directory; set BACKTUNE_RUNS for the job or the cluster, "
            "or start the head with `make head`"
        )
    return runs


def adopt_repeated_studies(run: StoredSweep) -> None:
    """Take over the trials of studies that another sweep of the runs folder has run, so that none is run again.

    Raises:
        ResultsError: The folder cannot be written.
    """
    missing = {study.id for study in run.studies} - set(run.list_started_studies())
    for name, folder in sorted(find_study_folders(run.folder.parent, missing).items()):
        log = read_log(folder)
        if log is not None:
            write_segment(run.study_folder(name), log)


def find_study_folders(runs: Location, names: Collection[str]) -> dict[str, Location]:
    """Return the folders of these studies in the sweeps of a runs folder; of several the one with the most trials."""
    found: dict[str, Location] = {}
    for sweep in list_names(runs) if names else ():
        studies = runs / sweep / "studies"
        for name in set(names).intersection(list_names(studies)):
            if name not in found or count_trials(studies / name) > count_trials(found[name]):
                found[name] = studies / name
    return found


def list_sweeps(root: Location) -> list[StoredSweep]:
    """Return all sweeps in a runs folder, the latest first."""
    written = {name: read_write_time(root / name / "sweep.json") for name in list_names(root)}
    found = sorted((moment, name) for name, moment in written.items() if moment is not None)
    return [StoredSweep.open(root / name) for _, name in reversed(found)]
