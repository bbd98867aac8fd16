"""Where files live: a local folder, or a prefix of an S3 bucket."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, final
from uuid import uuid4

from backtune.errors import CatalogError

# A server that refuses a tenth of the requests then fails one in 100,000; one that is not there is told in seconds.
_S3_TRIES: Final = 5


class Store(ABC):
    """Files below one root, named by relative paths with forward slashes.

    Reads and writes are whole files. A reader sees the old file or the new one, never a part. Safe to use
    from several threads. Every failure but an absent file is a ``CatalogError``.
    """

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The content, or None where there is no such file."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Create or replace a file atomically, with the folders that it needs."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def list(self, prefix: str = "") -> list[str]:
        """Paths of all files in the folder ``prefix`` and below, sorted; empty where there is no folder."""

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Hold while reading, changing and writing the same file.

        Keeps out other programs on one machine. S3 has no such lock: one writer at a time there.
        """

    @abstractmethod
    def describe(self, path: str = "") -> str:
        """The full name of a file, or of the root, for messages."""


def open_store(root: str | Path) -> Store:
    """The store at a folder, or at ``s3://bucket/prefix``. Nothing is read or created yet.

    S3 credentials and region come from the usual AWS variables and files; ``AWS_ENDPOINT_URL_S3`` or
    ``AWS_ENDPOINT_URL`` name another S3 server, also with ``http://``.

    Raises:
        CatalogError: the root is neither.
    """
    text = os.fspath(root)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return LocalStore(Path(text).expanduser())
    if scheme != "s3" or not rest.strip("/"):
        raise CatalogError(f"{text}: is not a place for data; write a folder, or s3://bucket/prefix")
    return S3Store(rest.strip("/"))


@final
class LocalStore(Store):
    """A folder on a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str) -> bytes | None:
        with self._errors("cannot be read", path):
            try:
                return (self._folder / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes) -> None:
        target = self._folder / path
        # Not tempfile: its files are private to the user, and stay so after the rename.
        part = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
        with self._errors("cannot be written", path):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            _sync_folder(target.parent)

    def exists(self, path: str) -> bool:
        return (self._folder / path).is_file()

    def list(self, prefix: str = "") -> list[str]:
        with self._errors("cannot be listed", prefix):
            return sorted(
                file.relative_to(self._folder).as_posix()
                for file in (self._folder / prefix).rglob("*")
                if file.is_file()
            )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        import fcntl

        with self._errors("cannot be locked", ""):
            self._folder.mkdir(parents=True, exist_ok=True)
            # The folder itself carries the lock, so no lock file stays behind.
            descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def describe(self, path: str = "") -> str:
        return str(self._folder / path)

    @contextmanager
    def _errors(self, what: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CatalogError(f"{self.describe(path)}: {what}: {error.strerror or error}") from error


@final
class S3Store(Store):
    """A prefix of an S3 bucket, through Arrow's client."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._bucket = prefix.partition("/")[0]
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._fs = _s3_filesystem(self._endpoint, self._bucket)

    def read(self, path: str) -> bytes | None:
        with self._errors("cannot be read", path):
            try:
                with self._fs.open_input_file(self._key(path)) as file:
                    content: bytes = file.read()
                    return content
            except FileNotFoundError:
                self._check_bucket()
                return None

    def write(self, path: str, content: bytes) -> None:
        with self._errors("cannot be written", path), self._fs.open_output_stream(self._key(path)) as file:
            file.write(content)

    def exists(self, path: str) -> bool:
        with self._errors("cannot be read", path):
            return bool(self._fs.get_file_info(self._key(path)).is_file)

    def list(self, prefix: str = "") -> list[str]:
        from pyarrow import fs

        with self._errors("cannot be listed", prefix):
            selector = fs.FileSelector(self._key(prefix), recursive=True, allow_not_found=True)
            found = self._fs.get_file_info(selector)
            if not found:
                self._check_bucket()
            return sorted(info.path[len(self._prefix) + 1 :] for info in found if info.is_file)

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()

    def describe(self, path: str = "") -> str:
        return f"s3://{self._key(path)}"

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}".rstrip("/")

    def _check_bucket(self) -> None:
        """An absent bucket looks like an absent file, and must not pass for one."""
        from pyarrow import fs

        if self._fs.get_file_info(self._bucket).type == fs.FileType.NotFound:
            raise OSError("NO_SUCH_BUCKET")

    @contextmanager
    def _errors(self, what: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CatalogError(f"{self.describe(path)}: {what}: {self._reason(str(error))}") from error

    def _reason(self, text: str) -> str:
        server = self._endpoint or "AWS"
        if "NO_SUCH_BUCKET" in text or "bucket does not exist" in text:
            return f"there is no bucket {self._bucket!r} at {server}; create it, or correct the name"
        if "ACCESS_DENIED" in text or "INVALID_ACCESS_KEY" in text or "SIGNATURE" in text:
            return f"{server} refuses access to bucket {self._bucket!r}; check the AWS credentials"
        if "NETWORK_CONNECTION" in text or "curlCode" in text:
            return f"{server} does not answer; check AWS_ENDPOINT_URL and the network"
        return text.splitlines()[0]


def _s3_filesystem(endpoint: str | None, bucket: str) -> Any:
    from pyarrow import fs

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint is None and region is None:
        try:
            region = fs.resolve_s3_region(bucket)
        except OSError:
            region = None  # the first request then tells what is wrong
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region or ("us-east-1" if endpoint else None),
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_S3_TRIES),
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
