"""A store in a bucket of S3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Final, final

from backtune.errors import CatalogError
from backtune.storage.store import Store

# A server that refuses a tenth of the requests then fails one in 100,000; one that is not there is told in seconds.
_TRIES: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.05
_UNFINISHED: Final = "Failed to flush response stream"


@final
class S3Store(Store):
    """A prefix of an S3 bucket, through Arrow's client."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._bucket = prefix.partition("/")[0]
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._fs = _s3_filesystem(self._endpoint, self._bucket)
        self._is_there = False

    def read(self, path: str) -> bytes | None:
        with self._errors("cannot be read", path):
            try:
                content = self._content(path)
            except FileNotFoundError:
                self._check_bucket()
                return None
            self._is_there = True
            return content

    def write(self, path: str, content: bytes) -> None:
        with self._errors("cannot be written", path), self._fs.open_output_stream(self._key(path)) as file:
            file.write(content)

    def tidy(self, path: str) -> None:
        """Nothing to do: an object is there as a whole, or not at all."""

    def exists(self, path: str) -> bool:
        with self._errors("cannot be read", path):
            return bool(self._fs.get_file_info(self._key(path)).is_file)

    def names(self, folder: str = "") -> list[str]:
        """Names of the files and folders in a folder, in no order; empty where there is none."""
        return [info.base_name for info in self._infos(folder, recursive=False)]

    def list(self, prefix: str = "") -> list[str]:
        infos = self._infos(prefix, recursive=True)
        return sorted(info.path[len(self._prefix) + 1 :] for info in infos if info.is_file)

    def stamps(self, folder: str = "") -> dict[str, tuple[int, int]]:
        """Every file in a folder and below, by its path from there: when it was written, in nanoseconds, and its size."""
        start = len(self._key(folder)) + 1
        infos = self._infos(folder, recursive=True)
        return {info.path[start:]: (info.mtime_ns, info.size) for info in infos if info.is_file}

    def stamp(self, path: str) -> tuple[int, int] | None:
        """When a file was written, in nanoseconds since the epoch, and its size; None where there is none."""
        with self._errors("cannot be read", path):
            info = self._fs.get_file_info(self._key(path))
            return (info.mtime_ns, info.size) if info.is_file else None

    def remove(self, path: str) -> None:
        """Remove a file, if there is one."""
        with self._errors("cannot be removed", path), suppress(FileNotFoundError):
            self._fs.delete_file(self._key(path))

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()

    def describe(self, path: str = "") -> str:
        return f"s3://{self._key(path)}"

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}".rstrip("/")

    def _infos(self, folder: str, *, recursive: bool) -> Any:
        from pyarrow import fs

        with self._errors("cannot be listed", folder):
            selector = fs.FileSelector(self._key(folder), recursive=recursive, allow_not_found=True)
            found = self._fs.get_file_info(selector)
            if not found:
                self._check_bucket()
            return found

    def _content(self, path: str) -> bytes:
        """Arrow's client does not try again where the answer of a busy server is longer than the file that it reads."""
        n_tries = 0
        while True:
            try:
                with self._fs.open_input_file(self._key(path)) as file:
                    return bytes(file.read())
            except OSError as error:
                n_tries += 1
                if _UNFINISHED not in str(error) or n_tries == _TRIES:
                    raise
            time.sleep(_FIRST_PAUSE_SECONDS * 2**n_tries)

    def _check_bucket(self) -> None:
        """An absent bucket looks like an absent file, and must not pass for one."""
        from pyarrow import fs

        if not self._is_there and self._fs.get_file_info(self._bucket).type == fs.FileType.NotFound:
            raise OSError("NO_SUCH_BUCKET")
        self._is_there = True

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
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        # Small files then take one request, and not three.
        allow_delayed_open=True,
    )
