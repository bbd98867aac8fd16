"""The executor on Ray Tune: one Tune trial runs one unit. It is the search's only door to Ray."""

from backtune.search.executors.ray_tune.connection import RayConnection, RayTarget, connect_to_ray
from backtune.search.executors.ray_tune.nodes import check_nodes
from backtune.search.executors.ray_tune.units import UnitResources, calibrate_on_ray, run_units

__all__ = [
    "RayConnection",
    "RayTarget",
    "UnitResources",
    "calibrate_on_ray",
    "check_nodes",
    "connect_to_ray",
    "run_units",
]
