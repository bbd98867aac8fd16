"""Where data and results live: a path on a disk, or one in a bucket of S3. Names alone; nothing is read or written."""

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
        bucket: its name.
        parts: of the key, the text between its slashes; empty for the bucket itself.
    """

    bucket: str
    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, key: str = "") -> Self:
        """From ``s3://bucket/key``.

        Args:
            key: where it stands, for messages.

        Raises:
            SpecError: it names no bucket, or has keys in it.
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
        """The path itself, which means the same everywhere."""
        return self


Location = Path | S3Path


def location(text: str | Location, *, key: str = "") -> Location:
    """A folder or file by the name that a user gives.

    Args:
        key: where it stands, for messages.

    Raises:
        SpecError: it is neither a path nor ``s3://bucket/key``.
    """
    if isinstance(text, str):
        return S3Path.parse(text, key=key) if "://" in text else Path(text)
    return text


def joined(base: Location, text: str | Location) -> Location:
    """The same, where a relative path starts at ``base``."""
    found = location(text)
    return found if isinstance(found, S3Path) or found.is_absolute() else base / found
