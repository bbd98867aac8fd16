"""The check of the machines in a launcher file against Amazon's API model. The only door to botocore."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from backtune.errors import MissingPackageError, SpecError

# A line of botocore's report: the place, "input" at the top; the key; and the keys that are known there.
_UNKNOWN: Final = re.compile(
    r'Unknown parameter in (?P<place>\S+): "(?P<key>.+?)", must be one of: (?P<known>.+)'
)


def check_machine(node_config: Mapping[str, Any], key: str) -> None:
    """Check that EC2 would take the parameters of a machine, as far as their names and types go.

    Args:
        node_config: Parameters of ``RunInstances``, and ``SubnetIds``, which Ray takes out before it asks.
        key: Key of the machine in the file.

    Raises:
        SpecError: A parameter is unknown, missing or of the wrong type.
        MissingPackageError: boto3 is not installed.
    """
    asked = {name: value for name, value in node_config.items() if name != "SubnetIds"}
    validator, shape = _run_instances()
    report = validator.validate({**asked, "MinCount": 1, "MaxCount": 1}, shape)
    if not report.has_errors():
        return
    problems = report.generate_report()
    unknown = _UNKNOWN.search(problems)
    if unknown is None:
        raise SpecError(key, f"EC2 refuses it: {problems.splitlines()[0]}")
    place = key if unknown["place"] == "input" else f"{key}.{unknown['place']}"
    name, known = unknown["key"], unknown["known"].split(", ")
    raise SpecError(f"{place}.{name}", "unknown key", value=name, allowed=known)


@cache
def _run_instances() -> tuple[Any, Any]:
    try:
        from botocore.session import get_session
        from botocore.validate import ParamValidator
    except ModuleNotFoundError:
        raise MissingPackageError("checking a launcher file for aws", "boto3", "cluster") from None
    model = get_session().get_service_model("ec2")
    return ParamValidator(), model.operation_model("RunInstances").input_shape
