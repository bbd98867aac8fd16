"""Ray's own reading of a launcher file. One of the doors to Ray."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Mapping
from typing import Any

from backtune.errors import SpecError


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
        text = str(getattr(error, "message", "") or error) or said.getvalue()
        raise SpecError(_key(error), f"Ray refuses it: {text.strip().splitlines()[0]}") from None


def _key(error: BaseException) -> str:
    return ".".join(str(part) for part in getattr(error, "absolute_path", ())) or "file"
