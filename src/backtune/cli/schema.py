"""``backtune schema``."""

from __future__ import annotations

from backtune.cli.options import print_json


def schema() -> None:
    """Print the JSON Schema of a spec, with which an editor completes and checks keys."""
    from backtune.spec.schema import build_spec_schema

    print_json(build_spec_schema())
