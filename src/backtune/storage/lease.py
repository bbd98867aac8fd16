"""A lease of a file in S3, where no kernel lets go of a lock when its holder is gone.

The holder writes the file again every few seconds, and each write is refused if another process has written in between. A
file that has not changed for the duration of a lease belongs to a process that is gone, by the clock of the process that
looks at it. A driver that was merely slow and goes on without its lease does no harm: rows are a function of their study,
so two drivers write the same.

The conditional writes go through boto3, because Arrow's client has none.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any, Final, final
from uuid import uuid4

from backtune.errors import BacktuneError
from backtune.storage.location import S3Path

LEASE_SECONDS: Final = 15.0
_RENEWAL_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 1.0
_REFUSED: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_ABSENT: Final = {"NoSuchKey", "NotFound", "404"}


@contextmanager
def hold_lease(path: S3Path, error: type[BacktuneError]) -> Iterator[None]:
    """Hold the file for this process; wait for the end of the lease of a process that may be gone.

    Args:
        path: The file, which exists while it is held.
        error: The class of the error that is raised where S3 refuses or does not answer, or boto3 is not installed.

    Raises:
        BlockingIOError: Another process holds it.
    """
    lease = _FileLease(path, error)
    lease.take()
    over = threading.Event()

    def renew() -> None:
        while not over.wait(_RENEWAL_SECONDS) and lease.renew():
            pass

    thread = threading.Thread(target=renew, name="backtune-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        lease.release()


def is_lease_held(path: S3Path, error: type[BacktuneError]) -> bool:
    """Return whether a process holds the file, or did until a moment ago. The arguments are those of :func:`hold_lease`."""
    seconds = _FileLease(path, error).read_age()
    return seconds is not None and seconds < LEASE_SECONDS


@final
class _FileLease:
    def __init__(self, path: S3Path, error: type[BacktuneError]) -> None:
        self._path = path
        self._error = error
        self._client = _connect(path, error)
        self._tag: str | None = None
        self._content = b""

    def take(self) -> None:
        tag = None
        until = time.monotonic() + LEASE_SECONDS
        while not self._write(IfNoneMatch="*"):
            present_tag = self._read_tag()
            if present_tag is None:
                continue
            tag = tag or present_tag
            if tag != present_tag:
                raise BlockingIOError
            if time.monotonic() > until:
                if not self._write(IfMatch=tag):
                    raise BlockingIOError
                return
            time.sleep(_POLL_SECONDS)

    def renew(self) -> bool:
        """Write the file again, and return False if another process holds it now. A failure may be over the next time."""
        try:
            return self._write(IfMatch=self._tag) or self._was_written()
        except self._error:
            return True

    def release(self) -> None:
        # A lease that is not removed here ends by itself.
        with suppress(self._error), self._errors():
            if self._read_tag() == self._tag:
                self._client.delete_object(Bucket=self._path.bucket, Key=self._path.key)

    def read_age(self) -> float | None:
        """Return the seconds since the file was written, by the clock of S3; None where there is no file."""
        found = self._read_head()
        if found is None:
            return None
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return float((now - found["LastModified"]).total_seconds())

    def _read_tag(self) -> str | None:
        found = self._read_head()
        return None if found is None else str(found["ETag"])

    def _read_head(self) -> dict[str, Any] | None:
        with self._errors(_ABSENT):
            answer: dict[str, Any] = self._client.head_object(Bucket=self._path.bucket, Key=self._path.key)
            return answer
        return None

    def _write(self, **condition: str | None) -> bool:
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "token": uuid4().hex}
        self._content = json.dumps(holder).encode()
        with self._errors(_REFUSED):
            answer = self._client.put_object(
                Bucket=self._path.bucket, Key=self._path.key, Body=self._content, **condition
            )
            self._tag = str(answer["ETag"])
            return True
        return False

    def _was_written(self) -> bool:
        """Return whether the file holds what was refused: written by a request whose answer was lost, and refused on the next try."""
        with self._errors(_ABSENT):
            found = self._client.get_object(Bucket=self._path.bucket, Key=self._path.key)
            if found["Body"].read() == self._content:
                self._tag = str(found["ETag"])
                return True
        return False

    @contextmanager
    def _errors(self, expected: Collection[str] = ()) -> Iterator[None]:
        """Let the expected answers pass; the caller goes on after the block."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in expected:
                raise self._error(f"{self._path}: cannot be held: {error}") from error
        except BotoCoreError as error:
            raise self._error(f"{self._path}: cannot be held: {error}") from error


def _connect(path: S3Path, error: type[BacktuneError]) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        problem = "holding a sweep in S3 takes boto3; pip install 'backtune[s3]'"
        raise error(f"{path}: {problem}") from None
    has_own_server = "AWS_ENDPOINT_URL_S3" in os.environ or "AWS_ENDPOINT_URL" in os.environ
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return boto3.session.Session().client(
        "s3",
        region_name=region or ("us-east-1" if has_own_server else None),
        config=Config(
            connect_timeout=5,
            read_timeout=10,
            retries={"mode": "standard", "max_attempts": 5},
            s3={"addressing_style": "path" if has_own_server else "auto"},
            # Other servers than Amazon's do not know its newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
