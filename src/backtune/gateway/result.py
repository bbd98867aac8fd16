"""The result of a job, as clients get it."""

from __future__ import annotations

from typing import Any, Final

from backtune.gateway.records.values import JobRecord
from backtune.gateway.schemas import Result

_OWN_MEMBERS: Final = (
    "study",
    "strategy",
    "asset",
    "timeframe",
    "params",
    "trial",
    "n_trials",
    "values",
    "warnings",
)


def result_of(record: JobRecord) -> Result | None:
    """None where there is none: the job is not completed or partial, or no study has a winner."""
    best = record.end.best if record.end is not None else None
    if best is None or record.state not in ("completed", "partial"):
        return None
    # Undefined metrics are null; a sweep without validation has none out of sample.
    is_validated = any(value is not None for name, value in best.items() if name.startswith("oos_"))
    prefix = "oos_" if is_validated else "is_"
    return Result(
        strategy_name=best["strategy"], asset=best["asset"], timeframe=best["timeframe"], study=best["study"],
        sample="out_of_sample" if is_validated else "in_sample",
        sharpe_ratio=_metric(best, f"{prefix}sharpe_ratio"),
        total_return=_metric(best, f"{prefix}total_return"),
        max_drawdown=_metric(best, f"{prefix}max_drawdown"),
        # Not in the ends of jobs from before they were kept.
        family_p=best.get("family_p"),
        haircut_sharpe_ratio=best.get("haircut_sharpe_ratio"),
        best_parameters=best["params"],
        detailed_metrics={name: value for name, value in best.items() if name not in _OWN_MEMBERS},
        n_trials=best["n_trials"], warnings=best["warnings"],
    )  # fmt: skip


def _metric(best: dict[str, Any], name: str) -> float | None:
    value: float | None = best[name]
    return value
