"""What a cluster file says in text and not in keys: environment variables, options of ``docker run`` and ``ray start``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from backtune.errors import SpecError

# Ours and those of Ray and AWS that matter here: a misspelt one would do nothing, and nobody would say so.
VARIABLES: Final = (
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_SHARED_CREDENTIALS_FILE",
    "BACKTUNE_HOME", "BACKTUNE_RUNS",
    "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_JOB_STOP_WAIT_TIME_S", "RAY_USAGE_STATS_ENABLED",
    "RAY_enable_metrics_collection",
)  # fmt: skip
_NEEDED: Final = ("BACKTUNE_HOME", "BACKTUNE_RUNS", "RAY_JOB_STOP_WAIT_TIME_S")
_OURS: Final = ("AWS_", "BACKTUNE_", "RAY_")
_SECRET: Final = re.compile(r"(TOKEN|SECRET|PASSWORD|ACCESS_KEY(_ID)?)$")
_DOCKER: Final = ("cpus", "env", "env-file", "memory", "shm-size", "ulimit", "volume")
_START: Final = (
    "address", "autoscaling-config", "block", "dashboard-host", "dashboard-port", "disable-usage-stats", "head",
    "include-dashboard", "labels", "memory", "metrics-export-port", "node-ip-address", "num-cpus", "object-manager-port",
    "object-store-memory", "port", "ray-client-server-port", "resources", "temp-dir",
)  # fmt: skip


def check_variables(given: Mapping[str, str], key: str) -> None:
    """Refuse a misspelt, a missing and a secret variable.

    Args:
        key: where they stand in the file.

    Raises:
        SpecError: names the variable.
    """
    for name in given:
        if name.startswith(_OURS) and name not in VARIABLES:
            raise SpecError(
                key, f"{name} is not a variable that anything reads", value=name, allowed=VARIABLES
            )
        if _SECRET.search(name):
            raise SpecError(
                key, f"{name} is a secret, and this file is not; give a file or a role", value=name
            )
    for name in _NEEDED:
        if not given.get(name):
            raise SpecError(key, f"{name} is missing")
    wait = given["RAY_JOB_STOP_WAIT_TIME_S"]
    if not wait.isdigit() or int(wait) < 10:
        problem = (
            f"RAY_JOB_STOP_WAIT_TIME_S must be 10 seconds or more, to write what is done (given: {wait!r})"
        )
        raise SpecError(key, problem, value=wait)


def variables_of(run_options: list[str], key: str) -> dict[str, str]:
    """The environment in options of ``docker run``, each written ``--name=value``.

    Raises:
        SpecError: an option is misspelt or is written otherwise.
    """
    found = {}
    for i, option in enumerate(run_options):
        name, value = _option(option, f"{key}[{i}]", _DOCKER)
        if name == "env":
            variable, equals, content = value.partition("=")
            if not equals:
                raise SpecError(f"{key}[{i}]", f"{option!r} gives no value", value=option)
            found[variable] = content
    return found


def start_options(commands: Iterable[str], key: str) -> dict[str, str]:
    """The options of the one ``ray start`` among shell commands, without their dashes.

    Raises:
        SpecError: there is none or several, or an option is misspelt.
    """
    found = [
        (i, part.split()[2:])
        for i, command in enumerate(commands)
        for part in map(str.strip, command.split(";"))
        if part.split()[:2] == ["ray", "start"]
    ]
    if len(found) != 1:
        raise SpecError(key, f"must have one `ray start` (found: {len(found)})")
    i, words = found[0]
    return dict(_option(word, f"{key}[{i}]", _START) for word in shlex.split(" ".join(words)))


def _option(text: str, key: str, allowed: tuple[str, ...]) -> tuple[str, str]:
    if not text.startswith("--"):
        raise SpecError(key, f"{text!r} must be written --name=value", value=text)
    name, _, value = text[2:].partition("=")
    if name not in allowed:
        raise SpecError(key, f"{text!r} is not known", value=name, allowed=allowed)
    return name, value
