"""The short JSON form: one strategy on one asset in one timeframe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from backtune.errors import SpecError
from backtune.space import RULES, parse_parameter
from backtune.spec.sections import SamplerName, Search

# Names of samplers in the short form, and those in the full one.
METHODS = {
    "bayesian": "tpe",
    "optuna": "tpe",
    "genetic": "nsga2",
    "cmaes": "cma-es",
    "grid_search": "grid",
}
# Keys of the full form, as they are called in the short one.
_NAMES = {
    "grid.strategies.0": "strategy_name",
    "grid.strategies": "strategy_name",
    "grid.assets.0": "asset",
    "grid.timeframes.0": "timeframe",
    "grid.timeframes": "timeframe",
    "search.sampler": "optimization.method",
    "compute.time_budget": "optimization.timeout",
}
_KEYS = ("strategy_name", "asset", "timeframe", "parameters", "optimization")


def expand_short_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full spec of a short one, without a check of its sections.

    Raises:
        SpecError: A key of the short form is unknown, missing or not readable.
    """
    shared = ("name", "data", "execution", "validation", "compute", "tracking")
    for key in document:
        if key not in (*_KEYS, *shared):
            raise SpecError(key, "unknown key", value=key, allowed=(*_KEYS, *shared))
    for key in ("asset", "timeframe"):
        if key not in document:
            raise SpecError(key, "is missing")
    for key in ("parameters", "optimization", "compute"):
        if not isinstance(document.get(key) or {}, Mapping):
            raise SpecError(key, f"must be a mapping of keys (given: {document[key]!r})", value=document[key])
    for name, definition in (document.get("parameters") or {}).items():
        if name != RULES:
            parse_parameter(definition, key=f"parameters.{name}")
    strategy = document["strategy_name"]
    strategy_name = strategy.get("class") if isinstance(strategy, Mapping) else strategy
    search, time_budget = _expand_search(document.get("optimization") or {})
    full: dict[str, Any] = {key: document[key] for key in shared if key in document}
    title = f"{strategy_name} {document['asset']} {document['timeframe']}"
    full.setdefault("name", re.sub(r"[^\w .-]+", "-", title).strip("- ")[:80])
    full["grid"] = {
        "strategies": [strategy],
        "assets": [document["asset"]],
        "timeframes": [document["timeframe"]],
    }
    full["search"] = search
    if document.get("parameters"):
        full["space"] = {str(strategy_name): document["parameters"]}
    if time_budget is not None:
        full["compute"] = {**(full.get("compute") or {}), "time_budget": time_budget}
    return full


def short_form_error(error: SpecError) -> SpecError:
    """Return an error about the full form under the key that the short form has for it."""
    key = _NAMES.get(error.key)
    if key is None and error.key.startswith("search."):
        key = f"optimization.{error.key.removeprefix('search.')}"
    if key is None and error.key.startswith("space."):
        # The strategy's name stands between the two.
        _, _, *rest = error.key.split(".")
        key = ".".join(["parameters", *rest])
    if key is None:
        return error
    return SpecError(
        key, error.problem, value=error.value, allowed=error.allowed, is_text_due=error.is_text_due
    )


def _expand_search(optimization: Mapping[str, Any]) -> tuple[dict[str, Any], object]:
    allowed = ("method", "timeout", *Search.model_fields)
    for key in optimization:
        if key not in allowed:
            raise SpecError(f"optimization.{key}", "unknown key", value=key, allowed=allowed)
    search = dict(optimization)
    time_budget = search.pop("timeout", None)
    if "method" in search:
        method = str(search.pop("method"))
        methods = (*get_args(SamplerName), *METHODS)
        if method not in methods:
            raise SpecError("optimization.method", f"{method!r} is not known", value=method, allowed=methods)
        search["sampler"] = METHODS.get(method, method)
    return search, time_budget
