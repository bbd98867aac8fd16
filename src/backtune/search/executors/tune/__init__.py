"""Units on Ray Tune: one Tune trial runs one unit. The only door to Ray of the search."""

from backtune.search.executors.tune.connection import Cluster, Connection, connected
from backtune.search.executors.tune.nodes import check_nodes
from backtune.search.executors.tune.units import UnitResources, calibrated, run_units

__all__ = ["Cluster", "Connection", "UnitResources", "calibrated", "check_nodes", "connected", "run_units"]
