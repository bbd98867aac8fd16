"""The spec of a requested sweep, built and checked. A spec that comes over HTTP may name no file and no address."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from backtune.checks.cells import build_cells
from backtune.data.catalog import Catalog
from backtune.errors import SpecError
from backtune.gateway.jobs.schemas import SingleRequest
from backtune.gateway.settings import Limits
from backtune.spec import StrategyFile, SweepSpec
from backtune.spec.short_form import METHODS
from backtune.strategy.registry import StrategyFactory

_MAX_DEPTH: Final = 32
# JSON readers do not agree on larger integers.
_MAX_INTEGER: Final = 2**53
_SWEEP_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,120}")
# Keys of a spec, and their names in the request for a single cell.
_REQUEST_KEYS: Final[dict[str, str]] = {
    "grid.strategies": "strategy_name",
    "grid.assets": "asset",
    "grid.timeframes": "timeframe",
    "data.start": "start_date",
    "data.end": "end_date",
    "search.objectives": "optimization_config.optimization_metric",
    "compute.time_budget": "optimization_config.timeout_hours",
    "search.sampler": "optimization_config.method",
    "search.": "optimization_config.",
    "execution": "optimization_config.execution",
    "validation": "optimization_config.validation",
}


def build_single_spec(request: SingleRequest, data_root: str, limits: Limits) -> SweepSpec:
    """Return the spec of a sweep of one cell.

    Raises:
        SpecError: The request cannot be served; the error names the key of the request.
        BacktuneError: The data or a strategy cannot be used.
    """
    try:
        return build_batch_spec(_make_document(request), data_root, limits)
    except SpecError as error:
        key = _find_request_key(error.key, request.strategy_name)
        # The new error adds the same hints to its message again.
        problem = re.split(r" \(did you mean |; allowed: ", str(error).removeprefix(f"{error.key}: "))[0]
        raise SpecError(key, problem, value=error.value, allowed=error.allowed) from None


def build_batch_spec(document: Mapping[str, Any], data_root: str, limits: Limits) -> SweepSpec:
    """Return the spec of a whole sweep, given in full or in the short form of one cell, on the gateway's data.

    Raises:
        SpecError: The spec cannot be served; the error names the key.
        BacktuneError: The data or a strategy cannot be used.
    """
    _check_values(document)
    spec = SweepSpec.parse({**document, "data": _set_data_root(document.get("data"), data_root)})
    _check_references(spec)
    _check_size(spec, limits)
    build_cells(spec, Catalog.open(spec.data.location))
    return spec


def _make_document(request: SingleRequest) -> dict[str, Any]:
    config = request.optimization_config
    metrics = config.optimization_metric
    title = f"{request.strategy_name} {request.asset} {request.timeframe}"
    document: dict[str, Any] = {
        "name": re.sub(r"[^\w .-]+", "-", title).strip("-_. ")[:80] or "sweep",
        "data": {"start": request.start_date, "end": request.end_date},
        "grid": {
            "strategies": [request.strategy_name],
            "assets": [request.asset],
            "timeframes": [request.timeframe],
        },
        "search": {
            "trials": config.trials,
            "sampler": METHODS.get(config.method, config.method),
            "objectives": [metrics] if isinstance(metrics, str) else metrics,
            "constraints": config.constraints,
            "seed": config.seed,
        },
    }
    if config.timeout_hours is not None:
        document["compute"] = {"time_budget": config.timeout_hours * 3600}
    if config.parameters:
        document["space"] = {request.strategy_name: config.parameters}
    sections = {"execution": config.execution, "validation": config.validation}
    return document | {name: section for name, section in sections.items() if section}


def _find_request_key(key: str, strategy: str) -> str:
    space = f"space.{strategy}"
    if key == space or key.startswith(f"{space}."):
        return f"optimization_config.parameters{key.removeprefix(space)}"
    name = next((name for name in _REQUEST_KEYS if key.startswith(name)), None)
    return key if name is None else f"{_REQUEST_KEYS[name]}{key.removeprefix(name)}"


def _set_data_root(section: object, data_root: str) -> object:
    """Return the section on data with the gateway's root."""
    if section is None:
        return {"root": data_root}
    if not isinstance(section, Mapping):
        return section
    if section.get("root", data_root) != data_root:
        raise SpecError("data.root", "is the gateway's; leave it out", value=section["root"])
    return {**section, "root": data_root}


def _check_references(spec: SweepSpec) -> None:
    """Refuse a spec that would read, run or call something of the client's choice."""
    for entry in spec.grid.strategies:
        if isinstance(entry, StrategyFile):
            raise SpecError(
                "grid.strategies",
                "files are not run for clients; name a strategy that is installed",
                value=entry.file,
                allowed=StrategyFactory.names(),
            )
    if spec.tracking.uri is not None:
        raise SpecError("tracking.uri", "is the gateway's; leave it out", value=spec.tracking.uri)
    warm_start = spec.search.warm_start
    if warm_start is not None and _SWEEP_ID.fullmatch(warm_start) is None:
        raise SpecError("search.warm_start", "must be the sweep_id of an earlier job", value=warm_start)


def _check_size(spec: SweepSpec, limits: Limits) -> None:
    grid = spec.grid
    n_studies = len(grid.strategies) * len(grid.assets) * len(grid.timeframes)
    if spec.validation.method == "walk_forward":
        n_studies *= spec.validation.folds
    if n_studies > limits.studies:
        raise SpecError("grid", f"has {n_studies:,} studies; this gateway takes {limits.studies:,}")
    n_trials = n_studies * spec.search.trials
    if n_trials > limits.trials:
        raise SpecError(
            "search.trials",
            f"makes {n_trials:,} trials in all; this gateway takes {limits.trials:,}",
            value=spec.search.trials,
        )


def _check_values(document: Mapping[str, Any]) -> None:
    """Refuse values that JSON can hold, but neither a database nor a search."""
    for key, value, depth in _walk_values(document):
        if depth > _MAX_DEPTH:
            raise SpecError(key, f"is nested more than {_MAX_DEPTH} deep")
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(key, "is not a finite number")
        if isinstance(value, int) and abs(value) > _MAX_INTEGER:
            raise SpecError(key, "is too large a whole number")
        if isinstance(value, str) and not _is_text(value):
            raise SpecError(key, "has characters that are no text")


def _walk_values(document: Mapping[str, Any]) -> Iterator[tuple[str, object, int]]:
    """Yield every key and every value with its dotted path and its depth, down to the greatest depth allowed."""
    waiting: list[tuple[str, object, int]] = [("", document, 0)]
    while waiting:
        key, value, depth = waiting.pop()
        if isinstance(value, Mapping | list) and depth <= _MAX_DEPTH:
            pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
            for name, part in pairs:
                shown = f"{key}.{name}".lstrip(".") if _is_text(str(name)) else key
                yield shown or "spec", name, depth
                waiting.append((shown, part, depth + 1))
        else:
            yield key or "spec", value, depth


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
