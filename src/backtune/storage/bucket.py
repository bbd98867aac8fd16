"""A storage in a bucket of S3."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Final, final

from backtune.errors import BacktuneError
from backtune.storage.location import S3Path
from backtune.storage.storage import Stamp, Storage

# With five tries, a server that refuses a tenth of the requests fails one in 100,000, and an absent server is reported within seconds.
_TRIES: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.05
_UNFINISHED: Final = "Failed to flush response stream"


@final
class Bucket(Storage):
    """A prefix of an S3 bucket, through Arrow's client.

    Args:
        prefix: The name of the bucket, and after a slash the start of all keys, if not empty.
        error: The class of the errors that failures raise.
    """

    def __init__(self, prefix: str, error: type[BacktuneError]) -> None:
        self._prefix = prefix
        self._error = error
        self._bucket = prefix.partition("/")[0]
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._fs = _connect(self._endpoint, self._bucket)
        self._is_there = False

    def read(self, path: str) -> bytes | None:
        with self._errors("cannot be read", path):
            try:
                content = self._read_content(path)
            except FileNotFoundError:
                self._check_bucket()
                return None
            self._is_there = True
            return content

    def write(self, path: str, content: bytes, *, is_durable: bool = False) -> None:  # noqa: ARG002
        # S3 has stored what it has accepted, so that every write is durable.
        with self._errors("cannot be written", path), self._fs.open_output_stream(self._key(path)) as file:
            file.write(content)

    def exists(self, path: str) -> bool:
        return self.read_stamp(path) is not None

    def remove(self, path: str) -> None:
        with self._errors("cannot be removed", path), suppress(FileNotFoundError):
            self._fs.delete_file(self._key(path))

    def remove_folder(self, folder: str) -> None:
        # All at once, as Arrow puts a mark of the folder in the place of its last file.
        with self._errors("cannot be removed", folder), suppress(FileNotFoundError):
            self._fs.delete_dir(self._key(folder))

    def remove_leftovers(self, folder: str = "") -> None:
        """Do nothing: an object is there as a whole, or not at all."""

    def list_names(self, folder: str = "") -> list[str]:
        return [info.base_name for info in self._list_infos(folder, recursive=False)]

    def list_files(self, folder: str = "") -> list[str]:
        infos = self._list_infos(folder, recursive=True)
        return sorted(info.path[len(self._prefix) + 1 :] for info in infos if info.is_file)

    def read_stamp(self, path: str) -> tuple[int, int] | None:
        """Return the time of a file's last write, in nanoseconds since the epoch, and its size; None where there is none."""
        with self._errors("cannot be read", path):
            info = self._fs.get_file_info(self._key(path))
            return (info.mtime_ns, info.size) if info.is_file else None

    def list_stamps(self, folder: str, names: Collection[str]) -> Iterator[tuple[str, Stamp | None]]:
        """Yield the names, times and sizes of all files in each folder, from one listing of all of them."""
        start = len(self._key(folder)) + 1
        found: dict[str, list[tuple[str, int, int]]] = {}
        for info in self._list_infos(folder, recursive=True):
            name, _, rest = info.path[start:].partition("/")
            if info.is_file and name in names:
                found.setdefault(name, []).append((rest, info.mtime_ns, info.size))
        yield from ((name, tuple(sorted(files))) for name, files in found.items())

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()

    def hold(self, path: str) -> AbstractContextManager[None]:
        from backtune.storage.lease import hold_lease

        return hold_lease(S3Path.parse(self.describe(path)), self._error)

    def is_held(self, path: str) -> bool:
        from backtune.storage.lease import is_lease_held

        return is_lease_held(S3Path.parse(self.describe(path)), self._error)

    def describe(self, path: str = "") -> str:
        return f"s3://{self._key(path)}"

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}".rstrip("/")

    def _list_infos(self, folder: str, *, recursive: bool) -> Any:
        from pyarrow import fs

        with self._errors("cannot be listed", folder):
            selector = fs.FileSelector(self._key(folder), recursive=recursive, allow_not_found=True)
            found = self._fs.get_file_info(selector)
            if not found:
                self._check_bucket()
            return found

    def _read_content(self, path: str) -> bytes:
        """Read a file, again where Arrow's client does not: where a busy server's answer is longer than the file."""
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
        """Raise an error if the bucket is absent, which looks like an absent file and must not pass for one."""
        from pyarrow import fs

        if not self._is_there and self._fs.get_file_info(self._bucket).type == fs.FileType.NotFound:
            raise OSError("NO_SUCH_BUCKET")
        self._is_there = True

    @contextmanager
    def _errors(self, problem: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(f"{self.describe(path)}: {problem}: {self._explain(str(error))}") from error

    def _explain(self, text: str) -> str:
        server = self._endpoint or "AWS"
        if "NO_SUCH_BUCKET" in text or "bucket does not exist" in text:
            return f"there is no bucket {self._bucket!r} at {server}; create it, or correct the name"
        if "ACCESS_DENIED" in text or "INVALID_ACCESS_KEY" in text or "SIGNATURE" in text:
            return f"{server} refuses access to bucket {self._bucket!r}; check the AWS credentials"
        if "NETWORK_CONNECTION" in text or "curlCode" in text:
            return f"{server} does not answer; check AWS_ENDPOINT_URL and the network"
        return text.splitlines()[0]


def _connect(endpoint: str | None, bucket: str) -> Any:
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
