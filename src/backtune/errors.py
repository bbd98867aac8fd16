"""The errors that backtune raises on purpose.

::

    BacktuneError
    |-- SpecError          the spec, a parameter space or a command asks for something impossible
    |-- DataError          market data cannot be used
    |   |-- BarsError      a bar breaks the schema: names file, row and column
    |   |-- CatalogError   the catalog, an asset, a timeframe or a window is not there
    |   |-- FingerprintError   a file's SHA-256 is not the manifest's
    |   `-- DownloadError  an exchange refuses, or does not answer
    |-- StrategyError      a strategy cannot be loaded, or its positions are not usable
    |-- ResultsError       the runs folder or a trial log cannot be read or written
    |-- SearchError        a sampler cannot do what the study needs
    |-- ReportError        a report or script cannot be made of what a run holds
    |-- TrackingError      the experiment tracker refuses or does not answer
    |-- RecordsError       the gateway's database cannot be used
    |-- ClusterError       the cluster cannot be started or reached
    |-- MissingPackageError   a package of an extra is not installed; also an ImportError
    `-- GatewayError       a gateway did not do what a client asked
        |-- AccessError      the key is not known, or may not do this
        |-- RefusedError     the request is not one that can be honoured
        |-- BusyError        the gateway is busy for longer than the client waits
        `-- UnreachableError   the gateway does not answer, or fails

A message says what is wrong, where, with which value, and how to mend it. The parts are attributes too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class BacktuneError(Exception):
    """The base of all errors that backtune raises on purpose."""


class SpecError(BacktuneError):
    """Raised before any work starts when a spec, a space or a command cannot be honoured.

    Attributes:
        key: The dotted path of the offending key, such as ``search.sampler``.
        problem: The message without the key and the ways out.
        value: The value that was given.
        allowed: The values that would have been accepted, where they can be listed.
        is_text_due: True if the value must be text and is not; YAML reads some bare words as other values.
    """

    def __init__(
        self,
        key: str,
        problem: str,
        *,
        value: object = None,
        allowed: Iterable[str] = (),
        is_text_due: bool = False,
    ) -> None:
        self.key = key
        self.problem = problem
        self.value = value
        self.is_text_due = is_text_due
        self.allowed = tuple(allowed)
        super().__init__(f"{key}: {problem}{_ways_out(value, self.allowed)}")

    def prefix_key(self, key: str) -> SpecError:
        """Return this error with its key below another one."""
        return SpecError(
            f"{key}.{self.key}",
            self.problem,
            value=self.value,
            allowed=self.allowed,
            is_text_due=self.is_text_due,
        )


class DataError(BacktuneError):
    """Raised when market data cannot be used."""


class BarsError(DataError):
    """Raised when a bar breaks the schema.

    Attributes:
        source: The file, or another name of the bars.
        row: The zero-based row of the first violation, or None where it concerns the whole file.
        column: The offending column, or None.
    """

    def __init__(
        self, problem: str, *, source: str | Path, row: int | None = None, column: str | None = None
    ) -> None:
        self.source = str(source)
        self.row = row
        self.column = column
        where = "".join(
            [f"{source}", f", row {row}" if row is not None else "", f", column {column!r}" if column else ""]
        )
        super().__init__(f"{where}: {problem}")


class CatalogError(DataError):
    """Raised when the catalog, an asset, a timeframe or a window of it is not there."""


class FingerprintError(DataError):
    """Raised when a file's SHA-256 is not the one in the manifest."""


class DownloadError(DataError):
    """Raised when an exchange refuses, or does not answer for longer than a download waits.

    Attributes:
        is_transient: True if the same request may be answered later.
    """

    def __init__(self, problem: str, *, is_transient: bool) -> None:
        self.is_transient = is_transient
        super().__init__(problem)


class StrategyError(BacktuneError):
    """Raised when a strategy cannot be loaded, or when its positions are not usable."""


class ResultsError(BacktuneError):
    """Raised when the runs folder or a trial log cannot be read or written."""


class SearchError(BacktuneError):
    """Raised when a sampler cannot do what the study needs."""


class ReportError(BacktuneError):
    """Raised when a report or a script cannot be made of what a run holds."""


class TrackingError(BacktuneError):
    """Raised when the experiment tracker refuses or does not answer."""


class RecordsError(BacktuneError):
    """Raised when the gateway's database cannot be used."""


class ClusterError(BacktuneError):
    """Raised when the cluster cannot be started or reached."""


class MissingPackageError(BacktuneError, ImportError):
    """Raised when the package that a task needs is not installed, because it belongs to an extra.

    Args:
        task: Name of the task, such as ``a PDF report``.
        package: Name of the missing package.
        extra: Extra of backtune that brings the package.
    """

    def __init__(self, task: str, package: str, extra: str) -> None:
        super().__init__(f"{task} needs {package}, which is not installed: pip install 'backtune[{extra}]'")


class GatewayError(BacktuneError):
    """Raised when a gateway did not do what a client asked.

    Attributes:
        status: The HTTP status; None where there was no answer.
        where: The dotted path of the offending key, where the gateway named one.
        value: The value that was given there.
        allowed: The values that would have been accepted, where they can be listed.
        error_id: The id under which the gateway's log has the error.
        retry_after: The seconds after which the gateway asks to come again, where it said so.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        where: object = None,
        value: object = None,
        allowed: object = None,
        error_id: object = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.where = None if where is None else str(where)
        self.value = value
        self.allowed = tuple(map(str, allowed)) if isinstance(allowed, list) else ()
        self.error_id = None if error_id is None else str(error_id)
        self.retry_after = retry_after
        log_entry = "" if error_id is None else f" (error {error_id} in the gateway's log)"
        super().__init__(f"{detail}{log_entry}")


class AccessError(GatewayError):
    """Raised when the key is not known, or may not do this: HTTP 401 and 403."""


class RefusedError(GatewayError):
    """Raised when the request is not one that can be honoured: the other statuses from 400 to 499."""


class BusyError(GatewayError):
    """Raised when the gateway is busy for longer than the client waits: HTTP 429 and 503."""


class UnreachableError(GatewayError):
    """Raised when the gateway does not answer, or fails."""


def _ways_out(value: object, allowed: tuple[str, ...]) -> str:
    if not allowed:
        return ""
    close = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{hint}; allowed: {', '.join(allowed)}"
