"""The address of a sweep's MLflow store: an MLflow server, a database, or by default a SQLite file in the runs folder."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from backtune.errors import TrackingError
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import hash_content
from backtune.storage.location import Location, get_local_path

_SQLITE = "sqlite:///"
_LOCK_SECONDS = 5.0


def resolve_tracking_uri(run: StoredSweep, uri: str | None = None) -> str:
    """Return the address of the MLflow store of a sweep: ``uri``, else its spec's, else ``$MLFLOW_TRACKING_URI``, else a SQLite file in the runs folder.

    Raises:
        TrackingError: The runs folder is in S3, which holds no database.
    """
    told = uri or run.spec.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    return told or build_sqlite_uri(run.folder.parent)


def is_mlflow_installed() -> bool:
    """Return whether the extra ``tracking`` is installed."""
    return find_spec("mlflow") is not None


def check_mlflow() -> None:
    """Check that MLflow is installed.

    Raises:
        TrackingError: It is not.
    """
    if not is_mlflow_installed():
        raise TrackingError(
            "tracking is off, because MLflow is not installed; to turn it on: pip install 'backtune[tracking]'"
        )


def is_server_uri(uri: str) -> bool:
    """Return whether the address is that of an MLflow server, not of a database."""
    return uri.startswith(("http://", "https://"))


def build_sqlite_uri(runs: Location) -> str:
    """Return the address of the SQLite file in a runs folder.

    Raises:
        TrackingError: The folder is in S3.
    """
    if get_local_path(runs) is None:
        raise TrackingError(
            f"{runs}: a bucket holds no tracking database; name an MLflow server in tracking.uri of the spec or "
            "in MLFLOW_TRACKING_URI, or run with --no-tracking"
        )
    return f"{_SQLITE}{runs.resolve() / 'mlflow.db'}"


def locate_artifacts(runs: Location) -> Location:
    """Return the folder of the artifacts of a database without a server: beside the results, also in S3."""
    return runs.resolve() / "mlartifacts"


def locate_scratch(folder: Location, name: str) -> Path:
    """Return the local path of a working file of the projection: in ``folder``, or for S3 among the temporary files.

    The same arguments always give the same path.
    """
    local = get_local_path(folder)
    if local is not None:
        return local / name
    return Path(tempfile.gettempdir()) / f"backtune-{os.getuid()}-{hash_content(str(folder))[:12]}{name}"


def build_ui_command(
    runs: Location, uri: str | None = None, *, host: str = "127.0.0.1", port: int = 5000
) -> list[str]:
    """Return the command line of MLflow's user interface on the store of a runs folder, or on another database."""
    return [
        # Its job runners serve the evaluation of language models, and outlive the server.
        "/usr/bin/env",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false",
        "MLFLOW_DISABLE_TELEMETRY=true",
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri or build_sqlite_uri(runs),
        "--artifacts-destination",
        str(locate_artifacts(runs)),
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def check_writable(uri: str) -> None:
    """Check within seconds that a SQLite file can be opened and is not locked: MLflow would try it for 100 s.

    Raises:
        sqlite3.Error: The file cannot be opened, or is locked.
        OSError: The folder of the file cannot be made.
    """
    path = uri.removeprefix(_SQLITE)
    if path == uri or "?" in path:
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def hide_password(uri: str) -> str:
    """Return the address without its password."""
    password = urlsplit(uri).password
    return uri.replace(f":{password}@", ":***@") if password else uri
