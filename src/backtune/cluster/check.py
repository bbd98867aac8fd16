"""The check of cluster files, which asks no cloud for anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backtune.cluster.kuberay import check_ray_cluster, check_ray_job
from backtune.cluster.kubernetes import check_manifest
from backtune.cluster.launcher_file import check_launcher_file
from backtune.cluster.schemas import format_key
from backtune.errors import SpecError
from backtune.spec.documents import read_documents

_BLANK: Final = re.compile("CHANGE-ME|^192\\.0\\.2\\.")
_KINDS: Final = ("RayCluster", "RayJob", "NetworkPolicy")


@dataclass(frozen=True)
class CheckedFile:
    """A file in which nothing is wrong.

    Attributes:
        path: The file.
        kinds: The kind of each document, such as ``launcher file (aws)`` or ``RayJob``.
        blanks: The keys whose values are still to be filled in.
    """

    path: Path
    kinds: tuple[str, ...]
    blanks: tuple[str, ...]


def check_file(path: Path) -> CheckedFile:
    """Check every document of a file.

    Raises:
        SpecError: The first thing that is wrong, with the file and the key.
        MissingPackageError: The package that knows the keys is not installed.
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
        blanks += [format_key(place) for place in _find_blanks(document)]
    return CheckedFile(path, tuple(kinds), tuple(blanks))


def check_document(document: Any) -> str:
    """Check one document in plain values, and return its kind.

    Raises:
        SpecError: The first thing that is wrong, with its key.
        MissingPackageError: The package that knows the keys is not installed.
    """
    if not isinstance(document, Mapping):
        raise SpecError("file", "must be a mapping of keys")
    if "kind" not in document and "apiVersion" not in document:
        return f"launcher file ({check_launcher_file(document)})"
    kind = document.get("kind")
    if kind not in _KINDS:
        raise SpecError("kind", f"{kind!r} is not known", value=kind, allowed=_KINDS)
    check_manifest(document)
    if kind == "RayCluster":
        check_ray_cluster(document["spec"], "spec")
    elif kind == "RayJob":
        check_ray_job(document["spec"])
    return str(kind)


def _find_blanks(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _find_blanks(inner, (*place, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _find_blanks(inner, (*place, i))
    elif isinstance(value, str) and _BLANK.search(value):
        yield place
