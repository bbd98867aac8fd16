"""A PostgreSQL database, copied by pg_dump and filled by psql, which must be as new as the server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from backtune.backup.store import Store
from backtune.errors import BackupError

# The parts of the statement as pg_dump writes it; the rows follow, a line each, and end with a line of their own.
_COPY: Final = re.compile(rb'COPY (?:"?public"?\.)?"?([^". ]+)"? \(.*\) FROM stdin;\n')
_END_OF_ROWS: Final = b"\\.\n"
_COUNTS: Final = """
SELECT string_agg(format('SELECT %L, count(*) FROM public.%I', tablename, tablename), ' UNION ALL ' ORDER BY tablename)
FROM pg_tables WHERE schemaname = 'public'
"""
_EMPTY: Final = "SET lock_timeout = '30s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public"


class PostgresStore(Store):
    """A database at a server.

    Args:
        url: SQLAlchemy's or libpq's. Its password is given to the programs in their environment.
    """

    kind: ClassVar[str] = "postgresql"
    suffix: ClassVar[str] = ".sql"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._password = unquote(parts.password) if parts.password else None
        user, _, place = parts.netloc.rpartition("@")
        name = user.partition(":")[0]
        netloc = f"{name}@{place}" if name else place
        self._address = urlunsplit(parts._replace(scheme="postgresql", netloc=netloc))
        if not parts.netloc:
            # urlunsplit leaves the slashes out where no host is named, as with a socket's folder in the query.
            self._address = self._address.replace("postgresql:", "postgresql://", 1)

    @property
    def shown(self) -> str:
        return self._address

    def rows(self) -> dict[str, int]:
        counts = self.value(_COUNTS)
        if counts is None:
            return {}
        lines = self._query(counts).splitlines()
        return {name: int(count) for name, _, count in (line.rpartition("|") for line in lines)}

    def value(self, query: str) -> str | None:
        lines = self._query(query).splitlines()
        return lines[0] if lines and lines[0] else None

    def copy_to(self, file: Path) -> dict[str, int]:
        # pg_dump reads in one transaction that sees one moment.
        self._run(
            "pg_dump", "--format=plain", "--encoding=UTF8", "--no-owner", "--no-privileges",
            "--lock-wait-timeout=30s", f"--file={file}",
        )  # fmt: skip
        return _rows_of_dump(file)

    def fill_from(self, file: Path) -> None:
        self._psql("--single-transaction", f"--command={_EMPTY}", f"--file={file}")

    def _query(self, query: str) -> str:
        return self._psql("--tuples-only", "--no-align", f"--command={query}")

    def _psql(self, *arguments: str) -> str:
        return self._run("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *arguments)

    def _run(self, name: str, *arguments: str) -> str:
        program = shutil.which(name)
        if program is None:
            raise BackupError(
                f"{name} is not installed: it comes with the client programs of PostgreSQL (postgresql-client)"
            )
        environment = {**os.environ, **({} if self._password is None else {"PGPASSWORD": self._password})}
        done = subprocess.run(  # noqa: S603
            [program, "--no-password", *arguments, f"--dbname={self._address}"],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise BackupError(f"{self._address}: {_complaint(done.stderr)}")
        return done.stdout


def _rows_of_dump(file: Path) -> dict[str, int]:
    rows: dict[str, int] = {}
    table = ""
    with file.open("rb") as lines:
        for line in lines:
            if table:
                if line == _END_OF_ROWS:
                    table = ""
                else:
                    rows[table] += 1
            elif (begun := _COPY.fullmatch(line)) is not None:
                table = begun[1].decode()
                rows[table] = 0
    return rows


def _complaint(text: str) -> str:
    """What a program says is wrong, in a line, without where it was in its file."""
    said = [line for line in text.splitlines() if re.search(r"\b(error|detail):", line, re.IGNORECASE)]
    return "; ".join(line.strip() for line in (said or text.splitlines())[:2]) or "failed without a word"
