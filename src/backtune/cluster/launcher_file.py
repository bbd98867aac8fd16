"""Ray's launcher files: what we write into them, and what has to hold between their parts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from backtune.cluster.clouds import AwsMachine, GcpMachine, NodeResources
from backtune.cluster.part import Count, SnakePart, Text

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
_Positive = Annotated[float, Field(gt=0)]
_Commands = list[Text]


class _Auth(SnakePart):
    ssh_user: Text
    ssh_private_key: Text | None = None


class _Docker(SnakePart):
    image: Annotated[str, Field(pattern=r"^\S+:\S+$")]
    container_name: Text
    pull_before_run: bool = True
    run_options: _Commands


class _Aws(SnakePart):
    type: Literal["aws"]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    availability_zone: Annotated[str, Field(pattern=r"^[a-z0-9-]+(,[a-z0-9-]+)*$")]
    # Stopped machines cost their disks.
    cache_stopped_nodes: Literal[False]


class _Gcp(SnakePart):
    type: Literal["gcp"]
    region: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d+$")]
    availability_zone: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d+-[a-z]$")]
    project_id: Text


class _Machines(SnakePart):
    type: Literal["local"]
    head_ip: Text
    worker_ips: Annotated[list[Text], Field(min_length=1)]


class AwsNodeType(SnakePart):
    resources: NodeResources
    min_workers: Count = 0
    max_workers: Count
    node_config: AwsMachine


class GcpNodeType(SnakePart):
    resources: NodeResources
    min_workers: Count = 0
    max_workers: Count
    node_config: GcpMachine


class _Cluster(SnakePart):
    """What the files for all providers have; commands that Ray would fill in with its defaults are given."""

    cluster_name: _Name
    max_workers: Count
    idle_timeout_minutes: _Positive
    upscaling_speed: _Positive = 1.0
    auth: _Auth
    docker: _Docker
    file_mounts: dict[str, Text]
    initialization_commands: _Commands = Field(default_factory=list)
    setup_commands: _Commands
    head_setup_commands: _Commands = Field(default_factory=list)
    worker_setup_commands: _Commands = Field(default_factory=list)
    head_start_ray_commands: _Commands
    worker_start_ray_commands: _Commands


class AwsCluster(_Cluster):
    provider: _Aws
    head_node_type: Text
    available_node_types: dict[str, AwsNodeType]


class GcpCluster(_Cluster):
    provider: _Gcp
    head_node_type: Text
    available_node_types: dict[str, GcpNodeType]


class MachinesCluster(_Cluster):
    provider: _Machines
    min_workers: Count


CloudCluster = AwsCluster | GcpCluster
LauncherFile = CloudCluster | MachinesCluster
BY_PROVIDER: dict[str, Any] = {"aws": AwsCluster, "gcp": GcpCluster, "local": MachinesCluster}
