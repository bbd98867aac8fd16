"""The check of a launcher file by Ray itself. One of the doors to Ray."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from backtune.errors import SpecError


@cache
def launcher_schema() -> Mapping[str, Any]:
    """Return the JSON schema that Ray holds a launcher file to, once it has filled in its defaults."""
    import ray.autoscaler

    path = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    schema: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


@cache
def start_option_names() -> tuple[str, ...]:
    """Return the long options of ``ray start``, without their dashes."""
    from ray.scripts.scripts import start

    options = [option for parameter in start.params for option in parameter.opts]
    return tuple(sorted(option[2:] for option in options if option.startswith("--")))


def check_with_ray(document: Mapping[str, Any]) -> None:
    """Fill in Ray's defaults and validate the result, as ``ray up`` does before it calls the cloud.

    Raises:
        SpecError: Ray would refuse the file.
    """
    from ray.autoscaler._private.util import prepare_config, validate_config

    said = io.StringIO()
    try:
        # For people at a terminal, Ray prints and exits.
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            validate_config(prepare_config(copy.deepcopy(dict(document))))
    except (Exception, SystemExit) as error:  # noqa: BLE001
        key = ".".join(str(part) for part in getattr(error, "absolute_path", ())) or "file"
        text = str(getattr(error, "message", "") or error) or said.getvalue()
        raise SpecError(key, f"Ray refuses it: {text.strip().splitlines()[0]}") from None
