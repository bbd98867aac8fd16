"""``backtune cluster check``: whether a file is what it means to be, before a cloud is asked for anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from backtune.cluster.kuberay import RayCluster, RayJob, check_ray_cluster, check_ray_job
from backtune.cluster.launcher_file import BY_PROVIDER
from backtune.cluster.launcher_rules import check_launcher_file
from backtune.cluster.network_policy import NetworkPolicy
from backtune.cluster.part import dotted, read
from backtune.cluster.ray_launcher import check_with_ray
from backtune.errors import SpecError
from backtune.spec.documents import read_documents

_BLANK: Final = re.compile("CHANGE-ME|^192\\.0\\.2\\.")
_KINDS: Final[dict[str, tuple[type[BaseModel], Callable[[Any], None]]]] = {
    "RayCluster": (RayCluster, check_ray_cluster),
    "RayJob": (RayJob, check_ray_job),
    "NetworkPolicy": (NetworkPolicy, lambda _: None),
}


@dataclass(frozen=True)
class Checked:
    """A file in which nothing is wrong.

    Attributes:
        kinds: of its documents, such as ``launcher file (aws)`` or ``RayJob``.
        blanks: keys whose values are still to be filled in.
    """

    path: Path
    kinds: tuple[str, ...]
    blanks: tuple[str, ...]


def check_file(path: Path) -> Checked:
    """Check every document of a file.

    Raises:
        SpecError: the first thing that is wrong, with the file and the key.
    """
    documents = [document.value for document in read_documents(path)]
    if not documents:
        raise SpecError(str(path), "is empty")
    kinds, blanks = [], []
    for i, document in enumerate(documents):
        where = f"{path}, document {i + 1}" if len(documents) > 1 else str(path)
        try:
            kinds.append(check_document(document))
        except SpecError as error:
            raise SpecError(where, str(error), value=error.value) from error
        blanks += [dotted(place) for place in _blanks(document)]
    return Checked(path, tuple(kinds), tuple(blanks))


def check_document(document: Any) -> str:
    """Check one document, in plain values; gives its kind.

    Raises:
        SpecError: the first thing that is wrong, with its key.
    """
    if not isinstance(document, Mapping):
        raise SpecError("file", "must be a mapping of keys")
    if "kind" in document or "apiVersion" in document:
        kind = document.get("kind")
        if kind not in _KINDS:
            raise SpecError("kind", f"{kind!r} is not known", value=kind, allowed=_KINDS)
        part, rules = _KINDS[kind]
        rules(read(part, document))
        return str(kind)
    return _check_launcher_file(document)


def _check_launcher_file(document: Mapping[str, Any]) -> str:
    provider = document.get("provider")
    given = provider.get("type") if isinstance(provider, Mapping) else None
    if given not in BY_PROVIDER:
        raise SpecError("provider.type", f"{given!r} is not known", value=given, allowed=BY_PROVIDER)
    check_launcher_file(read(BY_PROVIDER[given], document))
    check_with_ray(document)
    return f"launcher file ({given})"


def _blanks(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _blanks(inner, (*place, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _blanks(inner, (*place, i))
    elif isinstance(value, str) and _BLANK.search(value):
        yield place
