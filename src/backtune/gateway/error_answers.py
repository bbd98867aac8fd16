"""Refusals and failures as problem+json (RFC 9457), with an id that is also in the log; no traceback and no path."""

from __future__ import annotations

import http
import re
import secrets
from collections.abc import Mapping
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
    MissingPackageError,
    RecordsError,
    ResultsError,
    SpecError,
    StrategyError,
)
from backtune.gateway.monitoring.logs import log
from backtune.spec import describe_problem

MEDIA_TYPE: Final = "application/problem+json"
# An absolute path, or the URL of a file. The characters before it keep rules such as 24/7 and Strategy/ASSET apart from it.
_PATH = re.compile(r"(?<![\w.>*/-])(?:file://)?/(?:[\w.@+~=-]+/)+[\w.@+~=-]*|(?<![\w.>*/-])~/[\w./-]+")
_SHOWN_CHARACTERS = 200
_RETRY_SECONDS: Final = 5
_FAILED_PART: Final[dict[type[BacktuneError], str]] = {
    RecordsError: "the database",
    ClusterError: "the cluster",
    ResultsError: "the runs folder",
}
_STATUSES_OF_ALL_ROUTES: Final = (400, 401, 403, 408, 413, 414, 429, 431, 500, 503)


class ProblemDetails(BaseModel):
    """The body of a refusal."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error_id: str = Field(description="Id of the same event in the gateway's log.")
    where: str | None = Field(None, description="Dotted path of the key that is wrong.")
    value: Any = Field(None, description="Value that was given for the key.")
    allowed: list[str] | None = Field(None, description="Values that are accepted, if they can be listed.")


class ErrorAnswer(Exception):  # noqa: N818
    """Raised when a request gets an answer other than the one it asked for."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        self.status = status
        self.detail = detail
        self.members = members
        self.headers = dict(headers or {})
        super().__init__(detail)


def hide_paths(text: str) -> str:
    """Return a text with every path of this machine replaced."""
    return _PATH.sub("<path>", text)


def make_error_response(error: ErrorAnswer) -> JSONResponse:
    """Return the response that an error is answered with."""
    error_id = secrets.token_hex(8)
    log.info("problem", error_id=error_id, status=error.status, detail=error.detail)
    content = {
        "type": "about:blank",
        "title": http.HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": hide_paths(error.detail),
        "error_id": error_id,
        **error.members,
    }
    return JSONResponse(content, error.status, error.headers, MEDIA_TYPE)


def declare_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the refusals of a route for OpenAPI: those that any route may answer with, and these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": content}
        for status in sorted({*_STATUSES_OF_ALL_ROUTES, *statuses})
    }


def add_error_handlers(app: FastAPI) -> None:
    """Have an application answer every expected error; the middleware answers the unexpected ones."""

    @app.exception_handler(ErrorAnswer)
    @app.exception_handler(HTTPException)
    @app.exception_handler(BacktuneError)
    async def _answer_expected_error(
        _: Request, error: ErrorAnswer | HTTPException | BacktuneError
    ) -> JSONResponse:
        return make_error_response(to_error_answer(error))

    @app.exception_handler(RequestValidationError)
    async def _answer_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part)[:_SHOWN_CHARACTERS] for part in first["loc"])
        return make_error_response(ErrorAnswer(422, f"{where}: {describe_problem(first)}", where=where))


def to_error_answer(error: ErrorAnswer | HTTPException | BacktuneError) -> ErrorAnswer:
    """Return the answer to an expected error; a failure behind the gateway is not described in its own words."""
    if isinstance(error, ErrorAnswer):
        return error
    if isinstance(error, HTTPException):
        return ErrorAnswer(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, SpecError):
        return _answer_spec_error(error)
    if isinstance(error, DataError | StrategyError):
        return ErrorAnswer(422, str(error))
    if isinstance(error, MissingPackageError):
        return ErrorAnswer(501, f"on the gateway's machine, {error}")
    log.error("behind the gateway", error=str(error), kind=type(error).__name__)
    failed_part = _FAILED_PART.get(type(error), "a part of the gateway")
    return ErrorAnswer(503, f"{failed_part} does not answer", headers={"Retry-After": str(_RETRY_SECONDS)})


def _answer_spec_error(error: SpecError) -> ErrorAnswer:
    members: dict[str, Any] = {"where": hide_paths(error.key)}
    if error.value is not None:
        members["value"] = hide_paths(str(error.value))[:_SHOWN_CHARACTERS]
    if error.allowed:
        members["allowed"] = [hide_paths(value) for value in error.allowed]
    return ErrorAnswer(422, str(error), **members)
