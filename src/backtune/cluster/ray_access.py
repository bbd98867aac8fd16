"""The access to a Ray: the token that it asks for, and the addresses where it listens. One of the doors to Ray.

The token lives where Ray itself looks for it: in ``$RAY_AUTH_TOKEN``, or in the file that ``$RAY_AUTH_TOKEN_PATH`` names,
or in ``~/.ray/auth_token``. Whoever has it may run any code as the user of that Ray.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backtune.errors import ClusterError

LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
# By itself, Ray takes 127.0.0.1 for the machine's own address and listens on every interface. Where it is told, as it is
# by default on Windows and macOS, that no other machine joins, it listens on 127.0.0.1 alone.
ON_LOOPBACK: Final[Mapping[str, str]] = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_MODE: Final = "RAY_AUTH_MODE"
_TOKEN: Final = "RAY_AUTH_TOKEN"  # noqa: S105
_TOKEN_PATH: Final = "RAY_AUTH_TOKEN_PATH"  # noqa: S105
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def token_path() -> Path:
    """Return the file in which Ray looks for the token, be it there or not."""
    return Path(os.environ.get(_TOKEN_PATH) or Path.home() / ".ray" / "auth_token")


def find_token() -> str | None:
    """Return the token of this user, in Ray's own order of places; None where there is none.

    Raises:
        ClusterError: the file is there and cannot be read.
    """
    if os.environ.get(_TOKEN):
        return os.environ[_TOKEN]
    try:
        return token_path().read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ClusterError(f"Ray's token cannot be read: {error}; correct {token_path()}") from error


def describe_token() -> str:
    """Return what this program shows a Ray that asks for a token, for an error to say."""
    place = f"${_TOKEN}" if os.environ.get(_TOKEN) else str(token_path())
    mode = os.environ.get(_MODE, "token")
    if find_token() is None:
        return f"there is none in {place}; copy that of Ray's user"
    if mode.lower() != "token":
        return f"{_MODE}={mode} keeps the one in {place} back; unset {_MODE}"
    return f"it was shown the one in {place}, which has to be that of Ray's user"


def token_header() -> dict[str, str]:
    """Return the HTTP header that shows a Ray the token of this user.

    It is empty where there is no token, or ``RAY_AUTH_MODE`` keeps it back.

    Raises:
        ClusterError: the token's file cannot be read.
    """
    is_shown = os.environ.get(_MODE, "token").lower() == "token"
    token = find_token() if is_shown else None
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def make_token_file() -> Path:
    """Write a new token where Ray looks for it, or keep the one that is there; its user alone can read it afterwards.

    Programs that do so at a time end up with one token.

    Raises:
        ClusterError: the file cannot be written, or belongs to another user.
    """
    path = token_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists() or path.stat().st_size == 0:
            _write_token(path)
        if is_readable_by_others(path):
            path.chmod(0o600)
    except OSError as error:
        raise ClusterError(
            f"Ray's token cannot be kept in {path}: {error}; give another file in {_TOKEN_PATH}"
        ) from error
    return path


def is_readable_by_others(path: Path) -> bool:
    """Return whether the mode of a file lets its group or everybody do anything with it."""
    return bool(path.stat().st_mode & _OTHERS)


def client_variables(address: str | None = None) -> dict[str, str]:
    """Return what a client of a cluster has to add to its environment, so that Ray shows the token of this user.

    Ray itself does so only where ``RAY_AUTH_MODE`` says it; what that says is left as it is.

    Args:
        address: Address of the cluster. On this machine, a driver stays on the loopback address, as the cluster may.

    Raises:
        ClusterError: the token's file cannot be read.
    """
    variables = {}
    if _MODE not in os.environ and find_token() is not None:
        variables[_MODE] = "token"
    if address is not None and is_loopback(address):
        variables |= ON_LOOPBACK
    return variables


def private_variables() -> dict[str, str]:
    """Return the environment of a cluster that nobody else is to use: on the loopback address, with a token of its own."""
    return {**ON_LOOPBACK, _MODE: "token", _TOKEN: secrets.token_hex(32)}


def head_variables() -> dict[str, str]:
    """Return the environment of a head for the programs of this user, whose token is made where there is none.

    Raises:
        ClusterError: the environment says that no token is asked for, or the token cannot be kept.
    """
    mode = os.environ.get(_MODE, "token")
    if mode.lower() != "token":
        raise ClusterError(
            f"{_MODE} is {mode!r}; whoever reaches Ray may run anything, so that a head asks for a token: unset {_MODE}"
        )
    kept = {} if os.environ.get(_TOKEN) else {_TOKEN_PATH: str(make_token_file().resolve())}
    return {**ON_LOOPBACK, _MODE: "token", **kept}


def is_loopback(address: str) -> bool:
    """Return whether an address, such as ``127.0.0.1:6379`` or ``ray://localhost:10001``, is one of this machine alone."""
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname in LOOPBACK_HOSTS
    except ValueError:
        return False


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the block, also for a Ray that this process has imported already."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        reread_environment()
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        reread_environment()


def reread_environment() -> None:
    """Have Ray look again at the variables that it reads when it is imported, if that was done."""
    if "ray" not in sys.modules:
        return
    import ray._private.ray_constants
    import ray._raylet

    compiled: Any = ray._raylet
    constants: Any = ray._private.ray_constants
    compiled.Config.initialize("")
    compiled.AuthenticationTokenLoader.instance().reset_cache()
    (name,) = ON_LOOPBACK
    constants.ENABLE_RAY_CLUSTER = constants.env_bool(name, default=True)


def _write_token(path: Path) -> None:
    """Write it as a whole beside its place, and put it there unless another program was faster."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        if path.exists():
            # Empty, as one whose writer was interrupted.
            path.unlink()
        with suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        beside.unlink(missing_ok=True)
