"""Parts of sweeps as they are stored, for tests that make a sweep's folder by hand."""

from pathlib import Path
from typing import Any

from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.spec import Objective, SweepSpec
from backtune.validation.folds import Fold, TimeWindow

SHARPE_RATIO = (Objective(metric="sharpe_ratio"),)


def minimal_spec(**sections: Any) -> SweepSpec:
    """Return a spec of one cell, with some sections set."""
    grid = {"strategies": ["S"], "assets": ["A"], "timeframes": ["1h"]}
    return SweepSpec.parse({"name": "sweep", "grid": grid, **sections})


def stored_study(name: str, **fields: Any) -> StoredStudy:
    """Return a study of ten trials of cell S, A, 1h without validation, with some fields set."""
    defaults: dict[str, Any] = {
        "strategy": "S",
        "asset": "A",
        "timeframe": "1h",
        "fold": Fold("all", TimeWindow(0, 1)),
        "objectives": SHARPE_RATIO,
        "budget": 10,
        "space": {},
        "data_fingerprint": "f" * 64,
        "span": (0, 1),
        "backend": "rustuna",
        "results_version": "c" * 12,
    }
    return StoredStudy(name, **{**defaults, **fields})


def with_data_root(run: StoredSweep, root: Path) -> SweepSpec:
    """Return the spec of a sweep with its bars in another place."""
    document = run.spec.to_json()
    return SweepSpec.parse({**document, "data": {**document["data"], "root": str(root)}})
