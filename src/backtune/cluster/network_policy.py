"""Kubernetes network policies, as far as we use them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backtune.cluster.part import CamelPart, Port, Text
from backtune.cluster.pods import Metadata

_Component = Literal["app.kubernetes.io/component", "app.kubernetes.io/part-of"]
_Cidr = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+\.\d+/\d+$")]


class _Labels(CamelPart):
    """Of our pods, and of those that they talk to."""

    part_of: Literal["backtune"] | None = Field(default=None, alias="app.kubernetes.io/part-of")
    component: Literal["head", "worker", "gateway", "mlflow"] | None = Field(
        default=None, alias="app.kubernetes.io/component"
    )
    name: Literal["kuberay", "prometheus", "redis"] | None = Field(
        default=None, alias="app.kubernetes.io/name"
    )
    namespace: Text | None = Field(default=None, alias="kubernetes.io/metadata.name")


class _Expression(CamelPart):
    key: _Component
    operator: Literal["In"]
    values: Annotated[list[Literal["backtune", "head", "worker", "gateway", "mlflow"]], Field(min_length=1)]


class _Selector(CamelPart):
    match_labels: _Labels | None = None
    match_expressions: list[_Expression] | None = None


class _Block(CamelPart):
    cidr: _Cidr
    besides: list[_Cidr] | None = Field(default=None, alias="except")


class _Peer(CamelPart):
    namespace_selector: _Selector | None = None
    pod_selector: _Selector | None = None
    ip_block: _Block | None = None


class _PolicyPort(CamelPart):
    protocol: Literal["TCP", "UDP"]
    port: Port


class _Ingress(CamelPart):
    """Without ``from`` it would let everyone in, so it has to be there."""

    peers: Annotated[list[_Peer], Field(alias="from", min_length=1)]
    ports: list[_PolicyPort] | None = None


class _Egress(CamelPart):
    to: Annotated[list[_Peer], Field(min_length=1)]
    ports: list[_PolicyPort] | None = None


class _Spec(CamelPart):
    pod_selector: _Selector
    policy_types: Annotated[list[Literal["Ingress", "Egress"]], Field(min_length=2, max_length=2)]
    ingress: list[_Ingress]
    egress: list[_Egress]


class NetworkPolicy(CamelPart):
    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    metadata: Metadata
    spec: _Spec
