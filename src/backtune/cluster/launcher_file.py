"""The check of Ray's launcher files: the head asks for a token, idle workers cost nothing, and every name exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from backtune.cluster.ec2 import check_machine
from backtune.cluster.ray_launcher import check_with_ray, launcher_schema
from backtune.cluster.schemas import check_schema, load_rules
from backtune.cluster.settings import check_variables, parse_run_options, parse_start_options
from backtune.errors import SpecError

LauncherFile = Mapping[str, Any]

_LOOPBACK: Final = "127.0.0.1"
# For each provider, the key of a machine's type, and the one without which it is on demand.
_MACHINE_KEYS: Final = {
    "aws": ("InstanceType", "InstanceMarketOptions"),
    "gcp": ("machineType", "scheduling"),
}
_PROVIDERS: Final = (*_MACHINE_KEYS, "local")


def check_launcher_file(document: LauncherFile) -> str:
    """Check a launcher file in plain values, and return its provider.

    Raises:
        SpecError: The first thing that is wrong, with its key.
        MissingPackageError: The package of the provider is not installed.
    """
    given = document.get("provider")
    provider = given.get("type") if isinstance(given, Mapping) else None
    # Ray takes this key for machines by address, and takes it out before it validates.
    left_out = "min_workers" if provider == "local" else None
    check_schema({key: value for key, value in document.items() if key != left_out}, launcher_schema())
    if provider not in _PROVIDERS:
        raise SpecError("provider.type", f"{provider!r} is not known", value=provider, allowed=_PROVIDERS)
    if provider == "aws":
        for name, node_type in document.get("available_node_types", {}).items():
            check_machine(node_type["node_config"], f"available_node_types.{name}.node_config")
    check_schema(document, load_rules("launcher"), provider)
    _check_settings(document)
    if provider == "local":
        _check_number_of_machines(document)
    else:
        _check_node_types(document, *_MACHINE_KEYS[provider])
    check_with_ray(document)
    return str(provider)


def _check_settings(document: LauncherFile) -> None:
    variables = parse_run_options(document["docker"]["run_options"], "docker.run_options")
    check_variables(variables, "docker.run_options")
    _check_token(document, variables)
    _check_file_mounts(document)
    _check_image(document["docker"]["image"])
    _check_start_commands(document)


def _check_token(document: LauncherFile, variables: Mapping[str, str]) -> None:
    mode, path = variables.get("RAY_AUTH_MODE"), variables.get("RAY_AUTH_TOKEN_PATH")
    if mode != "token":
        problem = f"RAY_AUTH_MODE is {mode!r}; whoever reaches Ray may run anything"
        raise SpecError("docker.run_options", problem, value=mode, allowed=("token",))
    mounts = document["file_mounts"]
    if path not in mounts:
        problem = f"RAY_AUTH_TOKEN_PATH is {path!r}, which is no path in file_mounts"
        raise SpecError("docker.run_options", problem, value=path, allowed=mounts)


def _check_file_mounts(document: LauncherFile) -> None:
    """Check that something names every path: one that nothing names was meant for another."""
    commands = [*document["setup_commands"], *document.get("head_setup_commands", ())]
    for path in document["file_mounts"]:
        name = re.compile(rf"{re.escape(path)}(?![\w.-])")
        if not any(name.search(text) for text in [*document["docker"]["run_options"], *commands]):
            problem = "no option or set-up command names this path"
            raise SpecError(f"file_mounts.{path}", problem, value=path)


def _check_image(image: str) -> None:
    name, _, tag = image.rpartition(":")
    wanted = version("ray")
    if tag == "latest" or (name.endswith("rayproject/ray") and tag.split("-")[0] != wanted):
        problem = f"{tag!r} is not Ray {wanted}, which is installed here: both ends must be of one version"
        raise SpecError("docker.image", problem, value=tag)


def _check_start_commands(document: LauncherFile) -> None:
    key = "head_start_ray_commands"
    head = parse_start_options(document[key], key)
    for name, wanted in {"head": "", "num-cpus": "0", "dashboard-host": _LOOPBACK}.items():
        if head.get(name) != wanted:
            given = f"--{name}={head[name]}" if head.get(name) else f"--{name}"
            state = "is there" if name in head else "is missing"
            must = f"--{name}={wanted}" if wanted else f"--{name}"
            raise SpecError(key, f"{given} {state}; it must be {must}", value=head.get(name))
    if "autoscaling-config" not in head:
        raise SpecError(key, "--autoscaling-config is missing: no worker would ever start")
    key = "worker_start_ray_commands"
    address = parse_start_options(document[key], key).get("address")
    wanted = f"$RAY_HEAD_IP:{head.get('port', '6379')}"
    if address != wanted:
        raise SpecError(key, f"--address is {address!r}; it must be {wanted}", value=address)


def _check_number_of_machines(document: LauncherFile) -> None:
    least, most = document["min_workers"], len(document["provider"]["worker_ips"])
    given = document["max_workers"]
    if not least <= given <= most:
        problem = f"must lie between min_workers and the {most} of provider.worker_ips (given: {given})"
        raise SpecError("max_workers", problem, value=given)


def _check_node_types(document: LauncherFile, machine_key: str, spot_key: str) -> None:
    types, head_name = document["available_node_types"], document["head_node_type"]
    if head_name not in types:
        problem = f"{head_name!r} is not in available_node_types"
        raise SpecError("head_node_type", problem, value=head_name, allowed=types)
    for name, node_type in types.items():
        key = f"available_node_types.{name}"
        least, machine = node_type.get("min_workers", 0), node_type["node_config"]
        if name == head_name:
            if node_type["resources"]["CPU"] or node_type["max_workers"]:
                raise SpecError(key, "the head takes no work: resources.CPU and max_workers must be 0")
            if spot_key in machine:
                problem = "the head must be on demand: with it, the cluster goes"
                raise SpecError(f"{key}.node_config", problem)
            continue
        wanted = f"worker_{machine[machine_key]}"
        if name != wanted:
            raise SpecError(key, "a worker's name says its machine", value=name, allowed=(wanted,))
        if least:
            raise SpecError(f"{key}.min_workers", f"must be 0, or it costs while idle (given: {least})")
        if spot_key not in machine:
            raise SpecError(f"{key}.node_config", "workers are on spot; nothing is lost when they go")
