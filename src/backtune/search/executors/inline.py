"""Units in this process: no cluster, the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from backtune.search.executors.unit import Place, Unit, run_unit


def run_units(units: Sequence[Unit], place: Place) -> dict[str, str]:
    """Run all units, one after the other.

    Returns:
        Nothing lost: an error that concerns more than one study is raised here.
    """
    # One unit: islands then meet all of the others.
    run_unit([study for unit in units for study in unit], place)
    return {}
