"""The view of MLflow's table of runs that shows a sweep's studies like the leaderboard, with its columns and order.

MLflow keeps the views that its users share in tags of an experiment; this is one of them. A version of MLflow that does
not know its form shows its usual table.
"""

from __future__ import annotations

import json

from backtune.results.stored_sweep import StoredSweep

VIEW_KEY = "leaderboard"
# The kind of run that is a row of the leaderboard. Single folds are left out: the best of their tests says nothing.
_ROWS = {"walk_forward": "cell"}
_EVIDENCE = ("n_trials", "family_p", "haircut_sharpe_ratio", "timing_p", "dsr")
_MORE = ("total_return", "max_drawdown", "total_trades")


def build_experiment_tags(run: StoredSweep) -> dict[str, str]:
    """Return the tags of a sweep's experiment: the metric to compare by, and the view."""
    objective = run.spec.search.objectives[0]
    # By what the search saw: ordered by its test, the first row would be the luckiest.
    leading = f"is_{objective.metric}"
    view = {
        "searchFilter": f"tags.kind = '{_ROWS.get(run.spec.validation.method, 'study')}'",
        "orderByKey": "metrics.`leaderboard_place`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [f"metrics.`{name}`" for name in _list_columns(run)],
    }
    return {
        "mlflow.experiment.primaryMetric.name": leading,
        "mlflow.experiment.primaryMetric.greaterIsBetter": str(not objective.minimize),
        f"mlflow.sharedViewState.{VIEW_KEY}": json.dumps(view),
    }


def build_view_url(server: str, experiment: str | None) -> str:
    """Return the URL of the view in MLflow, or of the list of experiments where the sweep has none."""
    # MLflow starts with language models in view.
    kind = "workflowType=machine_learning"
    if experiment is None:
        return f"{server}/#/experiments?{kind}"
    return f"{server}/#/experiments/{experiment}/runs?{kind}&viewStateShareKey={VIEW_KEY}"


def _list_prefixes(run: StoredSweep) -> tuple[str, ...]:
    return ("is",) if run.spec.validation.method == "none" else ("oos", "is")


def _list_columns(run: StoredSweep) -> list[str]:
    objectives = run.spec.search.objective_metrics
    prefix = _list_prefixes(run)[0]
    more = [f"{prefix}_{name}" for name in _MORE if name not in objectives]
    return [
        *(f"{own}_{objective}" for objective in objectives for own in _list_prefixes(run)),
        *_EVIDENCE,
        *more,
    ]
