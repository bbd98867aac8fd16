"""Parts of sweeps as they are stored, for tests that make a sweep's folder by hand."""

from pathlib import Path
from typing import Any

from backtune.results.stored_sweep import StoredSweep
from backtune.spec import Objective, SweepSpec

SHARPE_RATIO = (Objective(metric="sharpe_ratio"),)


def minimal_spec(**sections: Any) -> SweepSpec:
    """Return a spec of one cell, with some sections set."""
    grid = {"strategies": ["S"], "assets": ["A"], "timeframes": ["1h"]}
    return SweepSpec.parse({"name": "sweep", "grid": grid, **sections})


def with_data_root(run: StoredSweep, root: Path) -> SweepSpec:
    """Return the spec of a sweep with its bars in another place."""
    document = run.spec.to_json()
    return SweepSpec.parse({**document, "data": {**document["data"], "root": str(root)}})
