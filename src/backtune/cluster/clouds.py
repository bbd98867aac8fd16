"""The machines that a launcher file asks a cloud for. Keys are those of the clouds' own interfaces that we use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backtune.cluster.part import CamelPart, Count, PascalPart, SnakePart, Text

Gigabytes = Annotated[int, Field(ge=10, le=16_384)]


class Profile(PascalPart):
    name: Text


class Metadata(PascalPart):
    """Of the instance: with a token only, and not from another machine."""

    http_tokens: Literal["required"]
    http_put_response_hop_limit: Annotated[int, Field(ge=1, le=2)] = 1


class Ebs(PascalPart):
    volume_size: Gigabytes
    volume_type: Literal["gp3"]
    encrypted: Literal[True]
    delete_on_termination: Literal[True]


class Disk(PascalPart):
    device_name: Text
    ebs: Ebs


class SpotOptions(PascalPart):
    spot_instance_type: Literal["one-time"]
    instance_interruption_behavior: Literal["terminate"]
    max_price: Text | None = None


class Market(PascalPart):
    market_type: Literal["spot"]
    spot_options: SpotOptions


class AwsMachine(PascalPart):
    """Of ``RunInstances``, and Ray's ``SubnetIds``."""

    instance_type: Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]
    image_id: Annotated[str, Field(pattern=r"^(ami-[0-9a-f]+|resolve:ssm:/\S+)$")]
    iam_instance_profile: Profile
    metadata_options: Metadata
    block_device_mappings: Annotated[list[Disk], Field(min_length=1)]
    instance_market_options: Market | None = None
    key_name: Text | None = None
    subnet_ids: list[Text] | None = None
    security_group_ids: list[Text] | None = None

    @property
    def machine(self) -> str:
        return self.instance_type

    @property
    def is_spot(self) -> bool:
        return self.instance_market_options is not None


class InitializeParams(CamelPart):
    disk_size_gb: Gigabytes
    source_image: Annotated[str, Field(pattern=r"^projects/\S+$")]
    disk_type: Text | None = None


class GcpDisk(CamelPart):
    boot: bool
    auto_delete: Literal[True]
    type: Literal["PERSISTENT"]
    initialize_params: InitializeParams


class Scheduling(CamelPart):
    provisioning_model: Literal["SPOT"]
    instance_termination_action: Literal["DELETE", "STOP"]
    on_host_maintenance: Literal["TERMINATE"]
    automatic_restart: Literal[False]


class ServiceAccount(CamelPart):
    email: Text
    scopes: list[Text]


class GcpMachine(CamelPart):
    """Of ``instances.insert``."""

    machine_type: Annotated[str, Field(pattern=r"^[a-z0-9]+-[a-z0-9-]+$")]
    disks: Annotated[list[GcpDisk], Field(min_length=1)]
    scheduling: Scheduling | None = None
    service_accounts: list[ServiceAccount] | None = None
    min_cpu_platform: Text | None = None

    @property
    def machine(self) -> str:
        return self.machine_type

    @property
    def is_spot(self) -> bool:
        return self.scheduling is not None


class NodeResources(SnakePart):
    """What Ray counts on a machine of the type."""

    cpus: Count = Field(alias="CPU")
    gpus: Count | None = Field(default=None, alias="GPU")
    memory: Count | None = None
