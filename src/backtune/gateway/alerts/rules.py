"""The file of alerts: who is told what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from backtune.errors import SpecError
from backtune.spec import spec_error
from backtune.spec.documents import RepeatedKeyError, read_document

Kind = Literal["finished", "failed", "drawdown", "sharpe"]
KINDS: Final[tuple[Kind, ...]] = ("finished", "failed", "drawdown", "sharpe")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Section):
    """Who is told.

    Attributes:
        name: for the log and the outbox; the address is a secret.
        url: as Apprise has it, such as ``mailto://...``, ``https://hooks.slack.com/services/...`` or the https address
            of a webhook.
        url_env: name of a variable that holds the url, so that the file holds no secret.
        when: what it is told of.
        per_hour: messages at most; what comes beyond waits, and comes in one.
    """

    name: Annotated[str, Field(pattern=r"^[\w .-]{1,40}$")]
    url: SecretStr | None = None
    url_env: str | None = None
    when: Annotated[tuple[Kind, ...], Field(min_length=1)] = KINDS
    per_hour: Annotated[int, Field(ge=1, le=3600)] = 30


class AlertRules(_Section):
    """All of it.

    Attributes:
        max_drawdown: a job's best with a greater one is told; a fraction.
        min_sharpe: a job's best with a smaller Sharpe ratio, or an undefined one, is told.
    """

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    max_drawdown: Annotated[float, Field(ge=0, le=1)] | None = None
    min_sharpe: float | None = None

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str] = os.environ) -> AlertRules:
        """Read the file, and the variables that it names.

        Raises:
            SpecError: it cannot be read, a key is wrong, or a variable is not set; no address is told.
        """
        if not path.is_file():
            raise SpecError("--alerts", f"{path.name} cannot be read: there is no such file")
        try:
            document = read_document(path)
        except RepeatedKeyError as error:
            raise SpecError("--alerts", f"{path.name}: {error.path} {error.problem}") from None
        except SpecError:
            # Its message may quote what stands there, which may be a secret.
            raise SpecError("--alerts", f"{path.name} is not YAML that can be read") from None
        try:
            rules = cls.model_validate(document.value)
        except ValidationError as error:
            raise spec_error(error, cls, "alerts", has_secrets=True) from None
        names = [target.name for target in rules.targets]
        if len(set(names)) != len(names):
            raise SpecError("alerts.targets", "two have the same name", value=names)
        found = [_with_url(target, i, environment) for i, target in enumerate(rules.targets)]
        return rules.model_copy(update={"targets": tuple(found)})


def _with_url(target: Target, i: int, environment: Mapping[str, str]) -> Target:
    key = f"alerts.targets.{i}"
    if (target.url is None) == (target.url_env is None):
        raise SpecError(key, "needs url or url_env", value=target.name)
    if target.url_env is None:
        return target
    url = environment.get(target.url_env)
    if not url:
        raise SpecError(f"{key}.url_env", "is not set in the environment", value=target.url_env)
    changes: dict[str, Any] = {"url": SecretStr(url)}
    return target.model_copy(update=changes)
