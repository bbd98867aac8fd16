"""The check of KubeRay's manifests: the relations between their parts, and the documents inside them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from backtune.cluster.schemas import check_schema
from backtune.cluster.settings import check_variables
from backtune.errors import SpecError
from backtune.spec.documents import read_text

_RUNTIME_ENVIRONMENT: Final = {
    "type": "object",
    "required": ["env_vars"],
    "properties": {
        "env_vars": {"type": "object", "additionalProperties": {"type": "string"}},
        "working_dir": {"type": "string", "minLength": 1},
    },
    "additionalProperties": False,
}
_PART_OF: Final = "app.kubernetes.io/part-of"
_COMPONENT: Final = "app.kubernetes.io/component"


def check_ray_cluster(spec: Mapping[str, Any], key: str) -> None:
    """Check the spec of a cluster: Ray's version, and that head and workers are of one image.

    Raises:
        SpecError: Names the key.
    """
    wanted = version("ray")
    given = spec["rayVersion"]
    if given != wanted:
        problem = f"{given!r} is not Ray {wanted}, which is installed here"
        raise SpecError(f"{key}.rayVersion", problem, value=given, allowed=(wanted,))
    head, workers = spec["headGroupSpec"], spec["workerGroupSpecs"]
    _check_group(head, "head", f"{key}.headGroupSpec")
    for i, group in enumerate(workers):
        _check_group(group, "worker", f"{key}.workerGroupSpecs[{i}]")
    images = {group["template"]["spec"]["containers"][0]["image"] for group in [head, *workers]}
    if len(images) > 1:
        raise SpecError(key, f"head and workers must have one image (given: {', '.join(sorted(images))})")


def check_ray_job(spec: Mapping[str, Any]) -> None:
    """Check the spec of a job with a cluster of its own.

    Raises:
        SpecError: Names the key.
    """
    check_ray_cluster(spec["rayClusterSpec"], "spec.rayClusterSpec")
    if "runtimeEnvYAML" not in spec:
        return
    key = "spec.runtimeEnvYAML"
    environment = read_text(spec["runtimeEnvYAML"], key).value
    try:
        check_schema(environment, _RUNTIME_ENVIRONMENT)
    except SpecError as error:
        raise SpecError(key, str(error), value=error.value) from None
    # The others are those of the cluster.
    needed = {"BACKTUNE_HOME": "-", "BACKTUNE_RUNS": "-", "RAY_JOB_STOP_WAIT_TIME_S": "60"}
    check_variables({**needed, **environment["env_vars"]}, f"{key}.env_vars")


def _check_group(group: Mapping[str, Any], component: str, key: str) -> None:
    template, key = group["template"], f"{key}.template"
    labels = template["metadata"]["labels"]
    if _PART_OF not in labels or labels.get(_COMPONENT) != component:
        problem = f"must be part-of backtune and component {component}, or network-policy.yaml misses it"
        raise SpecError(f"{key}.metadata.labels", problem)
    container, key = template["spec"]["containers"][0], f"{key}.spec.containers[0]"
    plain = {one["name"]: one.get("value") or "" for one in container["env"] if "valueFrom" not in one}
    check_variables(plain, f"{key}.env")
    volumes = [volume["name"] for volume in template["spec"]["volumes"]]
    for i, mount in enumerate(container["volumeMounts"]):
        name = mount["name"]
        if name not in volumes:
            problem = f"{name!r} is no volume of the pod"
            raise SpecError(f"{key}.volumeMounts[{i}].name", problem, value=name, allowed=volumes)
    if container["image"].endswith(":latest"):
        raise SpecError(f"{key}.image", "must be pinned to a version", value=container["image"])
