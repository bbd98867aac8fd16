"""What goes over a socket: JSON objects in text frames."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from backtune.gateway.problems import without_paths
from backtune.gateway.schemas import Job, JobId
from backtune.spec import describe_problem

_Short = Annotated[str, Field(max_length=256)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Auth(_Message):
    """The first message; a key that signs signs it, see :func:`backtune.gateway.security.signature.socket_message`."""

    type: Literal["auth"]
    api_key: _Short = ""
    timestamp: _Short | None = None
    nonce: _Short | None = None
    signature: _Short | None = None


class Subscribe(_Message):
    """Answered with the job as it is now, and again whenever that changes."""

    type: Literal["subscribe"]
    job_id: JobId


class Unsubscribe(_Message):
    """No more of that job."""

    type: Literal["unsubscribe"]
    job_id: JobId


class Ping(_Message):
    """Answered with a pong."""

    type: Literal["ping"]


Incoming = Annotated[Auth | Subscribe | Unsubscribe | Ping, Field(discriminator="type")]
_INCOMING: TypeAdapter[Auth | Subscribe | Unsubscribe | Ping] = TypeAdapter(Incoming)


def read(text: str) -> Auth | Subscribe | Unsubscribe | Ping | str:
    """A client's message, or what is wrong with it."""
    try:
        return _INCOMING.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        problem = describe_problem(first)
        return without_paths(f"{where}: {problem}" if where else problem)[:300]


def written(kind: str, **members: Any) -> str:
    """A message of the gateway."""
    return json.dumps({"type": kind, **members}, separators=(",", ":"))


def job_update(view: Job) -> str:
    """A job as it is now: all that ``GET /jobs/{id}`` tells, and the best parameters by themselves."""
    best = view.best_so_far
    members = view.model_dump(mode="json")
    return written(
        "job_update",
        **members,
        best_params=best.parameters if best else None,
        best_value=best.value if best else None,
    )
