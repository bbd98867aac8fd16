"""The messages that travel over a socket: JSON objects in text frames."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from backtune.gateway.error_answers import hide_paths
from backtune.gateway.jobs.schemas import JobId
from backtune.spec import describe_problem
from backtune.wire.answers import Job, JobUpdate

_Credential = Annotated[str, Field(max_length=256)]


class _StrictMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AuthMessage(_StrictMessage):
    """The first message of a client, made by :func:`backtune.wire.signature.make_auth_message`."""

    type: Literal["auth"]
    api_key: _Credential = ""
    timestamp: _Credential | None = None
    nonce: _Credential | None = None
    signature: _Credential | None = None


class SubscribeMessage(_StrictMessage):
    """The request for a job as it is now and for every change of it."""

    type: Literal["subscribe"]
    job_id: JobId


class UnsubscribeMessage(_StrictMessage):
    """The request to send no more updates of a job."""

    type: Literal["unsubscribe"]
    job_id: JobId


class PingMessage(_StrictMessage):
    """The request for a pong."""

    type: Literal["ping"]


ClientMessage = AuthMessage | SubscribeMessage | UnsubscribeMessage | PingMessage
_CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(
    Annotated[ClientMessage, Field(discriminator="type")]
)


def parse_message(text: str) -> ClientMessage | str:
    """Return a client's message; if it is not valid, return the description of the problem."""
    try:
        return _CLIENT_MESSAGE.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        problem = describe_problem(first)
        return hide_paths(f"{where}: {problem}" if where else problem)[:300]


def format_message(message_type: str, **members: Any) -> str:
    """Return a message of the gateway as text."""
    return json.dumps({"type": message_type, **members}, separators=(",", ":"))


def format_job_update(job: Job) -> str:
    """Return the message with the state of a job: all members of the job, and its best candidate's once more."""
    best = job["best_so_far"]
    update = JobUpdate(
        type="job_update",
        **job,
        best_params=best["parameters"] if best else None,
        best_value=best["value"] if best else None,
    )
    return json.dumps(update, separators=(",", ":"))
