"""Every refusal and failure as problem+json (RFC 9457), with an id that the log has too; no traceback and no path."""

from __future__ import annotations

import http
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from backtune.errors import (
    BacktuneError,
    ClusterError,
    DataError,
    RecordsError,
    ResultsError,
    SpecError,
    StrategyError,
)
from backtune.gateway.observing.logs import log
from backtune.spec import describe_problem

MEDIA_TYPE: Final = "application/problem+json"
# An absolute path, or a file's URL; what stands before it keeps rules such as 24/7 and Strategy/ASSET apart from it.
_PATH = re.compile(r"(?<![\w.>*/-])(?:file://)?/(?:[\w.@+~=-]+/)+[\w.@+~=-]*|(?<![\w.>*/-])~/[\w./-]+")
_SHOWN_CHARACTERS = 200
_RETRY_SECONDS: Final = 5
_BEHIND: Final[dict[type[BacktuneError], str]] = {
    RecordsError: "the database",
    ClusterError: "the cluster",
    ResultsError: "the runs folder",
}


class ProblemModel(BaseModel):
    """What a refusal looks like."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error_id: str = Field(description="The same in the gateway's log.")
    where: str | None = Field(None, description="Dotted path of the offending key.")
    value: Any = Field(None, description="What was given there.")
    allowed: list[str] | None = Field(
        None, description="What would have been accepted, where it can be listed."
    )


class Problem(Exception):  # noqa: N818
    """An answer other than the one asked for.

    Attributes:
        status: of HTTP.
        detail: for the client, in a sentence.
        more: further members of the answer.
        headers: further headers.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        self.status = status
        self.detail = detail
        self.more = more
        self.headers = dict(headers or {})
        super().__init__(detail)


def without_paths(text: str) -> str:
    """A text without the places of this machine."""
    return _PATH.sub("<path>", text)


def of_spec_error(error: SpecError) -> Problem:
    """A spec that cannot be honoured: where, what was given, what is allowed."""
    more: dict[str, Any] = {"where": without_paths(error.key)}
    if error.value is not None:
        more["value"] = without_paths(str(error.value))[:_SHOWN_CHARACTERS]
    if error.allowed:
        more["allowed"] = [without_paths(one) for one in error.allowed]
    return Problem(422, str(error), **more)


def answer(problem: Problem) -> JSONResponse:
    """The problem as a response."""
    error_id = secrets.token_hex(8)
    log().info("problem", error_id=error_id, status=problem.status, detail=problem.detail)
    content = {
        "type": "about:blank",
        "title": http.HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": without_paths(problem.detail),
        "error_id": error_id,
        **problem.more,
    }
    return JSONResponse(content, problem.status, problem.headers, MEDIA_TYPE)


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals that a route may answer with, for OpenAPI; those that any route may are added."""
    always = (400, 401, 403, 408, 413, 414, 429, 431, 500, 503)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": content}
        for status in sorted({*always, *statuses})
    }


def add_handlers(app: FastAPI) -> None:
    """Have every error answered as a problem; what nobody expected is the middleware's."""

    @app.exception_handler(Problem)
    @app.exception_handler(HTTPException)
    @app.exception_handler(BacktuneError)
    async def _expected(_: Request, error: Problem | HTTPException | BacktuneError) -> JSONResponse:
        return answer(as_problem(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return answer(_of_validation(error.errors()))


def as_problem(error: Problem | HTTPException | BacktuneError) -> Problem:
    """What is answered to an error that is expected."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, str(error.detail), headers=error.headers)
    return _of_ours(error)


def _of_ours(error: BacktuneError) -> Problem:
    """What a client asked for, or what failed behind the gateway: that is not told in its own words."""
    if isinstance(error, SpecError):
        return of_spec_error(error)
    if isinstance(error, DataError | StrategyError):
        return Problem(422, str(error))
    log().error("behind the gateway", error=str(error), kind=type(error).__name__)
    what = _BEHIND.get(type(error), "a part of the gateway")
    return Problem(503, f"{what} does not answer", headers={"Retry-After": str(_RETRY_SECONDS)})


def _of_validation(errors: Sequence[Any]) -> Problem:
    first = errors[0]
    where = ".".join(str(part)[:_SHOWN_CHARACTERS] for part in first["loc"])
    return Problem(422, f"{where}: {describe_problem(first)}", where=where)
