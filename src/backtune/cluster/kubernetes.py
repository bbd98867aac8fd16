"""The check of manifests against Kubernetes' own schemas. The only door to kubernetes-validate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from backtune.cluster.schemas import check_schema, load_rules, make_registry
from backtune.errors import MissingPackageError

_VERSION: Final = "1.34"


def check_manifest(document: Mapping[str, Any]) -> None:
    """Check that a manifest obeys Kubernetes' schemas and this project's rules for its kind.

    Raises:
        SpecError: The first thing that is wrong, with its key.
        MissingPackageError: kubernetes-validate is not installed.
    """
    check_schema(document, load_rules("kubernetes"), document["kind"], _load_registry())


@cache
def _load_registry() -> Any:
    try:
        from kubernetes_validate.utils import schema_contents
    except ModuleNotFoundError:
        raise MissingPackageError("checking a manifest", "kubernetes-validate", "cluster") from None
    path = f"kubernetes-json-schema/v{_VERSION}.0-local-strict/_definitions.json"
    return make_registry(schema_contents(path, _VERSION))
