"""Holding a folder in S3 for one driver, where no kernel lets go of a lock when its holder is gone.

The lease is a file beside the results. Its holder writes it again every few seconds, and each write is refused where
somebody else has written in between. A file that has not changed for as long as a lease lasts belongs to a driver that is
gone, by the clock of whoever looks at it. Should a driver that was merely slow go on without its lease, no harm is done:
rows are a function of their study, so two drivers write the same.
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

from backtune.errors import ResultsError
from backtune.storage.location import S3Path

LEASE_SECONDS: Final = 15.0
_RENEWAL_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 1.0
_REFUSED: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_ABSENT: Final = {"NoSuchKey", "NotFound", "404"}


@contextmanager
def leased(path: S3Path) -> Iterator[None]:
    """Hold the file for this process; waits for the end of the lease of a driver that may be gone.

    Raises:
        BlockingIOError: another driver holds it.
        ResultsError: S3 refuses, does not answer, or what it takes is not installed.
    """
    lease = _Lease(path)
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
        lease.let_go()


def is_leased(path: S3Path) -> bool:
    """Whether a driver holds the file, or has until a moment ago.

    Raises:
        ResultsError: as for :func:`leased`.
    """
    seconds = _Lease(path).age()
    return seconds is not None and seconds < LEASE_SECONDS


@final
class _Lease:
    def __init__(self, path: S3Path) -> None:
        self._path = path
        self._client = _client(path)
        self._tag: str | None = None
        self._tried = b""

    def take(self) -> None:
        found = None
        until = time.monotonic() + LEASE_SECONDS
        while not self._write(IfNoneMatch="*"):
            now = self._look()
            if now is None:
                continue
            found = found or now
            if found != now:
                raise BlockingIOError
            if time.monotonic() > until:
                if not self._write(IfMatch=found):
                    raise BlockingIOError
                return
            time.sleep(_LOOK_SECONDS)

    def renew(self) -> bool:
        """Whether there is still something to renew; what fails on the way may work the next time."""
        try:
            return self._write(IfMatch=self._tag) or self._is_written()
        except ResultsError:
            return True

    def let_go(self) -> None:
        # What is not removed here ends by itself.
        with suppress(ResultsError), self._errors():
            if self._look() == self._tag:
                self._client.delete_object(Bucket=self._path.bucket, Key=self._path.key)

    def age(self) -> float | None:
        """Seconds since it was written, by the clock of S3; None where there is none."""
        found = self._found()
        if found is None:
            return None
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return float((now - found["LastModified"]).total_seconds())

    def _look(self) -> str | None:
        found = self._found()
        return None if found is None else str(found["ETag"])

    def _found(self) -> dict[str, Any] | None:
        with self._errors(_ABSENT):
            answer: dict[str, Any] = self._client.head_object(Bucket=self._path.bucket, Key=self._path.key)
            return answer
        return None

    def _write(self, **condition: str | None) -> bool:
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "token": uuid4().hex}
        self._tried = json.dumps(holder).encode()
        with self._errors(_REFUSED):
            answer = self._client.put_object(
                Bucket=self._path.bucket, Key=self._path.key, Body=self._tried, **condition
            )
            self._tag = str(answer["ETag"])
            return True
        return False

    def _is_written(self) -> bool:
        """Whether what was refused stands there: written at the first try, whose answer was lost, and refused at the next."""
        with self._errors(_ABSENT):
            found = self._client.get_object(Bucket=self._path.bucket, Key=self._path.key)
            if found["Body"].read() == self._tried:
                self._tag = str(found["ETag"])
                return True
        return False

    @contextmanager
    def _errors(self, expected: Collection[str] = ()) -> Iterator[None]:
        """Lets the expected answers pass, to go on after the block."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in expected:
                raise ResultsError(f"{self._path}: cannot be held: {error}") from error
        except BotoCoreError as error:
            raise ResultsError(f"{self._path}: cannot be held: {error}") from error


def _client(path: S3Path) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        problem = "holding a sweep in S3 takes boto3; pip install 'backtune[s3]'"
        raise ResultsError(f"{path}: {problem}") from None
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
