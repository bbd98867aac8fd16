"""KubeRay's manifests, as far as we use them, and what has to hold between their parts."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Literal

from pydantic import Field

from backtune.cluster.part import CamelPart, Count, KebabPart, SnakePart, Text, read
from backtune.cluster.pods import Metadata, PodTemplate, Resources, ValueFrom, Variable
from backtune.cluster.settings import check_variables
from backtune.errors import SpecError
from backtune.spec.documents import read_text


class _Autoscaler(CamelPart):
    version: Literal["v2"]
    idle_timeout_seconds: Annotated[int, Field(gt=0)]
    upscaling_mode: Literal["Default", "Conservative", "Aggressive"]
    resources: Resources


class _Auth(CamelPart):
    mode: Literal["token"]
    secret_name: Text | None = None


class _Password(CamelPart):
    value_from: ValueFrom


class _FaultTolerance(CamelPart):
    redis_address: Annotated[str, Field(pattern=r"^rediss?://\S+:\d+$")]
    redis_password: _Password
    external_storage_namespace: Text | None = None


class _HeadStart(KebabPart):
    """Values are text, which becomes options of ``ray start``."""

    num_cpus: Literal["0"]
    dashboard_host: Literal["0.0.0.0"]  # noqa: S104
    metrics_export_port: Text | None = None


class _WorkerStart(KebabPart):
    num_cpus: Annotated[str, Field(pattern=r"^[1-9]\d*$")]
    object_store_memory: Annotated[str, Field(pattern=r"^\d+$")] | None = None


class _Head(CamelPart):
    service_type: Literal["ClusterIP"]
    ray_start_params: _HeadStart
    template: PodTemplate


class _Worker(CamelPart):
    group_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    replicas: Literal[0]
    min_replicas: Literal[0]
    max_replicas: Annotated[int, Field(gt=0)]
    ray_start_params: _WorkerStart
    template: PodTemplate


class ClusterSpec(CamelPart):
    ray_version: Text
    enable_in_tree_autoscaling: Literal[True]
    autoscaler_options: _Autoscaler
    auth_options: _Auth
    gcs_fault_tolerance_options: _FaultTolerance
    head_group_spec: _Head
    worker_group_specs: Annotated[list[_Worker], Field(min_length=1)]


class RayCluster(CamelPart):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class _JobSpec(CamelPart):
    """The deadline is the cap on what a job costs, so it has to be there."""

    entrypoint: Text
    submission_mode: Literal["HTTPMode", "K8sJobMode"]
    runtime_env: str | None = Field(default=None, alias="runtimeEnvYAML")
    active_deadline_seconds: Annotated[int, Field(gt=0)]
    shutdown_after_job_finishes: Literal[True]
    ttl_seconds_after_finished: Count
    backoff_limit: Count
    ray_cluster_spec: ClusterSpec


class RayJob(CamelPart):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: _JobSpec


class _RuntimeEnvironment(SnakePart):
    env_vars: dict[str, str]
    working_dir: Text | None = None


def check_ray_cluster(manifest: RayCluster) -> None:
    """Check what has to hold between the parts.

    Raises:
        SpecError: names the key.
    """
    _check(manifest.spec, "spec")


def check_ray_job(manifest: RayJob) -> None:
    """The same for a job with a cluster of its own.

    Raises:
        SpecError: names the key.
    """
    _check(manifest.spec.ray_cluster_spec, "spec.rayClusterSpec")
    if manifest.spec.runtime_env is not None:
        _check_runtime_environment(manifest.spec.runtime_env)


def _check(spec: ClusterSpec, key: str) -> None:
    wanted = version("ray")
    if spec.ray_version != wanted:
        problem = f"{spec.ray_version!r} is not Ray {wanted}, which is installed here"
        raise SpecError(f"{key}.rayVersion", problem, value=spec.ray_version, allowed=(wanted,))
    head = spec.head_group_spec.template
    groups = {f"{key}.headGroupSpec.template": (head, "head")}
    for i, group in enumerate(spec.worker_group_specs):
        groups[f"{key}.workerGroupSpecs[{i}].template"] = (group.template, "worker")
    for place, (template, component) in groups.items():
        _check_pod(template, component, place)
    images = {template.spec.containers[0].image for template, _ in groups.values()}
    if len(images) > 1:
        raise SpecError(key, f"head and workers must have one image (given: {', '.join(sorted(images))})")


def _check_pod(template: PodTemplate, component: str, key: str) -> None:
    labels = template.metadata.labels
    if labels.part_of is None or labels.component != component:
        problem = "must be part-of backtune and component " + component + ", or network-policy.yaml misses it"
        raise SpecError(f"{key}.metadata.labels", problem)
    pod, container = template.spec, template.spec.containers[0]
    place = f"{key}.spec.containers[0]"
    check_variables(_plain(container.env), f"{place}.env")
    volumes = [volume.name for volume in pod.volumes]
    for i, mount in enumerate(container.volume_mounts):
        if mount.name not in volumes:
            problem = f"{mount.name!r} is no volume of the pod"
            raise SpecError(f"{place}.volumeMounts[{i}].name", problem, value=mount.name, allowed=volumes)
    if container.image.endswith(":latest"):
        raise SpecError(f"{place}.image", "must be pinned to a version", value=container.image)


def _plain(variables: list[Variable]) -> dict[str, str]:
    return {one.name: one.value or "" for one in variables if one.value_from is None}


def _check_runtime_environment(text: str) -> None:
    key = "spec.runtimeEnvYAML"
    document = read_text(text, key)
    try:
        environment = read(_RuntimeEnvironment, document.value)
    except SpecError as error:
        raise SpecError(key, str(error), value=error.value) from None
    needed = {"BACKTUNE_HOME": "-", "BACKTUNE_RUNS": "-", "RAY_JOB_STOP_WAIT_TIME_S": "60"}
    check_variables({**needed, **environment.env_vars}, f"{key}.env_vars")
