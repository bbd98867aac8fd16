"""Kubernetes pods, as far as our manifests use them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backtune.cluster.part import CamelPart, Port, Text

Quantity = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?$")]
# Where the providers say that a machine may be taken away.
SpotKey = Literal["cloud.google.com/gke-spot", "eks.amazonaws.com/capacityType", "karpenter.sh/capacity-type"]


class Labels(CamelPart):
    """Those that our policies and services select by: a misspelt one would select nothing, in silence."""

    part_of: Literal["backtune"] | None = Field(default=None, alias="app.kubernetes.io/part-of")
    component: Literal["head", "worker", "gateway", "mlflow"] | None = Field(
        default=None, alias="app.kubernetes.io/component"
    )


class Metadata(CamelPart):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    namespace: Text | None = None
    labels: Labels


class PodMetadata(CamelPart):
    labels: Labels


class KeyOfSecret(CamelPart):
    name: Text
    key: Text


class ValueFrom(CamelPart):
    secret_key_ref: KeyOfSecret


class Variable(CamelPart):
    name: Text
    value: str | None = None
    value_from: ValueFrom | None = None


class ContainerPort(CamelPart):
    name: Literal["gcs", "dashboard", "client", "metrics"]
    container_port: Port


class Amounts(CamelPart):
    cpu: Quantity | None = None
    memory: Quantity | None = None


class Resources(CamelPart):
    """Without a limit of processor time: it would throttle what is free."""

    requests: Amounts
    limits: Amounts


class Capabilities(CamelPart):
    drop: list[Literal["ALL"]]


class ContainerSecurity(CamelPart):
    allow_privilege_escalation: Literal[False]
    capabilities: Capabilities


class VolumeMount(CamelPart):
    name: Text
    mount_path: Annotated[str, Field(pattern=r"^/")]


class Container(CamelPart):
    name: Literal["ray"]
    image: Annotated[str, Field(pattern=r"^\S+:\S+$")]
    image_pull_policy: Literal["IfNotPresent", "Always"]
    env: list[Variable]
    ports: list[ContainerPort]
    resources: Resources
    security_context: ContainerSecurity
    volume_mounts: list[VolumeMount]


class EmptyDir(CamelPart):
    medium: Literal["Memory"] | None = None
    size_limit: Quantity


class Volume(CamelPart):
    name: Text
    empty_dir: EmptyDir


class Seccomp(CamelPart):
    type: Literal["RuntimeDefault"]


class PodSecurity(CamelPart):
    run_as_non_root: Literal[True]
    run_as_user: Annotated[int, Field(gt=0)]
    run_as_group: Annotated[int, Field(gt=0)]
    fs_group: Annotated[int, Field(gt=0)]
    seccomp_profile: Seccomp


class NodeExpression(CamelPart):
    key: SpotKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[Text] | None = None


class NodeTerm(CamelPart):
    match_expressions: Annotated[list[NodeExpression], Field(min_length=1)]


class NodeTerms(CamelPart):
    node_selector_terms: Annotated[list[NodeTerm], Field(min_length=1)]


class Preference(CamelPart):
    weight: Annotated[int, Field(ge=1, le=100)]
    preference: NodeTerm


class NodeAffinity(CamelPart):
    required: NodeTerms | None = Field(default=None, alias="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: list[Preference] | None = Field(
        default=None, alias="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(CamelPart):
    node_affinity: NodeAffinity


class Toleration(CamelPart):
    key: Literal[SpotKey, "backtune/spot"]
    operator: Literal["Equal", "Exists"]
    value: Text | None = None
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"]


class PodSpec(CamelPart):
    service_account_name: Text
    automount_service_account_token: bool
    restart_policy: Literal["Never"]
    termination_grace_period_seconds: Annotated[int, Field(ge=10)]
    security_context: PodSecurity
    containers: Annotated[list[Container], Field(min_length=1, max_length=1)]
    volumes: list[Volume]
    affinity: Affinity
    tolerations: list[Toleration] | None = None


class PodTemplate(CamelPart):
    metadata: PodMetadata
    spec: PodSpec
