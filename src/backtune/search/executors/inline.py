"""The executor that runs units in this process, without a cluster. The rows are the same."""

from __future__ import annotations

from collections.abc import Sequence

from backtune.search.executors.unit import Unit, UnitContext, run_unit


def run_units(units: Sequence[Unit], context: UnitContext) -> dict[str, str]:
    """Run all units, one after the other.

    Returns:
        An empty dictionary, for no study is given up: an error that concerns more than one study is raised here.
    """
    # One unit holds all studies, so that islands meet their peers.
    run_unit([study for unit in units for study in unit], context)
    return {}
