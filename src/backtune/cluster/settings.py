"""Settings that a cluster file gives as text: environment variables, options of ``docker run`` and ``ray start``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from backtune.cluster.ray_launcher import start_option_names
from backtune.errors import SpecError

# A misspelt variable would be ignored without a message.
VARIABLES: Final = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "BACKTUNE_HOME",
    "BACKTUNE_RUNS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_JOB_STOP_WAIT_TIME_S",
    "RAY_USAGE_STATS_ENABLED",
    "RAY_enable_metrics_collection",
)
_NEEDED: Final = ("BACKTUNE_HOME", "BACKTUNE_RUNS", "RAY_JOB_STOP_WAIT_TIME_S")
_KNOWN_PREFIXES: Final = ("AWS_", "BACKTUNE_", "RAY_")
_SECRET: Final = re.compile(r"(TOKEN|SECRET|PASSWORD|ACCESS_KEY(_ID)?)$")
_DOCKER_OPTIONS: Final = ("cpus", "env", "env-file", "memory", "shm-size", "ulimit", "volume")


def check_variables(variables: Mapping[str, str], key: str) -> None:
    """Refuse a misspelt, a missing and a secret variable.

    Raises:
        SpecError: Names the variable.
    """
    for name in variables:
        if name.startswith(_KNOWN_PREFIXES) and name not in VARIABLES:
            problem = f"{name} is not a variable that anything reads"
            raise SpecError(key, problem, value=name, allowed=VARIABLES)
        if _SECRET.search(name):
            problem = f"{name} is a secret, and this file is not; give a file or a role"
            raise SpecError(key, problem, value=name)
    for name in _NEEDED:
        if not variables.get(name):
            raise SpecError(key, f"{name} is missing")
    wait = variables["RAY_JOB_STOP_WAIT_TIME_S"]
    if not wait.isdigit() or int(wait) < 10:
        problem = "must be 10 seconds or more, to write the trials that are done"
        raise SpecError(key, f"RAY_JOB_STOP_WAIT_TIME_S {problem} (given: {wait!r})", value=wait)


def parse_run_options(run_options: list[str], key: str) -> dict[str, str]:
    """Return the environment that options of ``docker run`` set, each written ``--name=value``.

    Raises:
        SpecError: An option is misspelt or is written otherwise.
    """
    variables = {}
    for i, option in enumerate(run_options):
        name, value = _split_option(option, f"{key}[{i}]", _DOCKER_OPTIONS)
        if name == "env":
            variable, equals, content = value.partition("=")
            if not equals:
                raise SpecError(f"{key}[{i}]", f"{option!r} gives no value", value=option)
            variables[variable] = content
    return variables


def parse_start_options(commands: Iterable[str], key: str) -> dict[str, str]:
    """Return the options of the one ``ray start`` among shell commands, without their dashes.

    Raises:
        SpecError: There is none or several, or an option is misspelt.
    """
    starts = [
        (i, part.split()[2:])
        for i, command in enumerate(commands)
        for part in map(str.strip, command.split(";"))
        if part.split()[:2] == ["ray", "start"]
    ]
    if len(starts) != 1:
        raise SpecError(key, f"must have one `ray start` (found: {len(starts)})")
    i, words = starts[0]
    known = start_option_names()
    return dict(_split_option(word, f"{key}[{i}]", known) for word in shlex.split(" ".join(words)))


def _split_option(text: str, key: str, known: tuple[str, ...]) -> tuple[str, str]:
    if not text.startswith("--"):
        raise SpecError(key, f"{text!r} must be written --name=value", value=text)
    name, _, value = text[2:].partition("=")
    if name not in known:
        raise SpecError(key, f"{text!r} is not known", value=name, allowed=known)
    return name, value
