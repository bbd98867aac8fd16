"""Reports and scripts, made by the command line in processes of their own: they take seconds and memory, and may be ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from backtune.gateway.observing.logs import log
from backtune.gateway.problems import Problem, without_paths
from backtune.gateway.records.values import JobRecord
from backtune.gateway.settings import Settings
from backtune.spec import base_folder
from backtune.storage.files import write_bytes

MEDIA_TYPES: Final[dict[str, str]] = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_REFUSED: Final = 2
_BUSY_SECONDS: Final = 5


@dataclass(frozen=True)
class _Made:
    """A file that was asked for, and how the command ended."""

    status: int
    content: bytes
    error: str


class Reports:
    """Makes a few at a time; a finished job's are kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.limits.reports)
        self._waiting = 0

    async def report(self, record: JobRecord, report_format: str) -> bytes:
        """The report of a sweep.

        Raises:
            Problem: 409 where there is nothing to report yet, 503 where too many are asked for.
        """
        return await self._kept(record, report_format, ["report", "--format", report_format])

    async def pine_script(self, record: JobRecord) -> str:
        """The best of a sweep as a Pine script.

        Raises:
            Problem: 409 where there is no best yet, or it cannot be a script; 503 where too many are asked for.
        """
        return (await self._kept(record, "pine", ["export-pine"])).decode()

    async def _kept(self, record: JobRecord, kind: str, command: list[str]) -> bytes:
        run = self._settings.runs / record.sweep_id
        if not (run / "sweep.json").exists():
            raise Problem(409, f"the job is {record.status} and has no results yet")
        folder = self._settings.own_folder / "reports"
        kept = folder / f"{record.id}-{record.attempt}-{record.state}.{kind}"
        if not record.is_open and kept.exists():
            return await asyncio.to_thread(kept.read_bytes)
        made = await self._in_turn([command[0], str(run), *command[1:]], folder)
        if made.status == _REFUSED:
            raise Problem(409, made.error)
        if made.status != 0:
            raise Problem(500, "the report could not be made")
        content = await asyncio.to_thread(_without_places, made.content) if kind == "json" else made.content
        if not record.is_open:
            await asyncio.to_thread(_keep, kept, content)
        return content

    async def _in_turn(self, command: list[str], folder: Path) -> _Made:
        if self._waiting >= 8 * self._settings.limits.reports:
            raise Problem(503, "too many reports are being made", headers={"Retry-After": str(_BUSY_SECONDS)})
        self._waiting += 1
        try:
            async with self._slots:
                return await self._make(command, folder)
        finally:
            self._waiting -= 1

    async def _make(self, command: list[str], folder: Path) -> _Made:
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / f".{uuid4().hex}.part"
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "backtune", *command, "--output", str(output),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "BACKTUNE_HOME": str(base_folder())},
        )  # fmt: skip
        try:
            _, told = await asyncio.wait_for(process.communicate(), self._settings.limits.report_seconds)
            content = await asyncio.to_thread(_taken, output)
        except TimeoutError:
            raise Problem(503, "the report takes too long", headers={"Retry-After": "60"}) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            output.unlink(missing_ok=True)
        text = told.decode(errors="replace").strip()
        log().info(
            "report", command=command[0], status=process.returncode, seconds=time.monotonic() - started
        )
        if process.returncode not in (0, _REFUSED):
            log().error("report", command=command[0], stderr=text[-2000:])
        return _Made(process.returncode or 0, content, text.removeprefix("error: "))


def _without_places(content: bytes) -> bytes:
    """The report for programs, which has the whole spec: where the data is, and other places, are the gateway's."""
    document = json.loads(content)
    document["metadata"]["spec"]["data"].pop("root", None)
    return json.dumps(_cleaned(document), indent=2).encode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_paths(value)
    if isinstance(value, dict):
        return {name: _cleaned(part) for name, part in value.items()}
    return [_cleaned(part) for part in value] if isinstance(value, list) else value


def _taken(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _keep(path: Path, content: bytes) -> None:
    write_bytes(path, content)
