"""The name of a place for data and results: a path on a disk, or one in a bucket of S3. Nothing is read or written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self, final

from backtune.errors import SpecError

_SCHEME = "s3://"


@final
@dataclass(frozen=True, order=True)
class S3Path:
    """``s3://bucket/key``, joined and taken apart as paths of :mod:`pathlib` are.

    Attributes:
        bucket: The name of the bucket.
        parts: The parts of the key between its slashes; empty for the bucket itself.
    """

    bucket: str
    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, key: str = "") -> Self:
        """Parse ``s3://bucket/key``.

        Args:
            text: The address.
            key: The key of the spec that holds the address, for messages.

        Raises:
            SpecError: The address names no bucket, or holds an access key.
        """
        bucket, *parts = text.removeprefix(_SCHEME).split("/")
        if "@" in bucket:
            problem = "an address holds no keys; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role, do"
            raise SpecError(key or "s3://", problem)
        if not text.startswith(_SCHEME) or not bucket:
            problem = f"{text!r} is not a place; write a folder, or s3://bucket/prefix"
            raise SpecError(key or "place", problem, value=text)
        return cls(bucket, tuple(part for part in parts if part))

    def __truediv__(self, relative: str | Path) -> S3Path:
        more = PurePosixPath(relative).parts
        return S3Path(self.bucket, (*self.parts, *(part for part in more if part != ".")))

    def __str__(self) -> str:
        return f"{_SCHEME}{'/'.join((self.bucket, *self.parts))}"

    @property
    def key(self) -> str:
        """The name in the bucket."""
        return "/".join(self.parts)

    @property
    def name(self) -> str:
        return self.parts[-1] if self.parts else ""

    @property
    def parent(self) -> S3Path:
        return S3Path(self.bucket, self.parts[:-1])

    def resolve(self) -> S3Path:
        """Return the path itself, which means the same everywhere."""
        return self


Location = Path | S3Path


def parse_location(text: str | Location, *, key: str = "") -> Location:
    """Return the location of a folder or file by the name that a user gives.

    Args:
        text: A path, or ``s3://bucket/key``; a location is returned as it is.
        key: The key of the spec that holds the name, for messages.

    Raises:
        SpecError: The name is neither.
    """
    if isinstance(text, str):
        return S3Path.parse(text, key=key) if "://" in text else Path(text)
    return text


def resolve_location(base: Location, text: str | Location) -> Location:
    """Return the location that a name stands for, where a relative path starts at ``base``.

    Raises:
        SpecError: The name is neither a path nor ``s3://bucket/key``.
    """
    found = parse_location(text)
    return found if isinstance(found, S3Path) or found.is_absolute() else base / found


def get_local_path(parse_location: Location) -> Path | None:
    """Return the path of a location on a disk, or None where the location is in a bucket."""
    return parse_location if isinstance(parse_location, Path) else None
