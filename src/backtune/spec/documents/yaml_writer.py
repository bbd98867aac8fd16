"""The writer of YAML."""

from __future__ import annotations

import yaml

from backtune.spec.documents.yaml_resolver import RESOLVERS


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes every text that the reader here, or PyYAML's own, would take for something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [*RESOLVERS.get(first, []), *yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])]
        for first in {*RESOLVERS, *yaml.SafeDumper.yaml_implicit_resolvers}
    }


def to_yaml(content: object) -> str:
    """Return plain values as YAML, keys in their order."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
