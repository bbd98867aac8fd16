"""Reports and Pine scripts, made by the command line in processes of their own.

They take seconds and memory, and a process can be ended.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from backtune.gateway.error_answers import ErrorAnswer, hide_paths
from backtune.gateway.jobs.job_record import JobRecord
from backtune.gateway.monitoring.logs import log
from backtune.gateway.settings import Settings
from backtune.spec import base_folder
from backtune.storage.files import write_bytes
from backtune.wire.protocol import ReportFormat

MEDIA_TYPES: Final[dict[ReportFormat, str]] = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_PACKAGE_OF_FORMAT: Final = {"pdf": "typst", "xlsx": "xlsxwriter"}
# Exit status of a command that cannot do what it was asked for, and says why.
_REFUSED: Final = 2
_BUSY_SECONDS: Final = 5
_SLOW_SECONDS: Final = 60


@dataclass(frozen=True)
class _CommandResult:
    """The exit status of a command, the file that it wrote and the error that it printed; empty if there is none."""

    status: int
    content: bytes
    error: str


class ReportService:
    """The maker of reports: a few at a time, and only one of each kind for a job that has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.limits.reports)
        self._n_waiting = 0

    async def make_report(self, record: JobRecord, report_format: ReportFormat) -> bytes:
        """Return the report of a sweep.

        Raises:
            ErrorAnswer: The status is 409 if there is nothing to report yet, 501 if the package of the format is not
                installed, and 503 if too many reports are being made.
        """
        return await self._make_or_reuse(record, report_format, ["report", "--format", report_format])

    async def make_pine_script(self, record: JobRecord) -> str:
        """Return the best candidate of a sweep as a Pine script.

        Raises:
            ErrorAnswer: The status is 409 if there is no best candidate yet, or no script for it, and 503 if too many
                reports are being made.
        """
        return (await self._make_or_reuse(record, "pine", ["export-pine"])).decode()

    async def _make_or_reuse(self, record: JobRecord, kind: str, command: list[str]) -> bytes:
        sweep_folder = self._settings.runs / record.sweep_id
        if not (sweep_folder / "sweep.json").exists():
            raise ErrorAnswer(409, f"the job is {record.status} and has no results yet")
        folder = self._settings.own_folder / "reports"
        saved = folder / f"{record.id}-{record.attempt}-{record.state}.{kind}"
        if not record.is_open and saved.exists():
            return await asyncio.to_thread(saved.read_bytes)
        result = await self._run_in_turn([command[0], str(sweep_folder), *command[1:]], folder)
        if result.status == _REFUSED:
            package = _PACKAGE_OF_FORMAT.get(kind)
            lacks_package = package is not None and importlib.util.find_spec(package) is None
            raise ErrorAnswer(501 if lacks_package else 409, result.error)
        if result.status != 0:
            raise ErrorAnswer(500, "the report could not be made")
        content = result.content
        if kind == "json":
            content = await asyncio.to_thread(_hide_paths_in_report, content)
        if not record.is_open:
            await asyncio.to_thread(write_bytes, saved, content)
        return content

    async def _run_in_turn(self, command: list[str], folder: Path) -> _CommandResult:
        if self._n_waiting >= 8 * self._settings.limits.reports:
            raise ErrorAnswer(
                503, "too many reports are being made", headers={"Retry-After": str(_BUSY_SECONDS)}
            )
        self._n_waiting += 1
        try:
            async with self._slots:
                return await self._run(command, folder)
        finally:
            self._n_waiting -= 1

    async def _run(self, command: list[str], folder: Path) -> _CommandResult:
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / f".{uuid4().hex}.part"
        started_at = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "backtune",
            *command,
            "--output",
            str(output),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "BACKTUNE_HOME": str(base_folder())},
        )
        try:
            _, stderr = await asyncio.wait_for(process.communicate(), self._settings.limits.report_seconds)
            content = await asyncio.to_thread(output.read_bytes) if output.exists() else b""
        except TimeoutError:
            raise ErrorAnswer(
                503, "the report takes too long", headers={"Retry-After": str(_SLOW_SECONDS)}
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            output.unlink(missing_ok=True)
        text = stderr.decode(errors="replace").strip()
        seconds = time.monotonic() - started_at
        log.info("report", command=command[0], status=process.returncode, seconds=seconds)
        if process.returncode not in (0, _REFUSED):
            log.error("report", command=command[0], stderr=text[-2000:])
        return _CommandResult(process.returncode or 0, content, text.removeprefix("error: "))


def _hide_paths_in_report(content: bytes) -> bytes:
    """Return the JSON report, which has the whole spec, without the root of the data and other paths of the gateway."""
    document = json.loads(content)
    document["metadata"]["spec"]["data"].pop("root", None)
    return json.dumps(_hide_paths_in_value(document), indent=2).encode()


def _hide_paths_in_value(value: Any) -> Any:
    if isinstance(value, str):
        return hide_paths(value)
    if isinstance(value, dict):
        return {name: _hide_paths_in_value(member) for name, member in value.items()}
    return [_hide_paths_in_value(member) for member in value] if isinstance(value, list) else value
