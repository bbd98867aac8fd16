"""The check of every node of a cluster, before any unit is sent."""

from __future__ import annotations

import time
from typing import Any

from backtune.errors import ClusterError
from backtune.search.executors.node_check import NodeCheck
from backtune.search.executors.ray_tune.connection import last_line

# A node that does not answer in time is checked again by the first unit that it gets.
_PATIENCE_SECONDS = 30.0
_NAMED_NODES = 5
_WAY_OUT = "mount the same folders on every node, or keep data and runs in s3://bucket/prefix"


def check_nodes(check: NodeCheck, cpus: float) -> None:
    """Run a check at the same time on all nodes of the connected Ray that have enough cpus for a unit.

    Raises:
        ClusterError: Some nodes differ from the driver; names each of them, the differences, and the way out.
    """
    import ray

    found = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = {
        node["NodeID"]: node["NodeManagerAddress"]
        for node in found
        if node["Alive"] and node["Resources"].get("CPU", 0.0) >= cpus
    }
    tasks = {node_id: _start_check(ray, node_id, check) for node_id in nodes}
    unusable = _collect_differences(ray, {nodes[node_id]: task for node_id, task in tasks.items()})
    if not unusable:
        return
    named = "; ".join(
        f"node {address}: {', '.join(differences)}" for address, differences in unusable[:_NAMED_NODES]
    )
    more = f"; and {len(unusable) - _NAMED_NODES} more" if len(unusable) > _NAMED_NODES else ""
    raise ClusterError(
        f"{len(unusable)} of {len(nodes)} nodes cannot run this sweep: {named}{more}; {_WAY_OUT}"
    )


def _start_check(ray: Any, node_id: str, check: NodeCheck) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    on_node = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=on_node)(NodeCheck.find_differences)
    return task.remote(check)


def _collect_differences(ray: Any, tasks: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the addresses of the nodes that differ from the driver, with their differences."""
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError

    until = time.monotonic() + _PATIENCE_SECONDS
    unusable = []
    for address, task in tasks.items():
        try:
            differences = ray.get(task, timeout=max(0.0, until - time.monotonic()))
        except RayTaskError as error:
            differences = [f"backtune cannot be used there: {last_line(error)}"]
        except (GetTimeoutError, RayError):
            # The node is gone, or too busy to answer.
            ray.cancel(task, force=True)
            differences = []
        if differences:
            unusable.append((address, differences))
    return unusable
