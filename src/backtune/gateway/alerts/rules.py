"""The file of alerts: the targets, and the events that each is notified of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from backtune.errors import SpecError
from backtune.spec import to_spec_error
from backtune.spec.documents import RepeatedKeyError, read_document

AlertKind = Literal["finished", "failed", "drawdown", "sharpe"]
_ALL_KINDS: Final[tuple[AlertKind, ...]] = ("finished", "failed", "drawdown", "sharpe")


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_StrictModel):
    """A person or a program that is notified.

    Attributes:
        name: The name in the log and in the database; the address is a secret.
        url: The address in Apprise's form, such as ``mailto://...``, ``https://hooks.slack.com/services/...`` or the https
            address of a webhook.
        url_env: The name of an environment variable that holds the address, so that the file holds no secret.
        when: The kinds of events that it is notified of.
    """

    name: Annotated[str, Field(pattern=r"^[\w .-]{1,40}$")]
    url: SecretStr | None = None
    url_env: str | None = None
    when: Annotated[tuple[AlertKind, ...], Field(min_length=1)] = _ALL_KINDS


class AlertRules(_StrictModel):
    """The content of the file of alerts.

    Attributes:
        max_drawdown: The greatest drawdown of a job's best result that is no event, as a fraction.
        min_sharpe: The smallest Sharpe ratio of a job's best result that is no event; an undefined one is an event.
    """

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    max_drawdown: Annotated[float, Field(ge=0, le=1)] | None = None
    min_sharpe: float | None = None

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str] = os.environ) -> AlertRules:
        """Read the file, and the environment variables that it names.

        Raises:
            SpecError: The file cannot be read, a key is wrong, or a variable is not set; the error shows no address.
        """
        if not path.is_file():
            raise SpecError("--alerts", f"{path.name} cannot be read: there is no such file")
        try:
            document = read_document(path)
        except RepeatedKeyError as error:
            raise SpecError("--alerts", f"{path.name}: {error.path} {error.problem}") from None
        except SpecError:
            # Its message may quote the file, which may hold a secret.
            raise SpecError("--alerts", f"{path.name} is not YAML that can be read") from None
        try:
            rules = cls.model_validate(document.value)
        except ValidationError as error:
            raise to_spec_error(error, cls, "alerts", has_secrets=True) from None
        names = [target.name for target in rules.targets]
        # The database compares names without regard to case.
        if len({name.lower() for name in names}) != len(names):
            raise SpecError("alerts.targets", "two have the same name", value=names)
        targets = [_resolve_url(target, i, environment) for i, target in enumerate(rules.targets)]
        return rules.model_copy(update={"targets": tuple(targets)})


def _resolve_url(target: Target, i: int, environment: Mapping[str, str]) -> Target:
    key = f"alerts.targets.{i}"
    if (target.url is None) == (target.url_env is None):
        raise SpecError(key, "needs url or url_env", value=target.name)
    if target.url_env is None:
        return target
    url = environment.get(target.url_env)
    if not url:
        raise SpecError(f"{key}.url_env", "is not set in the environment", value=target.url_env)
    return target.model_copy(update={"url": SecretStr(url)})
