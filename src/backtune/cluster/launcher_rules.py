"""What has to hold between the parts of a launcher file, beyond the spelling of its keys."""

from __future__ import annotations

import re
from importlib.metadata import version

from backtune.cluster.launcher_file import CloudCluster, LauncherFile, MachinesCluster
from backtune.cluster.settings import check_variables, start_options, variables_of
from backtune.errors import SpecError

_LOOPBACK = "127.0.0.1"


def check_launcher_file(cluster: LauncherFile) -> None:
    """Check that the head is safe, that workers cost nothing when idle, and that every name leads somewhere.

    Raises:
        SpecError: names the key.
    """
    variables = variables_of(cluster.docker.run_options, "docker.run_options")
    check_variables(variables, "docker.run_options")
    _check_token(cluster, variables)
    _check_mounts(cluster)
    _check_image(cluster.docker.image)
    _check_starts(cluster)
    if isinstance(cluster, MachinesCluster):
        _check_machines(cluster)
    else:
        _check_node_types(cluster)


def _check_token(cluster: LauncherFile, variables: dict[str, str]) -> None:
    mode, path = variables.get("RAY_AUTH_MODE"), variables.get("RAY_AUTH_TOKEN_PATH")
    if mode != "token":
        problem = f"RAY_AUTH_MODE is {mode!r}; whoever reaches Ray may run anything"
        raise SpecError("docker.run_options", problem, value=mode, allowed=("token",))
    if path not in cluster.file_mounts:
        problem = f"RAY_AUTH_TOKEN_PATH is {path!r}, which is no path in file_mounts"
        raise SpecError("docker.run_options", problem, value=path, allowed=tuple(cluster.file_mounts))


def _check_mounts(cluster: LauncherFile) -> None:
    """A file that nothing names was meant for something else."""
    said = [*cluster.docker.run_options, *cluster.setup_commands, *cluster.head_setup_commands]
    for path in cluster.file_mounts:
        if not any(re.search(rf"{re.escape(path)}(?![\w.-])", text) for text in said):
            problem = "no option or set-up command names this path"
            raise SpecError(f"file_mounts.{path}", problem, value=path)


def _check_image(image: str) -> None:
    name, _, tag = image.rpartition(":")
    wanted = version("ray")
    if tag == "latest" or (name.endswith("rayproject/ray") and tag.split("-")[0] != wanted):
        problem = f"{tag!r} is not Ray {wanted}, which is installed here: both ends must be of one version"
        raise SpecError("docker.image", problem, value=tag)


def _check_starts(cluster: LauncherFile) -> None:
    key = "head_start_ray_commands"
    head = start_options(cluster.head_start_ray_commands, key)
    wanted = {"head": "", "num-cpus": "0", "dashboard-host": _LOOPBACK}
    for name, value in wanted.items():
        if head.get(name) != value:
            given = f"--{name}={head[name]}" if head.get(name) else f"--{name}"
            told = f"--{name}={value}" if value else f"--{name}"
            state = "is there" if name in head else "is missing"
            raise SpecError(key, f"{given} {state}; it must be {told}", value=head.get(name))
    if "autoscaling-config" not in head:
        raise SpecError(key, "--autoscaling-config is missing: no worker would ever start")
    key = "worker_start_ray_commands"
    worker = start_options(cluster.worker_start_ray_commands, key)
    address = f"$RAY_HEAD_IP:{head.get('port', '6379')}"
    if worker.get("address") != address:
        problem = f"--address is {worker.get('address')!r}; it must be {address}"
        raise SpecError(key, problem, value=worker.get("address"))


def _check_machines(cluster: MachinesCluster) -> None:
    most = len(cluster.provider.worker_ips)
    if not cluster.min_workers <= cluster.max_workers <= most:
        problem = f"must lie between min_workers and the {most} of provider.worker_ips"
        raise SpecError("max_workers", f"{problem} (given: {cluster.max_workers})", value=cluster.max_workers)


def _check_node_types(cluster: CloudCluster) -> None:
    types = cluster.available_node_types
    head = types.get(cluster.head_node_type)
    if head is None:
        name = cluster.head_node_type
        raise SpecError(
            "head_node_type", f"{name!r} is not in available_node_types", value=name, allowed=types
        )
    key = f"available_node_types.{cluster.head_node_type}"
    if head.resources.cpus or head.max_workers:
        raise SpecError(key, "the head takes no work: resources.CPU and max_workers must be 0")
    if head.node_config.is_spot:
        raise SpecError(f"{key}.node_config", "the head must be on demand: with it, the cluster goes")
    for name, worker in types.items():
        if name == cluster.head_node_type:
            continue
        key = f"available_node_types.{name}"
        wanted = f"worker_{worker.node_config.machine}"
        if name != wanted:
            raise SpecError(key, "a worker's name says its machine", value=name, allowed=(wanted,))
        if worker.min_workers:
            raise SpecError(
                f"{key}.min_workers", f"must be 0, or it costs while idle (given: {worker.min_workers})"
            )
        if not worker.node_config.is_spot:
            raise SpecError(f"{key}.node_config", "workers are on spot; nothing is lost when they go")
