"""Reading YAML that means what it says: a key that stands twice is an error, not a choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from backtune.errors import SpecError

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's, refusing a second key of the same name; a key beside a merged one may replace it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != _MERGE and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_documents(path: Path) -> list[Any]:
    """The documents of a YAML file, in plain values.

    Raises:
        SpecError: it cannot be read, is not YAML, or holds none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        documents = [one for one in yaml.load_all(text, _Loader) if one is not None]
    except OSError as error:
        raise SpecError(str(path), error.strerror or str(error), value=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(str(path), f"is not YAML that can be read: {_where(error)}") from None
    if not documents:
        raise SpecError(str(path), "is empty")
    return documents


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
