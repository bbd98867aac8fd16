"""Asking every node of a cluster what it sees, before any unit is on its way."""

from __future__ import annotations

import time
from typing import Any

from backtune.errors import ClusterError
from backtune.search.executors.sight import Sight
from backtune.search.executors.tune.connection import last_line

# A node that does not answer by then is asked again by the first unit that it gets.
_PATIENCE_SECONDS = 30.0
_NAMED_NODES = 5
_WAY_OUT = "mount the same folders on every node, or keep data and runs in s3://bucket/prefix"


def check_nodes(sight: Sight, cpus: float) -> None:
    """Ask all nodes of the connected Ray that have so many cpus, at the same time, whether they see what the driver sees.

    Raises:
        ClusterError: some do not; names each of them, what it does not see, and the way out.
    """
    import ray

    found = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in found if _takes_units(node, cpus)}
    asked = {node_id: _ask(ray, node_id, sight) for node_id in nodes}
    blind = _answers(ray, {nodes[node_id]: answer for node_id, answer in asked.items()})
    if not blind:
        return
    told = "; ".join(f"node {address}: {', '.join(problems)}" for address, problems in blind[:_NAMED_NODES])
    more = f"; and {len(blind) - _NAMED_NODES} more" if len(blind) > _NAMED_NODES else ""
    raise ClusterError(f"{len(blind)} of {len(nodes)} nodes cannot run this sweep: {told}{more}; {_WAY_OUT}")


def _takes_units(node: dict[str, Any], cpus: float) -> bool:
    return bool(node["Alive"]) and node["Resources"].get("CPU", 0.0) >= cpus


def _ask(ray: Any, node_id: str, sight: Sight) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_look).remote(sight)


def _look(sight: Sight) -> list[str]:
    return sight.problems()


def _answers(ray: Any, asked: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The nodes that have a problem, and what it is."""
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError

    until = time.monotonic() + _PATIENCE_SECONDS
    blind = []
    for address, answer in asked.items():
        try:
            problems = ray.get(answer, timeout=max(0.0, until - time.monotonic()))
        except RayTaskError as error:
            problems = [f"backtune cannot be used there: {last_line(error)}"]
        except (GetTimeoutError, RayError):
            # Gone, or too busy to say.
            ray.cancel(answer, force=True)
            problems = []
        if problems:
            blind.append((address, problems))
    return blind
